"""A connection's record."""

from collections.abc import Collection
from enum import Enum, auto
from math import ceil
from typing import Any

from ..wire.connection import ChatConnection
from ..wire.states import Role
from .close_reason import CloseReason
from .limits import Limits
from .rate_limiter import RateLimiter


class Phase(Enum):
    """How far a connection is towards its end."""

    OPEN = auto()
    """The server executes what it sends."""

    CLOSING = auto()
    """The server writes what is queued for it, and throws away what it sends."""

    HALF_CLOSED = auto()
    """All is written and our half of the stream has ended. The peer has a moment to end its
    half. If we closed a socket with unread data, the peer would lose what it has not read yet (RFC
    1122, section 4.2.2.13)."""

    ABORTED = auto()
    """Nothing more is written, and nothing is waited for."""


class Waiting(Enum):
    """What a connection waits for before the server executes the rest of what it has sent."""

    NOTHING = auto()
    """The server executes what it sends."""

    TURN = auto()
    """The others have their turn first."""

    RATE = auto()
    """It has sent more lines than `Limits.rate` allows."""

    QUEUE = auto()
    """The send queue of a recipient is full. The first unparsed line is partly executed."""

    LEDGER = auto()
    """The other nodes of the chat have to know of its first unparsed line."""

    ANSWER = auto()
    """A question about its first unparsed line is open: may it log in, or what do hooks say?"""


class Peer:
    """What a broker knows of a connection. Inside the broker, this object serves as its id.

    One module writes each field; the comments say which.

    Args:
        cid: The adapter's id of the connection.
        origin: Where it comes from, for the log.
        network: The network that it counts with; empty for none.
        limits: The bounds on it.
        address: The IP address that it comes from; empty for none.
    """

    __slots__ = (
        "address",
        "cid",
        "close_reason",
        "connection",
        "eof",
        "has_sent",
        "identities",
        "network",
        "notice_limiter",
        "number",
        "origin",
        "phase",
        "prefix",
        "queue",
        "queued_bytes",
        "rate_limiter",
        "undelivered",
        "unparsed",
        "waiting",
    )

    def __init__(
        self, cid: Any, origin: str, network: str, limits: Limits, address: str = ""
    ) -> None:
        # Set here for good.
        self.cid: Any = cid
        self.connection: ChatConnection = ChatConnection(Role.SERVER, limits)

        # Set here, and by `reconfigure`.
        self.rate_limiter: RateLimiter | None = _rate_limiter(limits)

        # dispatcher: where it comes from. A PROXY header may say that later.
        self.origin: str = origin
        self.address: str = address
        self.network: str = network

        # peers: how far it is towards its end, and why it ends; whether the peer's stream has
        # ended.
        self.phase: Phase = Phase.OPEN
        self.close_reason: CloseReason | None = None
        self.eof: bool = False

        # dispatcher: what it waits for.
        self.waiting: Waiting = Waiting.NOTHING

        # buffers: the send queue, which shares the object of a broadcast with other queues; the
        # bytes in it; what it has sent that is not executed yet; and the recipients that the first
        # message in that has not reached yet, if it has reached others.
        self.queue: list[bytes] = []
        self.queued_bytes: int = 0
        self.unparsed: bytes = b""
        self.undelivered: Collection[Peer] = ()

        # fast_path: the beginning of the lines that its recipients get, up to the data. Empty while
        # the general path has to look at each of its lines.
        self.prefix: bytes = b""

        # logins: the names that it has proved to own; None when nobody asked for a proof.
        self.identities: Collection[str] | None = None

        # event_log: its number in the order of acceptance; whether it has sent anything yet.
        self.number: int = 0
        self.has_sent: bool = False

        # notices: how many it gets. Made when it gets the first one.
        self.notice_limiter: RateLimiter | None = None

    def reconfigure(self, before: Limits, limits: Limits) -> None:
        """Use other bounds from now on.

        Args:
            before: The bounds up to now. A rate limiter whose bounds stay the same is kept, with
                what is used up.
            limits: The new bounds.
        """
        self.connection.reconfigure(limits)
        if limits.rate != before.rate:
            self.rate_limiter = _rate_limiter(limits)
        if (limits.notice_rate, limits.notice_burst) != (before.notice_rate, before.notice_burst):
            self.notice_limiter = None


def _rate_limiter(limits: Limits) -> RateLimiter | None:
    return None if limits.rate is None else RateLimiter(limits.rate, ceil(limits.rate))
