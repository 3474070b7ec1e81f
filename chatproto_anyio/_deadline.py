"""How long to wait."""

import contextlib
from collections.abc import Iterator

import anyio

from chatproto import ChatTimeoutError


@contextlib.contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Cancel the block when it takes too long.

    Args:
        seconds: How long that is; None for no limit.

    Raises:
        ChatTimeoutError: It was cancelled for that.
    """
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise ChatTimeoutError(f"it took longer than {seconds:g} s")
