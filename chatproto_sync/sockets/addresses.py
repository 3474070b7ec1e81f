"""Addresses of clients and servers, and the options that every connected socket gets."""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from ssl import SSLContext, create_default_context
from typing import Any, Final, Generic, TypeVar

from chatproto import ChatURL

TransportT = TypeVar("TransportT")

DEFAULT_HOST: Final = "127.0.0.1"
"""Where servers listen, and clients connect to."""

DEFAULT_PORT: Final = 3333
"""The TCP port of CHAT/1.0 (protocol.md)."""

PORT_MAX: Final = 65535
"""The highest TCP port."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[TransportT]):
    """Where a client connects to."""

    host: str
    """A host name or an IP address."""
    port: int
    """The TCP port."""
    unix: str | os.PathLike[str] | None
    """The path of a Unix socket; None for TCP."""
    transport: TransportT | None
    """A connection that exists already; None for one that is to be made."""
    ssl: SSLContext | None
    """The context for TLS; None for no TLS."""
    server_hostname: str | None
    """The host name that the server's certificate has to be for; None for any."""

    def __str__(self) -> str:
        if self.transport is not None:
            return type(self.transport).__name__
        if self.unix is not None:
            return f"unix:{os.fspath(self.unix)}"
        return join(self.host, self.port)


def make_endpoint(
    host: str,
    port: int,
    unix: str | os.PathLike[str] | None,
    transport: TransportT | None,
    ssl: SSLContext | bool,
    server_hostname: str | None,
) -> Endpoint[TransportT]:
    """Combine the parameters of `connect` that say where to connect to.

    Raises:
        ValueError: The parameters contradict each other, or the host is a URL of another form.
    """
    if "://" in host:
        if unix is not None or transport is not None:
            raise ValueError("a URL, a Unix socket and a transport exclude one another")
        url = ChatURL.parse(host)
        if url.port is not None and port not in (DEFAULT_PORT, url.port):
            raise ValueError(f"the port is in the URL already, so port={port} has no use")
        if ssl and not url.tls:
            raise ValueError("chat:// is without TLS, so write chats://, or leave out ssl")
        host, port, ssl = url.host, url.port or port, ssl or url.tls
    check_address(port, unix)
    check_host(host)
    host = without_brackets(host)
    if unix is not None and transport is not None:
        raise ValueError("a transport is connected already, so unix has no use")
    context = create_default_context() if ssl is True else ssl or None
    if context is None:
        if server_hostname is not None:
            raise ValueError("server_hostname has no use without ssl")
    elif server_hostname is None:
        if unix is None and transport is None:
            server_hostname = host
        elif context.check_hostname:
            raise ValueError("ssl needs server_hostname here, to know whose certificate to expect")
    return Endpoint(host, port, unix, transport, context, server_hostname)


def check_address(port: int, unix: str | os.PathLike[str] | None) -> None:
    """Refuse addresses that the system would take for other ones.

    Raises:
        ValueError: There is no such port, or the path of the Unix socket is empty.
    """
    if not 0 <= port <= PORT_MAX:
        # Resolvers take it modulo 65536.
        raise ValueError(f"a port is 0 to {PORT_MAX}")
    if unix is not None and not os.fspath(unix):
        # Linux would make up a name in its abstract namespace.
        raise ValueError("the path of a Unix socket is not empty")
    if unix is not None and "\0" in os.fspath(unix):
        raise ValueError("the path of a Unix socket has no zero bytes")


def check_host(host: str) -> None:
    """Refuse a host that has its port with it, or that is the path of a Unix socket.

    Raises:
        ValueError: It is neither a host name nor an IP address.
    """
    if ":" in host or "/" in host:
        try:
            ip_address(without_brackets(host))
        except ValueError:
            raise ValueError(
                f"{host!r} is neither a host name nor an IP address: a port and the path of a Unix"
                " socket stand apart"
            ) from None


def without_brackets(host: str) -> str:
    """A host without the brackets that an IPv6 address has in front of a port."""
    if host.startswith("[") and host.endswith("]") and ":" in host:
        return host[1:-1]
    return host


def resolve(host: str, port: int) -> Iterable[tuple[int, Any]]:
    """The addresses of a host, each once, with their families.

    Raises:
        OSError: The host has no address.
    """
    try:
        infos = socket.getaddrinfo(without_brackets(host), port, type=socket.SOCK_STREAM)
    except ValueError as error:
        # A label that is empty or longer than 63 bytes, or a zero byte.
        raise OSError(f"{host!r} is not a host name") from error
    # A hosts file may list an address twice.
    return dict.fromkeys((family, address) for family, *_, address in infos)


def prepare(sock: socket.socket) -> None:
    """Set a connected socket up for many small writes, and for peers that vanish.

    After about 90 seconds, the system notices that a peer does not answer. It counts the seconds of
    silence, by keepalive (RFC 9293, section 3.8.4), or those of unacknowledged data (RFC 5482).

    Raises:
        OSError: The connection is gone already.
    """
    sock.setblocking(False)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _OPTIONS:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


# Keepalive: seconds of silence before the first probe, seconds between probes, number of probes.
# Then the milliseconds in which data has to be acknowledged. Then the bytes that the system takes
# beyond those on their way: with many more, it would report room so rarely that a slow reader
# looks like one that has stopped. macOS has only some of these options.
_OPTIONS: Final = [
    (getattr(socket, name), value)
    for name, value in (
        ("TCP_KEEPIDLE", 60),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 90_000),
        ("TCP_NOTSENT_LOWAT", 16_384),
    )
    if hasattr(socket, name)
]


def host_of(address: Any, family: int) -> str:
    """The IP address in an address that `socket.accept` returned; empty for a Unix socket."""
    return "" if family == socket.AF_UNIX else str(address[0])


def describe(address: Any, family: int) -> str:
    """An address for people: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`, `unix`.

    Args:
        address: As `socket.getsockname` and `socket.accept` return it.
        family: The family of the socket.
    """
    if family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(address)}" if address else "unix"
    return join(*address[:2])


def join(host: str, port: int) -> str:
    """A host and a port in one word, an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
    host = without_brackets(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
