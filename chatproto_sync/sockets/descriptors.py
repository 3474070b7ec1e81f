"""How many connections the process can have."""

import contextlib
import resource
from dataclasses import replace
from typing import Final

from chatproto import Limits

RESERVE: Final = 64
"""Descriptors kept for files and pipes, for the few connections of the metrics port, and for
connections that are only told that there are too many."""


def use_all_descriptors() -> None:
    """Raise the number of descriptors that this process may open to the highest allowed one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says that any number is allowed, and then refuses it.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def fitted(limits: Limits) -> Limits:
    """Limits in which `max_connections` is a number, unless descriptors are unlimited."""
    if limits.max_connections is not None:
        return limits
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return limits
    return replace(limits, max_connections=max(most - min(RESERVE, most // 2), 1))
