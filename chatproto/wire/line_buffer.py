"""Cutting a byte stream into lines without ever holding much of it."""

from typing import Final

# Numbers, because to look for one in bytes takes a tenth of the time that bytes of one octet take.
CR: Final = 13
LF: Final = 10


class LineBuffer:
    """Collects octets, gives out lines.

    Each octet is looked at a bounded number of times however the stream is chopped, and no more
    than one line's worth is kept between calls.

    Args:
        max_line: The longest line in octets, its LF included.
    """

    __slots__ = ("_discarding", "_max_line", "_partial")

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._partial = bytearray()
        self._discarding = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived.

        Args:
            data: The next octets of the stream.

        Returns:
            The lines that are complete now, without LF or CR LF. An over-long line is reported
            once, as its first `max_line` octets, when it is known to be too long; it is the only
            kind of line to have that many. The rest of it is thrown away through its LF.
        """
        limit = self._max_line
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
        # One pass in C decides whether any line needs a second look. The CR of a first line may
        # have come with an earlier call.
        if lines and (max(map(len, lines)) >= limit or CR in data or lines[0].endswith(b"\r")):
            lines = [
                line[:limit] if len(line) >= limit else line.removesuffix(b"\r") for line in lines
            ]
        if not self._discarding:
            partial += rest[: limit - len(partial)]
            if len(partial) == limit:
                lines.append(bytes(partial))
                partial.clear()
                self._discarding = True
        return lines

    @property
    def inside(self) -> bool:
        """Whether a line has begun and not ended yet."""
        return bool(self._partial) or self._discarding

    @property
    def partial(self) -> bytes:
        """The line that has begun and not ended yet; empty when its report is already out."""
        return bytes(self._partial)
