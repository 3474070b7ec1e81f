"""How long to wait: stated once, and kept to over several waits."""

import math
import time
from collections.abc import Callable
from typing import Final

from chatproto import ChatTimeoutError

DAY: Final = 86400.0
"""The longest single wait in seconds: systems refuse waits of some weeks. Callers wait again."""


class Deadline:
    """When to stop waiting.

    Args:
        seconds: How long from now; None for ever.
        monotonic: The clock; None for the system's.
    """

    def __init__(self, seconds: float | None, monotonic: Callable[[], float] | None = None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._monotonic = monotonic or time.monotonic
        self._end = self._monotonic() + self._seconds
        self._is_last_pass = False

    def at_most(self, seconds: float | None) -> "Deadline":
        """This deadline, or the one that many seconds from now if that is sooner."""
        other = Deadline(seconds, self._monotonic)
        return other if other._end < self._end else self

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return self._monotonic() >= self._end

    def left(self) -> float | None:
        """Seconds that are left, a day at the most; None for ever.

        Call it in each pass of a loop that waits, also in a pass that has something to do: a peer
        may send without a pause. The first call after the deadline returns 0, for a last pass. So
        even with 0 seconds, the caller receives what has arrived already.

        Raises:
            ChatTimeoutError: The last pass is over too.
        """
        left = self._end - self._monotonic()
        if left <= 0:
            if self._is_last_pass:
                raise ChatTimeoutError(f"it took longer than {self._seconds:g} s")
            self._is_last_pass = True
            return 0.0
        return None if left == math.inf else min(left, DAY)
