"""One end of one connection: bytes in, events out; events in, bytes out."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from .codec import decode, decode_run, encode
from .errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from .events import BytesLike, Command, ConnectionClosed, Event, Invalid, Login, Logout
from .limits import LineLimits
from .line_buffer import LineBuffer, has_long_line
from .states import TRANSITIONS, Role, State, objection

RUN: Final = 8
"""From this number of lines on, it pays to try `decode_run`."""


class ChatConnection:
    """The protocol's state on one connection (protocol.md, sections 1, 3 and 4).

    It does no I/O: give it what arrived, act on the events that it returns, and write what `send`
    returns.

    Args:
        our_role: Which end this is.
        limits: The bounds on lines. Of a `Limits`, only these are used.
    """

    __slots__ = ("_bad_lines", "_limits", "_lines", "_name", "_our_role", "_peer_is_done", "_state")

    def __init__(self, our_role: Role, limits: LineLimits = LineLimits()) -> None:
        self._our_role = our_role
        self._limits = limits
        self._lines = LineBuffer(limits.max_line)
        self._state = State.ANONYMOUS
        self._name: str | None = None
        self._bad_lines = 0
        # The peer sends nothing more: it has sent LOGOUT, or ended its stream. This differs from
        # CLOSED: a client that has sent LOGOUT still receives what the server sent before.
        self._peer_is_done = False

    @property
    def our_role(self) -> Role:
        """Which end this is."""
        return self._our_role

    @property
    def state(self) -> State:
        """How far the connection has come."""
        return self._state

    @property
    def name(self) -> str | None:
        """The name in the last LOGIN that was sent or received; None before the first."""
        return self._name

    @property
    def inside_line(self) -> bool:
        """Whether the peer has begun a line and not ended it."""
        return self._lines.inside

    @property
    def partial_line(self) -> bytes:
        """The line that the peer has begun and not ended; empty once it is known to be too long."""
        return self._lines.partial

    @property
    def at_line_start(self) -> bool:
        """Whether a line begins with the next byte, and the last line was a good one."""
        return not (self._bad_lines or self._lines.inside)

    def reconfigure(self, limits: LineLimits) -> None:
        """Use other bounds from now on, also for a line that has begun and not ended.

        Args:
            limits: The bounds on lines.
        """
        self._limits = limits
        self._lines.max_line = limits.max_line

    def receive_data(self, data: BytesLike) -> list[Event]:
        """Receive what the peer has sent, in pieces of any size.

        Nothing that a peer sends makes this raise. A line that can't be executed is an `Invalid`
        among the events, and the next line is parsed as if it had not been there. After
        `bad_lines` of them in a row, `ConnectionClosed` follows and the rest is ignored. All that a
        client sends after LOGOUT is ignored too.

        Args:
            data: The next bytes of the stream, any number of them.

        Returns:
            The events that they complete, in order; often none.
        """
        # Names and data are `bytes`, whatever kind of buffer the caller has read into.
        return list(self.parse(bytes(data)))

    def parse(self, data: bytes) -> Iterator[Event]:
        """The same as `receive_data`, but each line is parsed when its event is asked for.

        A caller may stop in the middle. Later it passes the lines whose events it has not taken
        once more.

        Args:
            data: Whole lines, if the caller wants to stop in the middle.

        Returns:
            One event for each line; after some, `ConnectionClosed` besides.
        """
        if (
            self._peer_is_done
            or self._lines.inside
            or self._bad_lines >= self._limits.bad_lines
            or (number := data.count(b"\n")) < RUN
        ):
            return self._parse_lines(data)
        end = data.rfind(b"\n") + 1
        run = decode_run(data[:end], number, self._limits.max_line)
        allowed = TRANSITIONS[self._state][self._our_role.peer]
        if not run or allowed.get(type(run[0])) is not self._state:
            return self._parse_lines(data)
        self._bad_lines = 0
        return chain(run, self._parse_lines(data[end:])) if end < len(data) else iter(run)

    def _parse_lines(self, data: bytes) -> Iterator[Event]:
        """Parse one line after the other."""
        if self._peer_is_done:
            return
        if self._bad_lines >= self._limits.bad_lines:
            # The caller stopped after the last bad line, before `ConnectionClosed`.
            yield self._close()
            return
        max_line = self._limits.max_line
        allowed = TRANSITIONS[self._state][self._our_role.peer]
        for line in self._lines.feed(data):
            event: Event
            try:
                if len(line) == max_line:
                    raise RemoteProtocolError(ErrorCode.LINE_TOO_LONG, "the line is too long")
                event = decode(line)
                state = allowed.get(type(event))
                if state is None:
                    raise RemoteProtocolError(*objection(self._our_role.peer, event))
            except RemoteProtocolError as error:
                self._bad_lines += 1
                yield Invalid(error.code, line, error.text)
                if self._bad_lines >= self._limits.bad_lines:
                    yield self._close()
                    return
                continue
            self._bad_lines = 0
            if state is not self._state or type(event) is Login:
                self._enter(state, event)
                allowed = TRANSITIONS[state][self._our_role.peer]
                self._peer_is_done = type(event) is Logout
            yield event
            if self._peer_is_done:
                return

    def receive_eof(self) -> list[Event]:
        """Receive the end of the peer's stream.

        Returns:
            An `Invalid` with TRUNCATED when the stream ended inside a line, which is never
            executed; then `ConnectionClosed`.
        """
        events: list[Event] = []
        partial = self._lines.partial
        if partial and not self._peer_is_done:
            events.append(
                Invalid(ErrorCode.TRUNCATED, partial, "the line has no end and was not executed")
            )
        events.append(self._close())
        return events

    def send(self, event: Command) -> bytes:
        """Send an event.

        Args:
            event: What to send.

        Returns:
            The bytes to write: one line.

        Raises:
            LocalProtocolError: This side may not send the event, or may not send it now, or the
                line is too long. The connection has not changed and can go on.
        """
        line = encode(event)
        if has_long_line(line, self._limits.max_line):
            raise LocalProtocolError(
                ErrorCode.LINE_TOO_LONG,
                f"the line has {len(line)} bytes, and {self._limits.max_line} are allowed",
            )
        state = TRANSITIONS[self._state][self._our_role].get(type(event))
        if state is None:
            raise LocalProtocolError(*objection(self._our_role, event))
        self._enter(state, event)
        return line

    def _close(self) -> ConnectionClosed:
        event = ConnectionClosed()
        self._enter(TRANSITIONS[self._state][self._our_role.peer][ConnectionClosed], event)
        self._peer_is_done = True
        return event

    def _enter(self, state: State, event: Event) -> None:
        """Make a transition. The only place that sets the state."""
        self._state = state
        if type(event) is Login:
            self._name = event.name
