"""How many connections there may be, and from where."""

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network

from .close_reason import CloseReason
from .limits import Limits


class Admission:
    """Counts connections, in total and by network.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = 0
        self._networks: Counter[str] = Counter()

    def reconfigure(self, limits: Limits) -> None:
        """Use other bounds from now on. Connections that have entered stay."""
        self._limits = limits

    def enter(self, network: str) -> CloseReason | None:
        """Count a connection. Call `leave` when it ends, even if it can't stay.

        Args:
            network: As `network_of` gives it.

        Returns:
            Why it can't stay; None when it can.
        """
        self._total += 1
        reason = self.move(network)
        most = self._limits.max_connections
        if most is not None and self._total > most:
            return CloseReason.TOO_MANY_CONNECTIONS
        return reason

    def move(self, network: str) -> CloseReason | None:
        """Count a connection with a network, if it had none when it entered.

        Args:
            network: As `network_of` gives it.

        Returns:
            Why it can't stay; None when it can.
        """
        if network:
            self._networks[network] += 1
        if self._networks[network] > self._limits.max_connections_per_address:
            return CloseReason.TOO_MANY_FROM_ADDRESS
        return None

    def leave(self, network: str) -> None:
        """Stop counting a connection."""
        self._total -= 1
        if network:
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]


def network_of(address: str) -> str:
    """The network whose connections count together.

    An IPv6 address counts with its /64, which is the least that one customer gets (RFC 6177).
    An IPv6 address that stands for an IPv4 address (RFC 4291, section 2.5.5.2) counts as that.

    Args:
        address: An IP address; empty for a connection that has none.

    Returns:
        A key. It is empty for a connection that counts in no network: one without an address, or
        one from this machine, where a proxy may stand in front of this server.
    """
    if not address:
        return ""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback:
        return ""
    return str(ip_network((ip.packed, 64), strict=False) if ip.version == 6 else ip)
