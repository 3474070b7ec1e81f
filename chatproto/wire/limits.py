"""Bounds on what the codec takes from one connection."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LineLimits:
    """Bounds on the lines of one connection.

    Raises:
        ValueError: A limit makes no sense.
    """

    max_line: int = 4096
    """Longest line in bytes, its LF included, in both directions. At least 512, so that every
    notice fits."""

    bad_lines: int = 100
    """Bad lines in a row after which a connection is closed."""

    def __post_init__(self) -> None:
        if self.max_line < 512:
            raise ValueError("max_line is at least 512 bytes")
        check_positive(self, ("bad_lines",))


def check_positive(limits: object, fields: Iterable[str]) -> None:
    """Refuse limits that are zero, negative or NaN.

    Args:
        limits: The object with the fields.
        fields: Their names.

    Raises:
        ValueError: One of them is not positive.
    """
    for field in fields:
        # `<= 0` would let NaN pass.
        if not getattr(limits, field) > 0:
            raise ValueError(f"{field} is more than 0")
