"""The choices that the protocol leaves open."""

from dataclasses import dataclass
from enum import Enum

from ..wire.visible import has_invisible


class DuplicateLogin(Enum):
    """What happens at a LOGIN under a name that another connection has."""

    SHARE = "share"
    """Both connections have the name, and both get what is sent to it."""
    REJECT = "reject"
    """The new connection is refused with NAME_IN_USE."""
    REPLACE = "replace"
    """The new connection gets the name; the others are disconnected with NAME_IN_USE."""


class Broadcasting(Enum):
    """Who may BROADCAST to a group."""

    MEMBERS = "members"
    """Its members, and the user who made it."""
    ANYONE = "anyone"
    """Every user who is logged in."""


class NameRule(Enum):
    """Which names a server takes, for users and groups, of those that the grammar allows."""

    ANY = "any"
    """All of them."""
    VISIBLE = "visible"
    """Those of code points that people can see: names that hold others look like one another.
    Joiners are others, so emoji that are made of several are not taken in names, and neither are
    the words of Persian and other languages that hold one."""
    DISTINCT = "distinct"
    """The same; and no two users are online whose names are equal after NFKC normalization and case
    folding (The Unicode Standard, section 3.13), such as `bob` and `BOB`. None of them equals a
    reserved name in that."""

    def forbids(self, *names: str) -> bool:
        """Whether one of some names may not be taken, because people can't see all of it."""
        return self is not NameRule.ANY and has_invisible(" ".join(names))


class Adding(Enum):
    """Who may add members to a group."""

    CREATOR = "creator"
    """The user who made it."""
    MEMBERS = "members"
    """Its members, and the user who made it."""
    NOBODY = "nobody"
    """Nobody: a group keeps the members that it was made with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The choices that the protocol leaves open (the rows marked P in protocol.md, section 4)."""

    duplicate_login: DuplicateLogin = DuplicateLogin.SHARE
    """What happens when a second connection logs in under a name."""

    broadcasting: Broadcasting = Broadcasting.MEMBERS
    """Who may broadcast to a group."""

    names: NameRule = NameRule.VISIBLE
    """Which names the server accepts."""

    adding: Adding = Adding.CREATOR
    """Who may add members to a group."""

    services: bool = True
    """Whether the server answers requests to `*groups*` (section 5). With notices off, it does
    not."""

    @classmethod
    def reference(cls) -> "Policy":
        """The choices of the server that CHAT/1.0 was published with."""
        return cls(
            duplicate_login=DuplicateLogin.SHARE,
            broadcasting=Broadcasting.ANYONE,
            names=NameRule.ANY,
            adding=Adding.NOBODY,
            services=False,
        )
