"""The front of a send queue: a list of lines, or of several lines in one piece."""

from typing import Final

WRITE_SIZE: Final = 1 << 16
"""Bytes that are worth a write of their own."""


SMALL: Final = 128
"""A piece of fewer bytes takes noticeably more memory than it has bytes."""

PACKED: Final = 32
"""So many small pieces at the end of a queue are worth joining."""


def pack(queue: list[bytes]) -> None:
    """Join small pieces at the end of a queue that may stay long.

    Each piece takes some 50 bytes besides its own. With this, all of a queue takes no more than
    half as much again as it has bytes.
    """
    if len(queue) >= PACKED and len(queue[-PACKED]) < SMALL and len(queue[-1]) < SMALL:
        queue[-PACKED:] = [b"".join(queue[-PACKED:])]


def front(queue: list[bytes]) -> bytes:
    """What to write next: all of a short queue, about `WRITE_SIZE` bytes of a long one."""
    if len(queue) == 1:
        return queue[0]
    size = at = 0
    while at < len(queue) and size < WRITE_SIZE:
        size += len(queue[at])
        at += 1
    joined = b"".join(queue[:at])
    if at > 1:
        queue[:at] = [joined]
    return joined


def drop(queue: list[bytes], size: int) -> None:
    """Remove the first `size` bytes of a queue that has more."""
    at = 0
    while (piece := len(queue[at])) <= size:
        size -= piece
        at += 1
    queue[at] = queue[at][size:]
    del queue[:at]
