"""Cuts a byte stream into lines, and never holds more than one of them."""

from typing import Final

# Integers: `LF in data` takes a tenth of the time of `b"\n" in data`.
CR: Final = 13
LF: Final = 10


def has_long_line(lines: bytes, max_line: int) -> bool:
    """Whether one of some lines is too long.

    Args:
        lines: Whole lines, one or more.
        max_line: The longest line in bytes, its LF included.
    """
    if len(lines) <= max_line:
        return False
    # A line that is too long fills at least one of these blocks of half the length, so that block
    # holds no LF. To search the blocks is much faster than to measure each line.
    half = max_line // 2
    if all(lines.find(b"\n", at, at + half) >= 0 for at in range(0, len(lines), half)):
        return False
    return max(map(len, lines.split(b"\n"))) >= max_line


class LineBuffer:
    """Collects bytes, gives lines.

    It looks at each byte a bounded number of times however the stream is cut, and keeps at most one
    line between calls.

    Args:
        max_line: The longest line in bytes, its LF included.
    """

    __slots__ = ("_discarding", "_partial", "max_line")

    def __init__(self, max_line: int) -> None:
        self.max_line: int = max_line
        """The longest line in bytes, its LF included. A change applies from the next `feed` on."""
        self._partial = bytearray()
        self._discarding = False

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes.

        Args:
            data: The next bytes of the stream.

        Returns:
            The lines that are complete now, without LF or CR LF. A line that is too long is
            returned once, as soon as that is known: its first `max_line` bytes. No other line has
            that many bytes. The rest of the long line is dropped, its LF included.
        """
        limit = self.max_line
        partial = self._partial
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines:
            if self._discarding:
                del lines[0]
                self._discarding = False
            elif partial:
                lines[0] = bytes(partial) + lines[0]
                partial.clear()
        # One pass in C decides whether any line needs a closer look. The CR of a first line may
        # have come with an earlier call.
        if lines and (max(map(len, lines)) >= limit or CR in data or lines[0].endswith(b"\r")):
            lines = [
                line[:limit] if len(line) >= limit else line.removesuffix(b"\r") for line in lines
            ]
        if not self._discarding:
            partial += rest
            if len(partial) >= limit:
                lines.append(bytes(partial[:limit]))
                partial.clear()
                self._discarding = True
        return lines

    @property
    def inside(self) -> bool:
        """Whether a line has begun and not ended yet."""
        return bool(self._partial) or self._discarding

    @property
    def partial(self) -> bytes:
        """The line that has begun and not ended yet; empty once it was returned as too long."""
        return bytes(self._partial)
