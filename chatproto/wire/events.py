"""Everything that can happen on a connection, as immutable values (protocol.md, section 1).

The constructors check their arguments, so every command follows the grammar. A field of the
wrong type raises TypeError.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, TypeAlias, TypeVar, final

from .errors import ErrorCode, LocalProtocolError
from .names import check_name, check_unreserved

BytesLike: TypeAlias = bytes | bytearray | memoryview
"""The types in which data and streams are accepted. All but `bytes` are copied."""


@final
@dataclass(frozen=True, slots=True)
class Login:
    """Client to server: name this connection, or rename it.

    Raises:
        LocalProtocolError: BAD_NAME, or NAME_RESERVED when it starts with `*`.
    """

    name: str
    """The connection's name from now on; 1 to 64 bytes of UTF-8."""

    def __post_init__(self) -> None:
        check_name(self.name)
        check_unreserved(self.name)


@final
@dataclass(frozen=True, slots=True)
class Logout:
    """Client to server: the last command of this client."""


@final
@dataclass(frozen=True, slots=True, init=False)
class Send:
    """Client to server: deliver data to every connection of one user.

    Args:
        to: The recipient's name.
        data: What to deliver; kept as bytes.

    Raises:
        LocalProtocolError: BAD_NAME for the recipient, MALFORMED for data that no line can hold.
    """

    to: str
    """The recipient's name."""

    data: bytes
    """What to deliver; any bytes but LF, not ending with CR."""

    def __init__(self, to: str, data: BytesLike) -> None:
        check_name(to)
        object.__setattr__(self, "to", to)
        object.__setattr__(self, "data", _checked(data))


@final
@dataclass(frozen=True, slots=True, init=False)
class Broadcast:
    """Client to server: deliver data to every other connection of a group's members.

    Args:
        group: The group's name.
        data: What to deliver; kept as bytes.

    Raises:
        LocalProtocolError: BAD_NAME for the group, MALFORMED for data that no line can hold.
    """

    group: str
    """The group's name."""

    data: bytes
    """What to deliver; any bytes but LF, not ending with CR."""

    def __init__(self, group: str, data: BytesLike) -> None:
        check_name(group)
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "data", _checked(data))


@final
@dataclass(frozen=True, slots=True, init=False)
class Group:
    """Client to server: make a group of exactly these members.

    Args:
        name: The group's name.
        members: Their names, in any iterable; kept as a tuple.

    Raises:
        LocalProtocolError: BAD_NAME or NAME_RESERVED, for the group or any member.
    """

    name: str
    """The group's name."""

    members: tuple[str, ...]
    """The members' names; may be empty."""

    def __init__(self, name: str, members: Iterable[str] = ()) -> None:
        if isinstance(members, str):
            raise TypeError("members is an iterable of names, not one str")
        members = tuple(members)
        for each in (name, *members):
            check_name(each)
            check_unreserved(each)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "members", members)


@final
@dataclass(frozen=True, slots=True)
class Leave:
    """Client to server: take this user off a group.

    Raises:
        LocalProtocolError: BAD_NAME.
    """

    group: str
    """The group's name."""

    def __post_init__(self) -> None:
        check_name(self.group)


@final
@dataclass(frozen=True, slots=True, init=False)
class Receive:
    """Server to client: somebody sent you data.

    Args:
        sender: The sender's name.
        data: What was sent; kept as bytes.

    Raises:
        LocalProtocolError: BAD_NAME for the sender, MALFORMED for data that no line can hold.
    """

    sender: str
    """The sender's name; `*server*` for the server's own notices."""

    data: bytes
    """What was sent; any bytes but LF, not ending with CR. Escape it before you show it."""

    def __init__(self, sender: str, data: BytesLike) -> None:
        check_name(sender)
        object.__setattr__(self, "sender", sender)
        object.__setattr__(self, "data", _checked(data))


@final
@dataclass(frozen=True, slots=True)
class Invalid:
    """The peer has sent a line that can't be executed. That alone does not end the connection."""

    code: ErrorCode
    """Why the line can't be executed."""

    line: bytes
    """The line without its end; for a line that is too long, its first `max_line` bytes."""

    text: str = field(default="", compare=False)
    """What is wrong with it, in words for people. Two events that differ only here are equal."""


@final
@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """Nothing more will come from the peer."""


Command: TypeAlias = Login | Logout | Send | Broadcast | Group | Leave | Receive
"""The events that travel as a line."""

Event: TypeAlias = Command | Invalid | ConnectionClosed
"""What `ChatConnection` returns."""


def _checked(data: BytesLike) -> bytes:
    if not isinstance(data, bytes):
        if not isinstance(data, bytearray | memoryview):
            hint = "; encode() makes bytes of it" if isinstance(data, str) else ""
            raise TypeError(f"data is bytes, not {type(data).__name__}{hint}")
        # A copy, because the caller may change its buffer later.
        data = bytes(data)
    if b"\n" in data or data.endswith(b"\r"):
        raise LocalProtocolError(ErrorCode.MALFORMED, "data holds no LF and does not end with CR")
    return data


_T = TypeVar("_T")
_First = TypeVar("_First")
_Second = TypeVar("_Second")


def unchecked(cls: Callable[[_First, _Second], _T]) -> Callable[[_First, _Second], _T]:
    """A second constructor for a frozen dataclass with two fields and slots.

    It takes a quarter of the time, because it skips the checks and uses the slots' own setters. Its
    caller has checked the values.
    """
    slots: Any = cls
    set_first, set_second = (getattr(slots, field).__set__ for field in slots.__slots__)
    new = slots.__new__

    def make(first: _First, second: _Second) -> _T:
        value: _T = new(slots)
        set_first(value, first)
        set_second(value, second)
        return value

    return make


def unchecked_run(
    cls: Callable[[str, bytes], _T],
) -> Callable[[Iterable[str], Sequence[bytes]], list[_T]]:
    """The same for many events at once, in two thirds of the time: all its loops are in C."""
    slots: Any = cls
    set_first, set_second = (getattr(slots, field).__set__ for field in slots.__slots__)
    new = slots.__new__

    def make(firsts: Iterable[str], seconds: Sequence[bytes]) -> list[_T]:
        events: list[_T] = list(map(new, repeat(slots, len(seconds))))
        # A deque without room is the fastest way to exhaust an iterator.
        deque(map(set_first, events, firsts), 0)
        deque(map(set_second, events, seconds), 0)
        return events

    return make
