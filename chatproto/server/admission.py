"""How many may come in, and from where."""

from collections import Counter

from ..wire.limits import Limits
from .log_events import CloseReason


class Admission:
    """Counts connections, altogether and for each address.

    Args:
        limits: How many of them there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = 0
        self._networks: Counter[str] = Counter()

    def enter(self, network: str) -> CloseReason | None:
        """Count a connection.

        Args:
            network: As `network_of` gives it.

        Returns:
            Why it can't stay; None when it can. It is to `leave` in any case.
        """
        self._total += 1
        if network:
            self._networks[network] += 1
        most = self._limits.max_connections
        if most is not None and self._total > most:
            return CloseReason.TOO_MANY_CONNECTIONS
        if self._networks[network] > self._limits.max_connections_per_address:
            return CloseReason.TOO_MANY_FROM_ADDRESS
        return None

    def leave(self, network: str) -> None:
        """Count a connection no more."""
        self._total -= 1
        if network:
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]


def network_of(address: str) -> str:
    """Whose connections count together.

    An IPv6 address counts with all of its /64, which is what one customer gets at the least
    (RFC 6177); one that stands for an IPv4 address (RFC 4291, section 2.5.5.2) counts as that.

    Args:
        address: An IP address; empty for a connection that has none.

    Returns:
        A key; empty where there is nothing to count: the machine's own addresses are whatever
        stands in front of this server.
    """
    if ":" not in address:
        return "" if address.startswith("127.") else address
    address = address.partition("%")[0]
    if address == "::1":
        return ""
    if address.startswith("::ffff:") and "." in address:
        return network_of(address.removeprefix("::ffff:"))
    head, gap, tail = address.partition("::")
    left, right = head.split(":") if head else [], tail.split(":") if tail else []
    if gap:
        left += ["0"] * (8 - len(left) - len(right)) + right
    return ":".join(left[:4]) + "::/64"
