"""The front of a send queue: a list of lines, or of several lines in one piece."""

from typing import Final

WRITE_SIZE: Final = 1 << 16
"""Bytes that are worth a write of their own."""


SMALL: Final = 160
"""Average size in bytes below which pieces take noticeably more memory than their content."""

PACKED: Final = 32
"""How many pieces at the end of a queue are joined at once."""


def pack(queue: list[bytes]) -> None:
    """Join small pieces at the end of a queue that may stay long.

    Each piece takes some 50 bytes of memory besides its content. With packing, a queue takes at
    most 1.5 times the memory of its content. Call it after each new piece.
    """
    if not len(queue) % PACKED and queue:
        tail = b"".join(queue[-PACKED:])
        if len(tail) < PACKED * SMALL:
            queue[-PACKED:] = [tail]


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
