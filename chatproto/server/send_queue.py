"""A queue of what is to be written to a connection: lines, or several in one piece."""

from typing import Final

WRITE_SIZE: Final = 1 << 16
"""Octets that are worth a write of their own."""


def front(outbox: list[bytes]) -> bytes:
    """What is to be written of a queue next, which is not all of a long one."""
    if len(outbox) == 1:
        return outbox[0]
    size = at = 0
    while at < len(outbox) and size < WRITE_SIZE:
        size += len(outbox[at])
        at += 1
    joined = b"".join(outbox[:at])
    if at > 1:
        outbox[:at] = [joined]
    return joined


def drop(outbox: list[bytes], size: int) -> None:
    """Take so many octets off a queue that has more."""
    at = 0
    while (piece := len(outbox[at])) <= size:
        size -= piece
        at += 1
    outbox[at] = outbox[at][size:]
    del outbox[:at]
