"""What a broker keeps for one connection."""

from collections.abc import Collection
from math import ceil
from typing import Any

from ..wire.connection import ChatConnection
from ..wire.events import Event
from ..wire.limits import Limits, RateLimiter
from ..wire.states import Role
from .log_events import CloseReason


class Link:
    """A connection, as far as a broker is concerned. Inside of it, it is its own id.

    Args:
        cid: What the adapter knows it by.
        peer: Where it comes from, for the log.
        network: Whose connections it counts with; empty for nobody's.
        limits: What it may take.
    """

    __slots__ = (
        "backlog",
        "cid",
        "closing",
        "connection",
        "done",
        "events",
        "half_closed",
        "heading",
        "heard",
        "held",
        "identities",
        "name",
        "network",
        "news",
        "notices",
        "outbox",
        "pace",
        "peer",
        "queued",
        "reached",
        "undisturbed",
    )

    def __init__(self, cid: Any, peer: str, network: str, limits: Limits) -> None:
        self.cid = cid
        self.peer = peer
        self.network = network
        # The names that it may log in under; None for any.
        self.identities: Collection[str] | None = None
        self.connection = ChatConnection(Role.SERVER, limits)
        # The name that the hub has accepted; the connection's own may have been refused.
        self.name: str | None = None
        # What is queued for it, as it was queued: a broadcast is the same object in every queue.
        # And how many octets that is.
        self.outbox: list[bytes] = []
        self.queued = 0
        # Why it is to end. What is queued is written first; then our half is closed; then the peer
        # has a moment to close its own, because closing a socket on which something unread arrives
        # takes back what the peer has not read yet (RFC 1122, section 4.2.2.13).
        self.closing: CloseReason | None = None
        self.half_closed = False
        # Nothing of the peer is waited for: it has closed its half, or has been given up.
        self.done = False
        # It has to wait before anything else that it says is acted on, which is kept here: events
        # that are parsed already, then octets that are not.
        self.held = False
        self.events: list[Event] = []
        self.backlog = b""
        # Who has what the first of these events says already; None when it has not been begun.
        self.reached: frozenset[Link] | None = None
        # What its messages begin with for those who get them, up to the data. Empty until it is
        # logged in and once it is to end, and for those whose lines are counted one by one.
        self.heading = b""
        # Whether a line of it begins with the next octet, and the last one was a good one.
        self.undisturbed = True
        # Whether it has said anything yet.
        self.heard = False
        # How much it may be told, and how much of what it does is told of, both made when they are
        # needed first; and how much it may say.
        self.notices: RateLimiter | None = None
        self.news: RateLimiter | None = None
        self.pace = None if limits.rate is None else RateLimiter(limits.rate, ceil(limits.rate))
