"""Bounds on what a peer can make a server hold or do."""

from dataclasses import dataclass
from math import isfinite

from ..routing.limits import GroupLimits
from ..wire.limits import LineLimits, check_positive
from ..wire.names import NAME_MAX


@dataclass(frozen=True, kw_only=True)
class Limits(GroupLimits, LineLimits):
    """Bounds on what a peer can make this side hold or do.

    Raises:
        ValueError: A limit makes no sense.
    """

    max_name: int = NAME_MAX
    """Longest name in bytes that a connection may log in under."""

    max_connections: int | None = None
    """Most connections at once. None for as many as the process can have descriptors."""

    max_connections_per_address: int = 1000
    """Most connections at once from one IPv4 address or one IPv6 /64. The machine's own connections
    do not count."""

    handshake_timeout: float = 10.0
    """Seconds that a TLS handshake may take, its wait for its turn included. A PROXY header has to
    arrive in that time too."""

    max_handshakes: int = 300
    """Most TLS handshakes that are under way at once. Above that, the oldest from the network with
    the most is cut off. Each takes up to 160 kB of memory; a connection that has sent nothing yet
    is none."""

    login_timeout: float = 60.0
    """Seconds that a connection has to log in."""

    auth_timeout: float = 10.0
    """Seconds that the decision about a login may take."""

    hook_timeout: float = 10.0
    """Seconds that a hook which does not answer at once may take."""

    rate: float | None = None
    """Lines a second that the server executes for one connection in the long run. A connection may
    send one second's worth at once; the server reads what exceeds that later. None for no limit."""

    high_water: int = 1 << 16
    """Bytes in a send queue above which it is full. While it drains, senders wait for it until half
    of that is written. At most half of `queue_bytes` counts, and what
    leaves room for a line."""

    drain_rate: int = 1 << 14
    """Bytes a second that a full queue has to lose for senders to wait for it."""

    queue_age: float = 10.0
    """Seconds that a connection has to take what is queued for it; then it is closed. The server
    may notice only after twice that time. The time stands still while the server keeps the
    connection waiting. The close reason is SLOW_CONSUMER."""

    queue_bytes: int = 1 << 20
    """Most bytes queued for one connection; with more, it is closed. The close reason is
    FULL_QUEUE."""

    total_queue_bytes: int = 1 << 28
    """Most bytes queued for all connections together. Above that, the server closes the connections
    with the longest queues with FULL_QUEUES until a sixteenth is free. Bytes that waiting senders
    have sent count too."""

    linger: float = 10.0
    """Seconds that a connection which is being closed has to take what is queued for it."""

    close_timeout: float = 2.0
    """Seconds that a peer has to close its half once all is written; then the connection is cut."""

    log_lines: int = 600
    """Most log lines about one network in a minute. The others are left out and counted. This
    machine's own connections are one network."""

    grace: float = 10.0
    """Seconds that the shutdown of the whole server may take."""

    notice_burst: int = 50
    """Notices that the server sends one connection at once."""

    notice_rate: float = 20.0
    """Notices a second that the server sends one connection in the long run."""

    def __post_init__(self) -> None:
        LineLimits.__post_init__(self)
        GroupLimits.__post_init__(self)
        check_positive(
            self,
            (
                "max_connections_per_address",
                "handshake_timeout",
                "max_handshakes",
                "login_timeout",
                "auth_timeout",
                "hook_timeout",
                "high_water",
                "drain_rate",
                "queue_age",
                "queue_bytes",
                "linger",
                "close_timeout",
                "log_lines",
                "grace",
                "notice_burst",
                "notice_rate",
            ),
        )
        check_positive(
            self,
            [name for name in ("max_connections", "rate") if getattr(self, name) is not None],
        )
        if self.rate is not None and not isfinite(self.rate):
            raise ValueError("rate is finite, or None for no bound")
        if not 0 < self.max_name <= NAME_MAX:
            raise ValueError(f"max_name is 1 to {NAME_MAX} bytes")
        if self.queue_bytes < self.max_line:
            raise ValueError("queue_bytes is at least max_line, or one line could close a reader")
        if self.total_queue_bytes < self.queue_bytes:
            raise ValueError("total_queue_bytes is at least queue_bytes")
