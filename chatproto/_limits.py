"""How much of anything a peer may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one peer can make this side hold or do.

    Raises:
        ValueError: A limit makes no sense.
    """

    max_line: int = 4096
    """The longest line in octets, its LF included, in both directions. At least 512, so that every
    notice fits."""

    bad_lines: int = 100
    """This many `Invalid` lines in a row close the connection."""

    queue_bytes: int = 1 << 20
    """A connection for which more octets than this are waiting is closed with SLOW_CONSUMER."""

    linger: float = 10.0
    """Seconds that a connection which is about to be closed has to take what is queued for it."""

    goodbye: float = 2.0
    """Seconds that a connection for which all is written has to close its half; then it is cut."""

    notice_burst: int = 50
    """Notices that one connection may be sent at once."""

    notice_rate: float = 20.0
    """Notices a second that one connection may be sent in the long run."""

    def __post_init__(self) -> None:
        if self.max_line < 512:
            raise ValueError("max_line is at least 512 octets")
        for field in (
            "bad_lines",
            "queue_bytes",
            "linger",
            "goodbye",
            "notice_burst",
            "notice_rate",
        ):
            # Not "<= 0": NaN is neither.
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} is more than 0")
        if self.queue_bytes < self.max_line:
            raise ValueError("queue_bytes is at least max_line, or one line could close a reader")


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
        """Whether it may happen once more, and if so, count it.

        Args:
            now: Seconds on any clock that does not run backwards.
        """
        full_at = max(self._full_at, now) + self._interval
        # A little slack, so that rounding never costs the burst its last one.
        if full_at - now > self._window + self._interval / 1000:
            return False
        self._full_at = full_at
        return True
