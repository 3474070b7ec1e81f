"""Bounds on groups."""

from dataclasses import dataclass

from ..wire.limits import check_positive


@dataclass(frozen=True, kw_only=True)
class GroupLimits:
    """Bounds on the groups of one hub.

    Raises:
        ValueError: A limit makes no sense.
    """

    max_groups: int = 100_000
    """Most groups."""

    max_groups_per_connection: int = 1000
    """Most groups that exist because one connection has made them."""

    max_members: int = 5000
    """Most members that a group may be made with."""

    def __post_init__(self) -> None:
        check_positive(self, ("max_groups", "max_groups_per_connection", "max_members"))
