"""Plays one transcript: what to write next, what has to arrive, and when it never will.

Theory of operation
===================

CHAT/1.0 is silent when all is well, and a server may say nothing about errors either. So a line
that does not arrive can't be told from one that is late, except by time. To wait out a timeout for
each would take minutes.

But a server handles the lines of one connection in order, and a message to oneself comes back. So
when a line has not arrived after `patience`, the play asks: each client that has written something
sends itself a message, a *sentinel*. When those are back, the server has handled everything. Then
the client that should receive the line sends itself a sentinel too. If this comes back before the
line, the line never comes. Only what can't be asked, such as a connection that has no name or has
ended its half of the stream, has to wait for the timeout.

At the end everybody asks once more. Then each connection that is left logs in under a name of its
own, also those that had none, and asks twice: the second time when all are back from the first.
What arrives besides should not have been sent.

A client program is checked in the same way. Its transcripts have two ends: `user`, which writes to
the program's standard input and reads its standard output, and `server`, the server that the
program connects to. A sentinel goes in at one end and comes out of the other. As any server, this
one sends back what the program sends to its own name, drops what it sends to a reserved name, and
closes the connection after LOGOUT. The transcripts do not list that.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

from .transcript import MARK, Kind, Side, Step, Transcript

LONGEST: Final = 1 << 20
"""The most bytes that may arrive without LF."""

MOST: Final = 1 << 23
"""The most bytes that may arrive at one client: a server that never stops would never be late."""

_VERSION: Final = b"CHAT/1.0 "
_RECEIVE: Final = b"CHAT/1.0 RECEIVE "
_NOTICE: Final = b"CHAT/1.0 RECEIVE *server* ERR "
_USER: Final = "user"
_SERVER: Final = "server"


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect a client to the server. For the `user` of a client program: start the program."""

    client: str
    """Which client."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write bytes, after all that this client wrote before."""

    client: str
    """Which client."""
    data: bytes
    """The bytes."""


@dataclass(frozen=True, slots=True)
class EndWriting:
    """End this half of the stream (FIN) when everything is written. Go on reading."""

    client: str
    """Which client."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (RST) when everything is written."""

    client: str
    """Which client."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Read nothing from this connection any more."""

    client: str
    """Which client."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection when everything is written."""

    client: str
    """Which client."""


Action: TypeAlias = Connect | Write | EndWriting | Reset | Pause | Close
"""What a `Play` wants to be done."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a transcript."""

    passed: bool
    """Whether each step held."""
    reason: str = ""
    """Why not, for people; empty if it passed."""
    step: int | None = None
    """The number of the step that did not hold, from 0; None if it passed, or if something arrived
    after the last step."""
    unanswered: bool = False
    """Whether the server may be gone: it refused a connection, or let a timeout pass."""


@dataclass(slots=True)
class _Client:
    """One end of a connection."""

    label: str
    name: bytes = b""
    size: int = 0
    partial: bytes = b""
    lines: deque[bytes] = field(default_factory=deque)
    wrote: bool = False
    inside_line: bool = False
    half_closed: bool = False
    paused: bool = False
    ended: bool = False
    why: str = ""

    @property
    def ending(self) -> str:
        """How the connection has ended, at the end of a sentence."""
        return f" ({self.why})" if self.why else ""

    @property
    def can_write(self) -> bool:
        """Whether a whole line can be written and an answer can be read."""
        return not (self.ended or self.half_closed or self.paused or self.inside_line)


