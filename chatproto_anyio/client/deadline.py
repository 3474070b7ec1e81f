"""How long to wait."""

import contextlib
from collections.abc import Iterator
from typing import Final

import anyio

from chatproto import ChatTimeoutError

LOOK: Final = 0.001
"""Seconds in which an event loop gets round to looking."""


@contextlib.contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Cancel the block when it takes too long.

    Args:
        seconds: How long that is; None for no limit.

    Raises:
        ChatTimeoutError: It was cancelled for that.
    """
    # Even for no time at all, the event loop has to look once what has arrived.
    with anyio.move_on_after(None if seconds is None else max(seconds, LOOK)) as scope:
        yield
    if scope.cancelled_caught:
        raise ChatTimeoutError(f"it took longer than {seconds:g} s")
