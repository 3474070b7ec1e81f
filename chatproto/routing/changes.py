"""Changes of groups, to be stored so that the groups outlive a hub."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class GroupMade:
    """A group exists now."""

    group: str
    """Its name."""
    creator: str
    """The name of the user who made it."""
    members: tuple[str, ...]
    """The names of its members, each once."""


@dataclass(frozen=True, slots=True)
class MemberAdded:
    """A group has one member more."""

    group: str
    """The group's name."""
    member: str
    """The member's name."""


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """A member has left a group, and others remain."""

    group: str
    """The group's name."""
    member: str
    """The member's name."""


@dataclass(frozen=True, slots=True)
class GroupEnded:
    """A group exists no more: its last member has left, or it made room for another one."""

    group: str
    """Its name."""


GroupChange: TypeAlias = GroupMade | MemberAdded | MemberLeft | GroupEnded
"""A change of a group."""
