"""Who may not use a server: names, and addresses or networks."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from ..wire.errors import LocalProtocolError
from ..wire.names import check_name, check_unreserved

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""The IPv6 addresses that stand for IPv4 addresses (RFC 4291, section 2.5.5.2)."""


class Bans:
    """The bans of a server.

    A ban is a text: an IP address, a network such as `192.0.2.0/24`, or else a name.
    """

    def __init__(self) -> None:
        # Dicts for sets that keep their order.
        self._names: dict[str, None] = {}
        self._networks: dict[IPv4Network | IPv6Network, None] = {}
        self._changes: dict[str, bool] | None = None

    def note_changes(self) -> None:
        """Note what is banned and unbanned from now on, for `take_changes`."""
        self._changes = {}

    def take_changes(self) -> dict[str, bool]:
        """What was banned (True) or unbanned (False) since the last call, as `all` shows it.

        What cancels out is left out. Without `note_changes`, there is nothing.
        """
        changes = self._changes or {}
        if changes:
            self._changes = {}
        return changes

    def all(self) -> list[str]:
        """All bans, as `add` takes them: names first, then addresses and networks."""
        return [*self._names, *map(_shown, self._networks)]

    def add(self, what: str) -> bool:
        """Ban a name, an address or a network.

        Returns:
            Whether that is new.

        Raises:
            ValueError: It is none of these.
        """
        key = parse_ban(what)
        if isinstance(key, str):
            is_new = key not in self._names
            self._names[key] = None
        else:
            is_new = key not in self._networks
            self._networks[key] = None
        if is_new:
            self._note(key, banned=True)
        return is_new

    def remove(self, what: str) -> bool:
        """Lift a ban.

        Returns:
            Whether there was one.

        Raises:
            ValueError: It is no name, address or network.
        """
        key = parse_ban(what)
        if isinstance(key, str):
            found = key in self._names
            self._names.pop(key, None)
        else:
            found = key in self._networks
            self._networks.pop(key, None)
        if found:
            self._note(key, banned=False)
        return found

    def clear(self) -> None:
        """Lift all bans."""
        self._names.clear()
        self._networks.clear()

    def has_name(self, name: str) -> bool:
        """Whether a name is banned."""
        return name in self._names

    def has_address(self, address: str) -> bool:
        """Whether an address is banned, alone or with its network; an empty one never is."""
        if not self._networks or not address:
            return False
        ip = _unmapped(address)
        return any(ip in network for network in self._networks)

    def _note(self, key: str | IPv4Network | IPv6Network, *, banned: bool) -> None:
        if self._changes is not None:
            what = key if isinstance(key, str) else _shown(key)
            if self._changes.pop(what, None) is None:
                self._changes[what] = banned


def parse_ban(what: str) -> str | IPv4Network | IPv6Network:
    """What a text bans: a network, or else a name.

    Raises:
        ValueError: It is neither.
    """
    try:
        network = ip_network(what, strict=False)
    except ValueError:
        pass
    else:
        if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
            # Connections from there count with their IPv4 address.
            address = int(network.network_address) & 0xFFFFFFFF
            return IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))
        return network
    try:
        check_name(what)
        check_unreserved(what)
    except LocalProtocolError as error:
        raise ValueError(f"{what!r} is no name, address or network: {error.text}") from error
    return what


def describe_ban(what: str) -> str:
    """What a text bans, in words: `the name bob`, `the network 192.0.2.0/24`.

    A network with a typing error in it is a name, so say it to whoever has typed it.

    Raises:
        ValueError: It is no name, address or network.
    """
    banned = parse_ban(what)
    if isinstance(banned, str):
        return f"the name {banned}"
    kind = "address" if banned.num_addresses == 1 else "network"
    return f"the {kind} {_shown(banned)}"


def is_in(address: str, network: IPv4Network | IPv6Network) -> bool:
    """Whether an address is in a network; an empty one never is."""
    return bool(address) and _unmapped(address) in network


def _unmapped(address: str) -> IPv4Address | IPv6Address:
    """An address; the IPv4 address if it stands for one (RFC 4291, section 2.5.5.2)."""
    ip = ip_address(address)
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def _shown(network: IPv4Network | IPv6Network) -> str:
    is_address = network.num_addresses == 1
    return str(network.network_address if is_address else network)
