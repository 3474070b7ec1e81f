"""How many connections the process can have."""

import contextlib
import resource
from dataclasses import replace
from typing import Final

from chatproto import Limits

RESERVE: Final = 64
"""Descriptors kept for everything that is no connection, and for connections that are only told
that there are too many."""


def use_all_descriptors() -> None:
    """Have this process open as many descriptors as it may be allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS allows any number, and refuses to have it asked for.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def fitted(limits: Limits) -> Limits:
    """The limits; if they do not say how many connections, as many as there are descriptors for."""
    if limits.max_connections is not None:
        return limits
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return limits
    return replace(limits, max_connections=max(most - min(RESERVE, most // 2), 1))
