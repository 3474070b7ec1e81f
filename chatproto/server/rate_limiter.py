"""How often something may happen."""


class RateLimiter:
    """A token bucket in one number (the generic cell rate algorithm of ITU-T I.371).

    Args:
        rate: How often a second in the long run.
        burst: How often at once.
    """

    __slots__ = ("_full_at", "_interval", "_window")

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1 / rate
        self._window = burst / rate
        self._full_at = float("-inf")

    def allow(self, now: float) -> bool:
        """Whether it may happen once more. If so, that counts as one time.

        Args:
            now: Seconds on any clock that does not run backwards.
        """
        full_at = max(self._full_at, now) + self._interval
        # A little slack, so that rounding errors never cost a burst its last event.
        if full_at - now > self._window + self._interval / 1000:
            return False
        self._full_at = full_at
        return True
