"""One end of one link: bytes in, events out; events in, bytes out."""

from typing import Final

from .codec import decode, decode_run, encode
from .errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from .events import Command, ConnectionClosed, Event, Invalid, Login, Logout
from .limits import Limits
from .line_buffer import LineBuffer
from .states import TRANSITIONS, Role, State, objection

RUN: Final = 8
"""The fewest lines that are worth a look whether they differ in their data only."""


class ChatConnection:
    """The protocol's state on one link (protocol.md, sections 1, 3 and 4).

    It does no I/O: give it what arrived, act on the events that come back, and write what `send`
    returns.

    Args:
        our_role: Which end this is.
        limits: `max_line` and `bad_lines` are the ones that count here.
    """

    __slots__ = ("_bad_lines", "_limits", "_lines", "_name", "_our_role", "_peer_is_done", "_state")

    def __init__(self, our_role: Role, limits: Limits = Limits()) -> None:
        self._our_role = our_role
        self._limits = limits
        self._lines = LineBuffer(limits.max_line)
        self._state = State.ANONYMOUS
        self._name: str | None = None
        self._bad_lines = 0
        # The peer has said its last: LOGOUT, or the end of its stream. Not the same as CLOSED: a
        # client that has logged out itself still hears what the server had under way.
        self._peer_is_done = False

    @property
    def our_role(self) -> Role:
        """Which end this is."""
        return self._our_role

    @property
    def state(self) -> State:
        """How far the link has come."""
        return self._state

    @property
    def name(self) -> str | None:
        """The name in the last LOGIN that passed; None before the first."""
        return self._name

    @property
    def inside(self) -> bool:
        """Whether the peer has begun a line and not ended it."""
        return self._lines.inside

    @property
    def undisturbed(self) -> bool:
        """Whether a line begins with the next octet, and the last one was a good one."""
        return not (self._bad_lines or self._lines.inside)

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take what the peer sent, in pieces of any size.

        Nothing that a peer sends makes this raise. A line that can't be obeyed is an `Invalid`
        among the events, and the next line is read as if it had not been there. `Limits.bad_lines`
        of them in a row are too many: `ConnectionClosed` follows and the rest is not read. After a
        LOGOUT nothing that the client says counts.

        Args:
            data: The next octets of the stream, any number of them.

        Returns:
            What they complete, in order; often nothing.
        """
        events: list[Event] = []
        if self._peer_is_done:
            return events
        max_line = self._limits.max_line
        allowed = TRANSITIONS[self._state][self._our_role.peer]
        # A reader may have used another kind of buffer; names and data are bytes.
        data = bytes(data)
        if not self._lines.inside and (number := data.count(b"\n")) >= RUN:
            end = data.rfind(b"\n") + 1
            run = decode_run(data[:end], number, max_line)
            if run and allowed.get(type(run[0])) is self._state:
                self._bad_lines = 0
                events += run
                data = data[end:]
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
                events.append(Invalid(error.code, line, error.text))
                self._bad_lines += 1
                if self._bad_lines == self._limits.bad_lines:
                    events.append(self._close())
                    break
                continue
            self._bad_lines = 0
            events.append(event)
            if state is not self._state or type(event) is Login:
                self._enter(state, event)
                if type(event) is Logout:
                    self._peer_is_done = True
                    break
                allowed = TRANSITIONS[state][self._our_role.peer]
        return events

    def receive_eof(self) -> list[Event]:
        """Take the end of the peer's stream.

        Returns:
            An `Invalid` with TRUNCATED when the stream ended inside a line, which is never run;
            then `ConnectionClosed`.
        """
        events: list[Event] = []
        partial = self._lines.partial
        if partial and not self._peer_is_done:
            events.append(
                Invalid(ErrorCode.TRUNCATED, partial, "the line has no end and was not run")
            )
        events.append(self._close())
        return events

    def send(self, event: Command) -> bytes:
        """Say something.

        Args:
            event: What to say.

        Returns:
            The octets to write: one line.

        Raises:
            LocalProtocolError: It is not ours to say, not now, or does not fit into a line. The
                connection is as it was before and can go on.
        """
        line = encode(event)
        if len(line) > self._limits.max_line:
            raise LocalProtocolError(
                ErrorCode.LINE_TOO_LONG,
                f"the line has {len(line)} octets, and {self._limits.max_line} are allowed",
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
        """Follow a transition. The only place that sets the state."""
        self._state = state
        if type(event) is Login:
            self._name = event.name
