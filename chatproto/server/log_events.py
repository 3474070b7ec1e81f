"""What a server tells those who run it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from ..wire.events import Event, Group, Leave, Login, Logout
from ..wire.visible import visible, visible_name


class EventKind(StrEnum):
    """What a `LogEvent` is about. The value is fit for a log."""

    ACCEPTED = "accepted"
    """A new connection has sent its first bytes."""

    LOGGED_IN = "logged in"
    """The server has executed a LOGIN; the subject is empty."""

    LOGIN_REFUSED = "login refused"
    """The server has refused a LOGIN; the subject is the `ErrorCode`, and why."""

    HANDSHAKE_FAILED = "handshake failed"
    """The TLS handshake of a connection has failed; the subject is why, in OpenSSL's words."""

    BAD_PROXY_HEADER = "bad PROXY header"
    """A connection from a balancer's network has begun without a PROXY header, or with a wrong one;
    the subject is what is wrong."""

    GROUP_MADE = "group made"
    """The server has executed a GROUP; the subject is the group."""

    MEMBER_ADDED = "member added"
    """The server has added a member to a group because somebody has asked for it; the subject is
    the new member, and the group."""

    LEFT = "left"
    """The server has executed a LEAVE; the subject is the group."""

    GROUP_EXPIRED = "group expired"
    """A group has ended to make room for the peer's new one, or for a member that the peer has
    added, because nobody in it is online; the subject is the group."""

    LOGGED_OUT = "logged out"
    """The server has executed a LOGOUT."""

    CLOSED = "closed"
    """A connection is gone; the subject is its `CloseReason`."""

    PROBED = "probed"
    """The same for a connection that has never sent anything, as a health check does it."""

    AUTHENTICATE_FAILED = "authenticate failed"
    """The application could not decide whether the connection may log in under the name; the
    subject is the error."""

    LEFT_OUT = "left out"
    """There was more about a network than `Limits.log_lines`; the peer is the network, and the
    subject is how many lines were left out."""

    TURNED_AWAY = "turned away"
    """The server could not take a connection on; the subject is the `CloseReason`. The log tells
    of one a second at most."""


LOGGED: Final[dict[type[Event], EventKind]] = {
    Login: EventKind.LOGGED_IN,
    Logout: EventKind.LOGGED_OUT,
    Group: EventKind.GROUP_MADE,
    Leave: EventKind.LEFT,
}
"""The events that the log tells of when the server has executed them."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line for the log. `str()` escapes the parts that peers chose."""

    kind: EventKind
    """What happened."""

    peer: str
    """Where the connection comes from, as the adapter named it."""

    name: str | None
    """The name that it is logged in under, or wants to have; None for neither."""

    subject: str = ""
    """What it is about; see `EventKind`."""

    @property
    def important(self) -> bool:
        """Whether it belongs in an ordinary log, and not only in one for debugging."""
        return self.kind is not EventKind.PROBED

    @property
    def is_error(self) -> bool:
        """Whether something is wrong with the application, so that somebody has to look at it."""
        return self.kind is EventKind.AUTHENTICATE_FAILED

    def __str__(self) -> str:
        peer, subject = visible_name(self.peer), visible_name(self.subject)
        who = peer if self.name is None else f"{visible_name(self.name)} ({peer})"
        match self.kind:
            case EventKind.ACCEPTED:
                return f"accepted from {peer}"
            case EventKind.GROUP_MADE:
                return f"group made {subject} by {who}"
            case EventKind.MEMBER_ADDED:
                return f"member added {subject} by {who}"
            case EventKind.GROUP_EXPIRED:
                return f"group expired {subject}: nobody in it is online, and {peer} needs room"
            case EventKind.LEFT:
                return f"left {subject}: {who}"
            case EventKind.LOGGED_IN | EventKind.LOGGED_OUT:
                return f"{self.kind} {who}"
            case EventKind.CLOSED | EventKind.PROBED | EventKind.TURNED_AWAY:
                return f"{self.kind} {who}: {subject}"
            case EventKind.LOGIN_REFUSED | EventKind.HANDSHAKE_FAILED | EventKind.BAD_PROXY_HEADER:
                return f"{self.kind} {who}: {visible(self.subject)}"
            case EventKind.AUTHENTICATE_FAILED:
                return f"authenticate failed for {who}: {visible(self.subject)}"
            case EventKind.LEFT_OUT:
                return f"left out {subject} lines about {peer}"
            case _:
                assert_never(self.kind)
