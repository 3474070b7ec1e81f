"""The header in which a balancer names the client: the PROXY protocol, versions 1 and 2.

HAProxy's proxy-protocol.txt defines it. A balancer that forwards a connection puts the header in
front of all else. A sender of a header can claim any address. So the server expects headers from
certain networks only. From there each connection has to begin with one: the server never guesses.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

UNIX: Final = "unix"
"""The network that all connections through a Unix socket come from."""

MAX_HEADER: Final = 4096
"""Most bytes of a header. Addresses take 232 at most; the rest is for extensions."""

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_LINE_START: Final = b"PROXY "
_UNKNOWN: Final = b"PROXY UNKNOWN"

_LONGEST_LINE: Final = 107
"""Most bytes of a line of version 1, its CRLF included."""

_PORT: Final = "(0|[1-9][0-9]{0,4})"
_LINE: Final = re.compile(rf"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) {_PORT} {_PORT}")
_PORT_MAX: Final = 65535

# Version 2: what the 13th and 14th byte say.
_VERSION: Final = 2
_LOCAL: Final = 0
_PROXY: Final = 1
_ADDRESS_BYTES: Final = (0, 12, 36, 216)
"""How many bytes the addresses of each family take: none, IPv4, IPv6, Unix."""
_TRANSPORTS: Final = 3
"""How many transports there are: none, stream, datagram."""
_TCP4: Final = 0x11
_TCP6: Final = 0x21


class ProxyHeaderError(ValueError):
    """A connection does not begin with a valid PROXY header. The message says why."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header."""

    size: int
    """How many bytes it takes."""

    address: str
    """The client's IP address. It is empty when the header names none, as for a health check of the
    balancer or a client without an IP address. Then the connection's own address counts."""

    port: int
    """The client's port; 0 without an address."""


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Parse the header of a connection.

    Args:
        data: All that has arrived since the beginning of the stream. It may go on after the header.

    Returns:
        The header; None while it is not complete. It is complete, or wrong, after `MAX_HEADER`
        bytes at most.

    Raises:
        ProxyHeaderError: No valid header begins with these bytes.
    """
    if data.startswith(_SIGNATURE):
        return _parse_binary(data)
    if data.startswith(_LINE_START):
        return _parse_line(data)
    if _SIGNATURE.startswith(data) or _LINE_START.startswith(data):
        return None
    raise ProxyHeaderError("the connection does not begin with one")


def _parse_line(data: bytes) -> ProxyHeader | None:
    """Parse version 1 (section 2.1)."""
    line, end, _ = data[:_LONGEST_LINE].partition(b"\r\n")
    is_unknown = line == _UNKNOWN or line.startswith(_UNKNOWN + b" ")
    if not end:
        if len(line) == _LONGEST_LINE:
            raise ProxyHeaderError(f"its line is longer than {_LONGEST_LINE} bytes")
        if b"\n" in line and not is_unknown:
            raise ProxyHeaderError("its line does not end with CRLF")
        return None
    size = len(line) + len(end)
    if is_unknown:
        return ProxyHeader(size, "", 0)
    match = _LINE.fullmatch(line.decode("latin-1"))
    if match is None:
        raise ProxyHeaderError("its line does not follow the grammar")
    kind = IPv4Address if match[1] == "4" else IPv6Address
    try:
        source, _ = kind(match[2]), kind(match[3])
    except ValueError as error:
        raise ProxyHeaderError(f"an address is wrong: {error}") from None
    if max(int(match[4]), int(match[5])) > _PORT_MAX:
        raise ProxyHeaderError(f"a port is greater than {_PORT_MAX}")
    return ProxyHeader(size, _text(source), int(match[4]))


def _parse_binary(data: bytes) -> ProxyHeader | None:
    """Parse version 2 (section 2.2)."""
    at = len(_SIGNATURE)
    head = data[at : at + 4]
    if not head:
        return None
    version, command = divmod(head[0], 16)
    if version != _VERSION:
        raise ProxyHeaderError(f"version {version} is not known")
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"command {command} is not known")
    expected = 0
    if command == _PROXY and len(head) > 1:
        family, transport = divmod(head[1], 16)
        if family >= len(_ADDRESS_BYTES):
            raise ProxyHeaderError(f"address family {family} is not known")
        if transport >= _TRANSPORTS:
            raise ProxyHeaderError(f"transport {transport} is not known")
        expected = _ADDRESS_BYTES[family]
    at += len(head)
    length = int.from_bytes(head[2:])
    if len(head) < 4:
        return None
    if length < expected:
        raise ProxyHeaderError(f"{length} bytes have no room for its addresses")
    size = at + length
    if size > MAX_HEADER:
        raise ProxyHeaderError(f"it has {size} bytes, and {MAX_HEADER} are allowed")
    if len(data) < size:
        return None
    if command == _PROXY and head[1] == _TCP4:
        source: IPv4Address | IPv6Address = IPv4Address(data[at : at + 4])
        port = data[at + 8 : at + 10]
    elif command == _PROXY and head[1] == _TCP6:
        source = IPv6Address(data[at : at + 16])
        port = data[at + 32 : at + 34]
    else:
        return ProxyHeader(size, "", 0)
    return ProxyHeader(size, _text(source), int.from_bytes(port))


def _text(source: IPv4Address | IPv6Address) -> str:
    """An address as the system writes it. One in IPv6 that stands for IPv4 becomes IPv4."""
    mapped = source.ipv4_mapped if isinstance(source, IPv6Address) else None
    return str(mapped or source)


class ProxyNetworks:
    """The networks whose connections begin with a PROXY header. `in` tells if an address is there.

    Args:
        networks: One or several: IP networks such as `10.0.0.0/8` and `2001:db8::/32`, addresses,
            and `unix` for all that comes through a Unix socket.

    Raises:
        ValueError: One of them is not a valid network.
    """

    def __init__(self, networks: str | Iterable[str]) -> None:
        given = {networks} if isinstance(networks, str) else set(networks)
        self._unix = UNIX in given
        self._networks = [ip_network(each) for each in given - {UNIX}]

    def __contains__(self, address: str) -> bool:
        """Whether connections from an IP address begin with a header.

        Args:
            address: The address; empty for a connection through a Unix socket.
        """
        if not address:
            return self._unix
        if not self._networks:
            return False
        ip = ip_address(address)
        if isinstance(ip, IPv6Address):
            ip = ip.ipv4_mapped or ip
        return any(ip in network for network in self._networks)