class Play:
    """Plays one transcript against a server, or against a client program.

    Call `advance`, do what it returns, and report what happens with the other methods. Then call
    `advance` again, at `deadline` at the latest, until there is a `verdict`.

    Args:
        transcript: What to play.
        run: Five ASCII letters or digits that no other play uses. They make its names unique.
        side: Which side the transcript checks.
        notices: Whether the server sends notices; None to find out. A server that sends none is
            expected to do the same in silence.
        timeout: Seconds after which something that can't be asked for counts as missing.
        patience: Seconds after which to ask whether a line is still to come.
        reads_after_end: Whether a client can read once it has ended its half of the stream. Over
            TLS it can't.
    """

    def __init__(
        self,
        transcript: Transcript,
        run: str,
        *,
        side: Side = Side.SERVER,
        notices: bool | None = True,
        timeout: float = 2.0,
        patience: float = 0.2,
        reads_after_end: bool = True,
    ) -> None:
        self.transcript: Transcript = transcript
        """What is played."""
        self.notices: bool | None = notices
        """Whether the server sends notices; None while that is not known."""
        self.verdict: Verdict | None = None
        """What came of it; None while it goes on."""
        self._mark = b"-%b" % run.encode()
        self._of_program = side is Side.CLIENT
        self._timeout = timeout
        self._patience = patience
        self._reads_after_end = reads_after_end
        self._clients: dict[str, _Client] = {}
        self._actions: list[Action] = []
        if self._of_program:
            self._clients = {each: _Client(each) for each in (_USER, _SERVER)}
            self._actions.append(Connect(_USER))
        # The step that is played, and its state: until when it may take, when to ask whether
        # something is still to come, how far the asking is, and which lines are left.
        self._at = 0
        self._until: float | None = None
        self._ask_at = 0.0
        self._stage = 0
        self._left: dict[bytes, deque[bytes]] | None = None
        # The sentinels that have not come back, and who has sent each.
        self._pending: dict[bytes, _Client] = {}
        self._sentinels = 0
        # Who can still be asked at the end.
        self._rest: list[_Client] = []

    @property
    def deadline(self) -> float | None:
        """When to call `advance` if nothing happens until then; None for at once."""
        if self._until is None:
            return None
        return min(self._ask_at, self._until) if self._stage == 0 else self._until

    def received(self, client: str, data: bytes) -> None:
        """Take what a client has received, or what the program has printed."""
        at = self._clients[client]
        at.size += len(data)
        *lines, at.partial = (at.partial + data).split(b"\n")
        for line in lines:
            self._line(at, line + b"\n")
        if self.verdict is None and len(at.partial) > LONGEST:
            self._fail(f"{at.label} receives more than {LONGEST} bytes without an end of line")
        if self.verdict is None and at.size > MOST:
            self._fail(f"{at.label} receives more than {MOST} bytes", missing=True)

    def ended(self, client: str, why: str = "") -> None:
        """Note that the other side has closed a connection, or that the program has ended.

        Args:
            client: Whose connection it was.
            why: What is known about that, for people.
        """
        at = self._clients[client]
        at.ended, at.why = True, at.why or why
        if at.partial:
            partial, at.partial = at.partial, b""
            self._line(at, partial)

    def failed(self, reason: str) -> None:
        """Note that a connection can't be made, or a program not started.

        Args:
            reason: Why, for people.
        """
        self._fail(reason, unanswered=True)

    def advance(self, now: float) -> list[Action]:
        """Go on as far as possible.

        Args:
            now: The time in seconds, on any clock.

        Returns:
            What to do now, in order.
        """
        while self.verdict is None:
            before = self._at
            if self._until is None:
                self._until, self._ask_at = now + self._timeout, now + self._patience
            if before < len(self.transcript.steps):
                self._play(self.transcript.steps[before], now)
            else:
                self._finish(now)
            if self._at == before:
                break
            self._begin_step()
        actions, self._actions = self._actions, []
        return actions

    def _begin_step(self) -> None:
        self._until = None
        self._stage = 0
        self._left = None

    def _play(self, step: Step, now: float) -> None:
        """Play one step. If it is done, `_at` is the next one's number afterwards."""
        client = self._clients.get(step.client)
        if client is None:
            client = self._clients[step.client] = _Client(step.client)
            self._actions.append(Connect(step.client))
        data = step.data.replace(MARK, self._mark)
        match step.kind:
            case Kind.CONNECT:
                self._at += 1
            case Kind.WRITE:
                self._write(client, data * step.times)
                self._at += 1
            case Kind.END:
                client.half_closed = True
                self._actions.append(EndWriting(client.label))
                self._at += 1
            case Kind.RESET:
                client.ended = client.half_closed = True
                self._actions.append(Reset(client.label))
                self._at += 1
            case Kind.PAUSE:
                client.paused = True
                self._actions.append(Pause(client.label))
                self._at += 1
            case Kind.LOGIN | Kind.WAIT | Kind.DISCARD:
                self._wait(client, step.kind, data, now)
            case Kind.READ:
                self._read(client, data, now)
            case Kind.UNORDERED:
                self._read_unordered(client, data, now)
            case Kind.NOTICE:
                self._read_notice(client, data, now)
            case Kind.CLOSED | Kind.DISCARD_CLOSED:
                if step.kind is Kind.DISCARD_CLOSED:
                    client.lines.clear()
                self._closed(client, now)
            case _:
                assert_never(step.kind)

    def _wait(self, client: _Client, kind: Kind, name: bytes, now: float) -> None:
        if self._stage == 0:
            self._stage = 1
            if kind is Kind.LOGIN:
                self._write(client, _VERSION + b"LOGIN %b\n" % name)
            client.name = name
            self._ask(client)
        if not self._is_pending():
            if client.ended:
                reason = f"the server closes the connection of {client.label}{client.ending}"
                self._fail(reason, missing=True, unanswered=True)
                return
            if kind is Kind.DISCARD:
                client.lines.clear()
            self._at += 1
        elif kind is Kind.LOGIN and client.lines and client.lines[0].startswith(_NOTICE):
            self._fail(f"{client.label} can't log in, {self._got(client.lines[0])}")
        elif now >= self._deadline():
            what = "a LOGIN and a message" if kind is Kind.LOGIN else "a message"
            self._fail(f"{client.label} sends {what} to itself, and receives nothing", late=True)

    def _read(self, client: _Client, expected: bytes, now: float) -> None:
        if client.lines:
            line = client.lines.popleft()
            if line == expected:
                self._at += 1
            else:
                self._fail(f"{client.label} should receive {_show(expected)}, {self._got(line)}")
        else:
            self._missing(client, f"{client.label} should receive {_show(expected)}", now)

    def _read_unordered(self, client: _Client, expected: bytes, now: float) -> None:
        if self._left is None:
            self._left = {}
            for line in expected.splitlines(keepends=True):
                self._left.setdefault(_sender(line), deque()).append(line)
        while client.lines and self._left:
            line = client.lines.popleft()
            sender = _sender(line)
            left = self._left.get(sender)
            if left is None or left[0] != line:
                wanted = f"should receive {_show(left[0])}, " if left else ""
                self._fail(f"{client.label} {wanted}{self._got(line)}")
                return
            left.popleft()
            if not left:
                del self._left[sender]
        if self._left:
            number = sum(map(len, self._left.values()))
            [line, *_] = next(iter(self._left.values()))
            text = f"{client.label} should receive {_show(line)}"
            self._missing(client, text if number == 1 else f"{text} and {number - 1} more", now)
        else:
            self._at += 1

    def _read_notice(self, client: _Client, expected: bytes, now: float) -> None:
        if self.notices is None:
            # Whether the server sends notices at all.
            if self._stage == 0:
                self._stage = 1
                self._ask(client)
            if self._is_pending() and now < self._deadline():
                return
            self.notices = bool(client.lines) and client.lines[0].startswith(_NOTICE)
        if not self.notices or (client.half_closed and not self._reads_after_end):
            self._at += 1
        elif client.lines:
            line = client.lines.popleft()
            if line.startswith(b"%b%b " % (_NOTICE, expected)):
                self._at += 1
            else:
                what = f"a notice with {expected.decode()}"
                self._fail(f"{client.label} should receive {what}, {self._got(line)}")
        else:
            what = f"a notice with {expected.decode()}"
            self._missing(client, f"{client.label} should receive {what}", now)

    def _closed(self, client: _Client, now: float) -> None:
        text = self._connection_of(client)
        if client.lines:
            self._fail(f"{text} should end, {self._got(client.lines.popleft())}")
        elif client.ended:
            self._at += 1
        else:
            self._missing(client, f"{text} should end", now, ending=True)

    def _finish(self, now: float) -> None:
        """Find out whether something arrives that the transcript does not list."""
        if self._stage == 0:
            self._rest = [each for each in self._clients.values() if each.can_write]
        while self._stage < 3 and not self._is_pending():
            for client in self._rest:
                if self._stage == 1 and not self._of_program:
                    self._rename(client)
                if self._can_ask(client):
                    self._ask(client)
            self._stage += 1
        for client in self._clients.values():
            if client.lines:
                self._fail(f"{client.label} should receive nothing, {self._got(client.lines[0])}")
                return
        for client in self._rest:
            if client.ended:
                what = self._connection_of(client)
                self._fail(f"{what} should not end, and ends{client.ending}")
                return
        if not self._is_pending() and self._stage == 3:
            self.verdict = Verdict(passed=True)
        elif now >= self._deadline():
            labels = sorted({each.label for each in self._pending.values()})
            who = " and ".join(labels)
            self._fail(f"{who}: no answer to a message to oneself at the end", late=True)

    def _missing(self, client: _Client, text: str, now: float, *, ending: bool = False) -> None:
        """Find out whether something is still to come, and fail if not."""
        nothing = "is still there" if ending else "receives nothing"
        if client.ended:
            what = "the program" if self._is_program(client) else "the connection"
            self._fail(f"{text}, and {what} ends{client.ending}", missing=True)
            return
        if self._stage == 0 and now >= self._ask_at:
            self._stage = 1
            for each in self._clients.values():
                if each.wrote and each is not client and self._can_ask(each):
                    self._ask(each)
        if self._stage == 1 and not (self._is_pending() or self._is_unknown(client)):
            # What should end has no further use for its name.
            if ending and not self._of_program:
                self._end_line(client)
                if client.can_write:
                    self._rename(client)
            if self._can_ask(client):
                self._stage = 2
                self._ask(client)
            else:
                self._stage = 3
        never_came = self._of_program and self._clients[_USER].ended and not client.name
        if never_came and self._stage:
            why = self._clients[_USER].ending
            self._fail(f"{text}, and the program ends{why}", missing=True)
        elif self._stage == 2 and not self._is_pending():
            self._fail(f"{text}, and {nothing}", missing=True)
        elif now >= self._deadline():
            self._fail(f"{text}, and {nothing}", late=True)

    def _is_unknown(self, client: _Client) -> bool:
        """Whether another client has written, and can't be asked: nobody knows what is handled."""
        return not self._of_program and any(
            each.wrote and each is not client and not each.ended and not self._can_ask(each)
            for each in self._clients.values()
        )

    def _is_program(self, client: _Client) -> bool:
        return self._of_program and client.label == _USER

    def _connection_of(self, client: _Client) -> str:
        if not self._of_program:
            return f"the connection of {client.label}"
        return "the program" if self._is_program(client) else "the connection"

    def _can_ask(self, client: _Client) -> bool:
        if self._of_program:
            return client.can_write and self._program_is_there()
        return client.can_write and bool(client.name)

    def _program_is_there(self) -> bool:
        """Whether the program has logged in, and neither end is closed."""
        user, server = self._clients[_USER], self._clients[_SERVER]
        return bool(server.name) and not (user.ended or server.ended)

    def _end_line(self, client: _Client) -> None:
        """End the line that the client has begun, if there is one."""
        if client.inside_line and not client.half_closed:
            self._write(client, b"\n")

    def _rename(self, client: _Client) -> None:
        client.name = b"end-%d%b" % (list(self._clients).index(client.label), self._mark)
        self._write(client, _VERSION + b"LOGIN %b\n" % client.name)

    def _ask(self, client: _Client) -> None:
        """Send a sentinel."""
        self._sentinels += 1
        token = b"sentinel%b-%d" % (self._mark, self._sentinels)
        if self._of_program and client.label == _SERVER:
            line = b"%bsentinel%b %b\n" % (_RECEIVE, self._mark, token)
        else:
            name = b"sentinel" + self._mark if self._of_program else client.name
            line = b"%bSEND %b %b\n" % (_VERSION, name, token)
        self._pending[token] = client
        self._write(client, line)
        client.wrote = False

    def _is_pending(self) -> bool:
        """Whether a sentinel is still to come back."""
        for token, client in list(self._pending.items()):
            if client.ended or (self._of_program and not self._program_is_there()):
                del self._pending[token]
        return bool(self._pending)

    def _line(self, client: _Client, line: bytes) -> None:
        """Take one line. Sentinels are left out, and what a program only says to its server."""
        token = line.rstrip(b"\r\n").rpartition(b" ")[2]
        if token.startswith(b"sentinel" + self._mark):
            sender = self._pending.get(token)
            # Other connections of the same name receive it too.
            if sender is not None and (sender is client) is not self._of_program:
                del self._pending[token]
            return
        if self._of_program:
            if client.label == _SERVER and self._serve(client, line):
                return
            # A program may print more than the messages of users.
            is_message = line.startswith(_RECEIVE) and not line.startswith(_RECEIVE + b"*")
            if client.label == _USER and not is_message:
                return
            if line.endswith(b"\r\n"):
                line = line[:-2] + b"\n"
        client.lines.append(line)

    def _serve(self, client: _Client, line: bytes) -> bool:
        """Do what any server does with a line of the program. Whether that is all."""
        parts = line.rstrip(b"\r\n").split(b" ", 3)
        match parts:
            case [b"CHAT/1.0", b"LOGIN", name]:
                client.name = name
            case [b"CHAT/1.0", b"LOGOUT"]:
                client.ended = True
                self._actions.append(Close(client.label))
                return True
            case [b"CHAT/1.0", b"SEND", to, data] if to == client.name:
                self._actions.append(
                    Write(client.label, b"%b%b %b\n" % (_RECEIVE, client.name, data))
                )
                return True
            case [b"CHAT/1.0", b"SEND", to, _] if to.startswith(b"*"):
                return True
        return False

    def _write(self, client: _Client, data: bytes) -> None:
        client.wrote = True
        client.inside_line = not data.endswith(b"\n")
        self._actions.append(Write(client.label, data))

    def _deadline(self) -> float:
        return self._until or 0.0

    def _got(self, line: bytes) -> str:
        return f"and receives {_show(line.replace(self._mark, MARK))}"

    def _fail(
        self, reason: str, *, missing: bool = False, late: bool = False, unanswered: bool = False
    ) -> None:
        """End the play.

        Args:
            reason: Why it has failed.
            missing: Whether something has not arrived. Then what has arrived may tell why.
            late: The same, and there was no way to ask for it.
            unanswered: Whether there is no server, or no program.
        """
        if late:
            reason += f" within {self._timeout:g} seconds"
        if missing or late:
            for client in self._clients.values():
                if client.lines:
                    line = client.lines[0].replace(self._mark, MARK)
                    reason += f"; {client.label} has received {_show(line)}"
        at = self._at if self._at < len(self.transcript.steps) else None
        reason = reason.replace(self._mark.decode(), "").replace(MARK.decode(), "")
        self.verdict = Verdict(False, reason, at, unanswered or late)


def _sender(line: bytes) -> bytes:
    """The sender that a line names; empty if it names none."""
    return line.split(b" ", 3)[2] if line.count(b" ") > 1 else b""


def _show(line: bytes) -> str:
    """A line for people: short, and without what controls a terminal."""
    text = line.replace(MARK, b"").removeprefix(_VERSION).removesuffix(b"\n")
    words = ascii(text)[2:-1].replace("\\\\", "\\")
    return f'"{words}"' if len(words) <= 100 else f'"{words[:60]}…" ({len(line)} bytes)'
