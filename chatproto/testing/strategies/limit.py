"""Strategies for limits."""

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ...routing.limits import GroupLimits
from ...server.limits import Limits
from ...wire.limits import LineLimits
from ...wire.names import NAME_MAX

_counts: Final = st.integers(1, 1000)
_seconds: Final = st.floats(0.001, 3600)

# The ranges are such that any values fit together.
LINE_FIELDS: Final[dict[str, SearchStrategy[Any]]] = {
    "max_line": st.integers(512, 8192),
    "bad_lines": _counts,
}
GROUP_FIELDS: Final[dict[str, SearchStrategy[Any]]] = dict.fromkeys(
    (
        "max_groups",
        "max_groups_per_connection",
        "max_members",
        "max_memberships",
        "max_memberships_per_address",
        "max_connections_per_name",
    ),
    _counts,
)
FIELDS: Final[dict[str, SearchStrategy[Any]]] = {
    **LINE_FIELDS,
    **GROUP_FIELDS,
    "max_name": st.integers(1, NAME_MAX),
    "max_connections": st.none() | _counts,
    "max_connections_per_address": _counts,
    "handshake_timeout": _seconds,
    "max_handshakes": _counts,
    "login_timeout": _seconds,
    "auth_timeout": _seconds,
    "rate": st.none() | st.floats(0.1, 10_000),
    "high_water": st.integers(1, 1 << 20),
    "drain_rate": st.integers(1, 1 << 20),
    "queue_age": _seconds,
    "queue_bytes": st.integers(8192, 1 << 20),
    "total_queue_bytes": st.integers(1 << 20, 1 << 28),
    "linger": _seconds,
    "close_timeout": _seconds,
    "log_lines": _counts,
    "grace": _seconds,
    "notice_burst": _counts,
    "notice_rate": st.floats(0.1, 1000),
}


def limits() -> SearchStrategy[Limits]:
    """`Limits` with some fields changed, low ones above all. They shrink towards the default."""
    return st.fixed_dictionaries({}, optional=FIELDS).map(lambda fields: Limits(**fields))


def line_limits() -> SearchStrategy[LineLimits]:
    """The same for `LineLimits`."""
    return st.fixed_dictionaries({}, optional=LINE_FIELDS).map(lambda each: LineLimits(**each))


def group_limits() -> SearchStrategy[GroupLimits]:
    """The same for `GroupLimits`."""
    return st.fixed_dictionaries({}, optional=GROUP_FIELDS).map(lambda each: GroupLimits(**each))
