"""What is a matter of taste, and who may choose."""

from dataclasses import dataclass
from enum import Enum


class DuplicateLogin(Enum):
    """What a LOGIN under a name that another connection has does."""

    SHARE = "share"
    """Both have the name, and both get what is sent to it."""
    REJECT = "reject"
    """The newcomer is refused with NAME_IN_USE."""
    REPLACE = "replace"
    """The newcomer has the name; the others are disconnected with NAME_IN_USE."""


class Broadcasting(Enum):
    """Who may BROADCAST to a group."""

    MEMBERS = "members"
    """Its members, and whoever made it."""
    ANYONE = "anyone"
    """Everyone who is logged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is a matter of taste (the rows marked P of protocol.md, section 4)."""

    duplicate_login: DuplicateLogin = DuplicateLogin.SHARE
    """What a second connection under the same name does."""

    broadcasting: Broadcasting = Broadcasting.MEMBERS
    """Who may broadcast."""

    @classmethod
    def reference(cls) -> "Policy":
        """The choices of the server that CHAT/1.0 was published with."""
        return cls(duplicate_login=DuplicateLogin.SHARE, broadcasting=Broadcasting.ANYONE)
