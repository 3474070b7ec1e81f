"""How long a block may wait."""

import contextlib
from collections.abc import Iterator
from typing import Final

import anyio

from chatproto import ChatTimeoutError

MINIMUM: Final = 0.001
"""The shortest wait in seconds: in it, an event loop sees what has arrived already."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Cancel the block when it takes too long.

    Args:
        seconds: How long it may take; None for no limit. Even with 0, the block receives what has
            arrived already.

    Raises:
        ChatTimeoutError: It has taken too long.
    """
    with anyio.move_on_after(None if seconds is None else max(seconds, MINIMUM)) as scope:
        yield
    if scope.cancelled_caught:
        raise ChatTimeoutError(f"it took longer than {seconds:g} s")
