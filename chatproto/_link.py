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

    __slots__ = ("closing", "connection", "name", "notices", "outbox", "peer")

    def __init__(self, peer: str, limits: Limits) -> None:
        self.peer = peer
        self.connection = ChatConnection(Role.SERVER, limits)
        # The name that the hub has accepted; the connection's own may have been refused.
        self.name: str | None = None
        self.outbox = bytearray()
        self.closing: CloseReason | None = None
        # Made with the first notice; most connections are never sent one.
        self.notices: RateLimiter | None = None
