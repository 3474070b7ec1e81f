"""What a broker keeps for one connection."""

from ._connection import ChatConnection
from ._limits import Limits, RateLimiter
from ._records import CloseReason
from ._states import Role


class Link:
    """A connection, as far as a broker is concerned.

    Args:
        peer: Where it comes from, for the log.
        limits: What it may take.
    """

    __slots__ = (
        "closing",
        "connection",
        "done",
        "half_closed",
        "name",
        "notices",
        "outbox",
        "peer",
    )

    def __init__(self, peer: str, limits: Limits) -> None:
        self.peer = peer
        self.connection = ChatConnection(Role.SERVER, limits)
        # The name that the hub has accepted; the connection's own may have been refused.
        self.name: str | None = None
        self.outbox = bytearray()
        # Why it is to end. What is queued is written first; then our half is closed; then the peer
        # has a moment to close its own, because closing a socket on which something unread arrives
        # takes back what the peer has not read yet (RFC 1122, section 4.2.2.13).
        self.closing: CloseReason | None = None
        self.half_closed = False
        # Nothing of the peer is waited for: it has closed its half, or has been given up.
        self.done = False
        # Made with the first notice; most connections are never sent one.
        self.notices: RateLimiter | None = None
