"""For how long a server did not serve its connections, as a histogram."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import ClassVar, Self


@dataclass(slots=True)
class LagHistogram:
    """The times in which a server served no further connection, counted by their length.

    One such time is a round of serving, or a delay of the event loop.
    """

    BOUNDS: ClassVar[tuple[float, ...]] = (
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1.0,
        2.5,
        5.0,
        10.0,
    )
    """The upper bounds of the ranges in seconds, each included. The last range has none."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LagHistogram.BOUNDS) + 1))
    """How many times lay in each range."""

    total: float = 0.0
    """The sum of all times in seconds."""

    def add(self, seconds: float) -> None:
        """Count one time.

        Args:
            seconds: How long it was.
        """
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1
        self.total += seconds

    def copy(self) -> Self:
        """The same numbers, which do not change any more."""
        return type(self)(self.counts.copy(), self.total)
