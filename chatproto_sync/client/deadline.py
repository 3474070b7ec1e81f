"""How long to wait, said once and kept to over several waits."""

import math
import time
from typing import Final

from chatproto import ChatTimeoutError

# Systems take no longer waits than some weeks. Whoever waits asks again.
_DAY: Final = 86400.0


class Deadline:
    """Until when to wait.

    Args:
        seconds: For how long from now; None for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._end = time.monotonic() + self._seconds

    def at_most(self, seconds: float | None) -> "Deadline":
        """This one, or one so many seconds from now if that is sooner."""
        other = Deadline(seconds)
        return other if other._end < self._end else self

    @property
    def passed(self) -> bool:
        """Whether the wait is over."""
        return time.monotonic() >= self._end

    def left(self) -> float | None:
        """Seconds to wait still, a day at the most; None for ever.

        Raises:
            ChatTimeoutError: There are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise ChatTimeoutError(f"it took longer than {self._seconds:g} s")
        return None if left == math.inf else min(left, _DAY)
