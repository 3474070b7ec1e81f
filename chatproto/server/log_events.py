"""What a server has to tell those who run it: what happened, why links ended, and counts."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, assert_never

from ..wire.errors import ErrorCode
from ..wire.events import Event, Group, Leave, Login, Logout


class Happening(StrEnum):
    """What a `Record` is about. The value is fit for a log."""

    ACCEPTED = "accepted"
    """A connection was taken on, and has said something."""
    LOGGED_IN = "logged in"
    """A LOGIN was obeyed; the subject is empty."""
    GROUP_MADE = "group made"
    """A GROUP was obeyed; the subject is the group."""
    LEFT = "left"
    """A LEAVE was obeyed; the subject is the group."""
    LOGGED_OUT = "logged out"
    """A LOGOUT was obeyed."""
    CLOSED = "closed"
    """A connection is gone; the subject is its `CloseReason`."""
    PROBED = "probed"
    """The same, of a connection that has never said anything."""
    TURNED_AWAY = "turned away"
    """A connection could not be taken on; the subject is the `CloseReason`. Not more than one a
    second is told of."""


RECORDED: Final[dict[type[Event], Happening]] = {
    Login: Happening.LOGGED_IN,
    Logout: Happening.LOGGED_OUT,
    Group: Happening.GROUP_MADE,
    Leave: Happening.LEFT,
}
"""The events that the log tells of when they are obeyed."""


class CloseReason(StrEnum):
    """Why the server has ended a connection, or found it ended."""

    LOGGED_OUT = "logged out"
    """LOGOUT."""
    EOF = "end of stream"
    """The peer closed without LOGOUT."""
    LOST = "connection lost"
    """The transport failed: a reset, or no way to reach the peer."""
    BAD_LINES = "too many bad lines"
    """`Limits.bad_lines`."""
    REPLACED = "replaced"
    """Another connection took its name over (`DuplicateLogin.REPLACE`)."""
    SLOW_CONSUMER = "slow consumer"
    """`Limits.queue_age`."""
    FULL_QUEUE = "slow consumer, its queue is full"
    """`Limits.queue_bytes`."""
    FULL_QUEUES = "slow consumer, all queues together are full"
    """`Limits.total_queue_bytes`."""
    SHUTTING_DOWN = "shutting down"
    """The server ends."""
    TOO_MANY_CONNECTIONS = "too many connections"
    """`Limits.max_connections`."""
    TOO_MANY_FROM_ADDRESS = "too many connections from one address"
    """`Limits.max_connections_per_address`."""
    HANDSHAKE_TIMEOUT = "no TLS handshake in time"
    """`Limits.handshake_timeout`."""
    LOGIN_TIMEOUT = "no login in time"
    """`Limits.login_timeout`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line for the log. `str()` gives it with what peers chose made safe to show."""

    happening: Happening
    """What happened."""

    peer: str
    """Where the connection comes from, as the adapter named it."""

    name: str | None
    """Who is logged in on it; None when nobody is."""

    subject: str = ""
    """What it is about; see `Happening`."""

    @property
    def important(self) -> bool:
        """Whether it belongs into a log that is not kept for finding faults."""
        return self.happening is not Happening.PROBED

    def __str__(self) -> str:
        peer, subject = visible(self.peer), visible(self.subject)
        who = peer if self.name is None else f"{visible(self.name)} ({peer})"
        match self.happening:
            case Happening.ACCEPTED:
                return f"accepted from {peer}"
            case Happening.GROUP_MADE:
                return f"group made {subject} by {who}"
            case Happening.LEFT:
                return f"left {subject}: {who}"
            case Happening.LOGGED_IN | Happening.LOGGED_OUT:
                return f"{self.happening} {who}"
            case Happening.CLOSED | Happening.PROBED | Happening.TURNED_AWAY:
                return f"{self.happening} {who}: {subject}"
            case _:
                assert_never(self.happening)


@dataclass(slots=True)
class Counters:
    """How much has happened since the broker was made, and how much there is now."""

    connections: int = 0
    """Connections now."""

    users: int = 0
    """Names that are logged in now."""

    groups: int = 0
    """Groups now."""

    queued: int = 0
    """Octets that wait to be written now, or to be acted on."""

    waiting: int = 0
    """Senders that have to wait now, because a queue is full."""

    accepted: int = 0
    """Connections taken on."""

    logins: int = 0
    """LOGINs obeyed."""

    messages: int = 0
    """SENDs and BROADCASTs that had a recipient."""

    deliveries: int = 0
    """Messages put into recipients' queues; a broadcast counts once for each."""

    paused: int = 0
    """How often a connection had to wait before one more line, because of `Limits.rate`."""

    octets_in: int = 0
    """Octets read."""

    octets_out: int = 0
    """Octets written."""

    refusals: Counter[ErrorCode] = field(default_factory=Counter)
    """Lines refused, whether a notice told of them or not."""

    closes: Counter[CloseReason] = field(default_factory=Counter)
    """Connections ended."""


def visible(text: str) -> str:
    """Text that a peer chose, safe for a terminal and a log: what does not print is escaped."""
    return "".join(
        each if each.isprintable() and each != "\\" else each.encode("unicode_escape").decode()
        for each in text
    )
