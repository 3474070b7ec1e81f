"""How much of anything a peer may take."""

from dataclasses import dataclass
from math import isfinite

from .names import NAME_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one peer can make this side hold or do.

    Raises:
        ValueError: A limit makes no sense.
    """

    max_line: int = 4096
    """The longest line in octets, its LF included, in both directions. At least 512, so that every
    notice fits."""

    max_name: int = NAME_MAX
    """The longest name in octets that somebody may log in under."""

    max_connections: int | None = None
    """The most connections; None for as many as the adapter can carry."""

    max_connections_per_address: int = 1000
    """The most connections from one IPv4 address or one IPv6 /64. Those from the machine itself are
    not counted."""

    handshake_timeout: float = 10.0
    """Seconds that a TLS handshake may take."""

    login_timeout: float = 60.0
    """Seconds that a connection has to log in."""

    auth_timeout: float = 10.0
    """Seconds that it may take to decide whether somebody may log in."""

    rate: float | None = None
    """Lines a second that a connection may have acted on in the long run, after a second's worth at
    once; what it says faster is read later. None for any number."""

    max_groups: int = 100_000
    """The most groups."""

    max_groups_per_connection: int = 1000
    """The most groups that exist because one connection has made them."""

    max_members: int = 5000
    """The most members that a group may be made with."""

    bad_lines: int = 100
    """This many `Invalid` lines in a row close the connection."""

    high_water: int = 1 << 16
    """A queue of more octets than this is full: who has more for it waits until half of it is
    written. At most half of `queue_bytes` counts."""

    drain_rate: int = 1 << 14
    """A group waits for a member with a full queue only while it takes as many octets a second."""

    queue_age: float = 10.0
    """A connection that does not take what was queued for it so many seconds ago is closed with
    SLOW_CONSUMER. It is noticed after twice as long at the latest."""

    queue_bytes: int = 1 << 20
    """A connection for which more octets than this are waiting is closed with SLOW_CONSUMER."""

    total_queue_bytes: int = 1 << 28
    """When more octets than this wait for all connections together, or from senders that have to
    wait, those with the longest queues are closed with SLOW_CONSUMER, until a sixteenth is free."""

    linger: float = 10.0
    """Seconds that a connection which is about to be closed has to take what is queued for it."""

    goodbye: float = 2.0
    """Seconds that a connection for which all is written has to close its half; then it is cut."""

    grace: float = 10.0
    """Seconds that the end of the whole server may take."""

    notice_burst: int = 50
    """Notices that one connection may be sent at once."""

    notice_rate: float = 20.0
    """Notices a second that one connection may be sent in the long run."""

    def __post_init__(self) -> None:
        if self.max_line < 512:
            raise ValueError("max_line is at least 512 octets")
        for field in (
            "max_connections_per_address",
            "handshake_timeout",
            "login_timeout",
            "auth_timeout",
            "max_groups",
            "max_groups_per_connection",
            "max_members",
            "bad_lines",
            "high_water",
            "drain_rate",
            "queue_age",
            "queue_bytes",
            "linger",
            "goodbye",
            "grace",
            "notice_burst",
            "notice_rate",
        ):
            # Not "<= 0": NaN is neither.
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} is more than 0")
        for field in ("max_connections", "rate"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                raise ValueError(f"{field} is more than 0")
        if self.rate is not None and not isfinite(self.rate):
            raise ValueError("rate is finite, or None for any")
        if not 0 < self.max_name <= NAME_MAX:
            raise ValueError(f"max_name is 1 to {NAME_MAX} octets")
        if self.queue_bytes < self.max_line:
            raise ValueError("queue_bytes is at least max_line, or one line could close a reader")
        if self.total_queue_bytes < self.queue_bytes:
            raise ValueError("total_queue_bytes is at least queue_bytes")


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
