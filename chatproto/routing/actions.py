"""What a hub wants done."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from ..wire.errors import ErrorCode
from ..wire.events import Receive

ConnectionId = TypeVar("ConnectionId", bound=Hashable)
"""The caller's id of a connection."""


# With `slots=True`, Python 3.11 can't make a frozen generic one as in `Deliver[int](...)`.


@dataclass(frozen=True, init=False)
class Deliver(Generic[ConnectionId]):
    """Write one message to some connections."""

    __slots__ = ("to", "message", "group")  # noqa: RUF023 - the order of the fields

    to: tuple[ConnectionId, ...]
    """The recipients; none twice."""

    message: Receive
    """What each of them gets."""

    group: str
    """The group that it was broadcast to; empty for a message to a user."""

    def __init__(self, to: tuple[ConnectionId, ...], message: Receive, group: str = "") -> None:
        # The slots' own setters take half of the time of `object.__setattr__`.
        _set_to(self, to)
        _set_message(self, message)
        _set_group(self, group)


_set_to, _set_message, _set_group = (getattr(Deliver, field).__set__ for field in Deliver.__slots__)


@dataclass(frozen=True)
class Refuse(Generic[ConnectionId]):
    """Tell a connection that its event was not executed."""

    __slots__ = ("cid", "code", "text")

    cid: ConnectionId
    """The connection that the event came from."""

    code: ErrorCode
    """Why not."""

    text: str
    """The same in words for people."""


@dataclass(frozen=True)
class Disconnect(Generic[ConnectionId]):
    """End a connection. The hub routes nothing to it any more."""

    __slots__ = ("cid", "code")

    cid: ConnectionId
    """The connection."""

    code: ErrorCode | None
    """Why; None when the connection asked for it."""


@dataclass(frozen=True, slots=True)
class Expire:
    """Tell the operators that a group has ended to make room. Nobody in it is online."""

    group: str
    """The group's name."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Tell the operators that somebody has added a user to a group."""

    group: str
    """The group's name."""

    member: str
    """The new member's name."""


@dataclass(frozen=True)
class Answer(Generic[ConnectionId]):
    """Answer a request to the service for groups (protocol.md, section 5)."""

    __slots__ = ("cid", "head", "names")

    cid: ConnectionId
    """The connection that the request came from."""

    head: str
    """The first words of each line of the answer."""

    names: tuple[str, ...]
    """The names that follow `head`, on as many lines as they need."""


Action: TypeAlias = (
    Deliver[ConnectionId]
    | Refuse[ConnectionId]
    | Disconnect[ConnectionId]
    | Answer[ConnectionId]
    | Expire
    | Joined
)
"""What a hub wants done."""
