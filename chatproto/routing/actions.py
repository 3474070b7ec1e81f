"""What a hub wants done."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ..wire.errors import ErrorCode
from ..wire.events import Receive

ConnectionId = TypeVar("ConnectionId", bound=Hashable)
"""Whatever the caller tells connections apart by."""


@dataclass(slots=True)
class Deliver(Generic[ConnectionId]):
    """Write one message to some connections."""

    to: tuple[ConnectionId, ...]
    """The recipients; none twice."""

    message: Receive
    """What each of them gets."""


@dataclass(slots=True)
class Refuse(Generic[ConnectionId]):
    """Tell a connection that what it asked for was not done."""

    cid: ConnectionId
    """Who asked."""

    code: ErrorCode
    """Why not."""

    text: str
    """The same in words for people."""


@dataclass(slots=True)
class Disconnect(Generic[ConnectionId]):
    """End a connection. The hub has forgotten it."""

    cid: ConnectionId
    """Which."""

    code: ErrorCode | None
    """Why; None when it asked for that itself."""


Action: TypeAlias = Deliver[ConnectionId] | Refuse[ConnectionId] | Disconnect[ConnectionId]
"""What a hub wants done."""
