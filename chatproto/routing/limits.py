"""Bounds on groups, and on connections of one name."""

from dataclasses import dataclass

from ..wire.limits import check_positive


@dataclass(frozen=True, kw_only=True)
class GroupLimits:
    """Bounds on the groups and names of one hub.

    Raises:
        ValueError: A limit makes no sense.
    """

    max_groups: int = 100_000
    """Most groups at once."""

    max_groups_per_connection: int = 1000
    """Most groups at once that one connection has made."""

    max_members: int = 5000
    """Most members of a group."""

    max_memberships: int = 1_000_000
    """Most members of all groups together. When a new group or member needs room, groups in which
    nobody is online end, oldest first."""

    max_memberships_per_address: int = 100_000
    """Most groups that one IPv4 address or one IPv6 /64 has made, and their members. The machine's
    own groups count only in total."""

    max_connections_per_name: int = 16
    """Most connections that may be logged in under one name at once."""

    def __post_init__(self) -> None:
        check_positive(
            self,
            (
                "max_groups",
                "max_groups_per_connection",
                "max_members",
                "max_memberships",
                "max_memberships_per_address",
                "max_connections_per_name",
            ),
        )
