"""Sockets that wait for connections, and what to call the ends of a connection."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

PORT_MAX: Final = 65535
"""The highest TCP port."""

BACKLOG: Final = 4096
"""How many connections may wait to be accepted; the kernel has its own, often lower, bound."""


def open_listeners(
    host: str, port: int, unix: str | os.PathLike[str] | None
) -> list[socket.socket]:
    """Listen on every address that a host name stands for, or on a Unix socket instead.

    Args:
        host: A name or an address.
        port: The TCP port; 0 for one that is free, the same for all addresses.
        unix: The path of a Unix socket; None for TCP.

    Returns:
        Non-blocking sockets, at least one.

    Raises:
        OSError: An address does not resolve or is not to be had; nothing is left open.
        ValueError: There is no such port, or the path is empty.
    """
    if not 0 <= port <= PORT_MAX:
        # Resolvers take it modulo 65536.
        raise ValueError(f"a port is 0 to {PORT_MAX}")
    if unix is not None and not os.fspath(unix):
        # Linux would make up a name in its abstract namespace.
        raise ValueError("the path of a Unix socket is not empty")
    with contextlib.ExitStack() as stack:
        if unix is not None:
            # Absolute, so that it is found again at the end wherever the process is then.
            listeners = [stack.enter_context(_open_unix(os.path.abspath(unix)))]  # noqa: PTH100
        else:
            listeners = []
            for family, address in _resolve(host, port):
                if listeners:
                    address = (address[0], listeners[0].getsockname()[1], *address[2:])
                listeners.append(stack.enter_context(_open_tcp(family, address)))
        stack.pop_all()
    return listeners


def close_listeners(listeners: Iterable[socket.socket]) -> None:
    """Stop listening, and take the names of Unix sockets out of the file system."""
    for listener in listeners:
        if listener.family == _AF_UNIX:
            Path(listener.getsockname()).unlink(missing_ok=True)
        listener.close()


def prepare(sock: socket.socket) -> None:
    """Make an accepted socket fit for many small writes that nobody waits for.

    Raises:
        OSError: The connection is gone already.
    """
    sock.setblocking(False)
    if sock.family != _AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def describe(address: Any, family: int) -> str:
    """An address for people: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`, `unix`.

    Args:
        address: As `socket.getsockname` and `socket.accept` give it.
        family: The socket's.
    """
    if family == _AF_UNIX:
        return f"unix:{os.fsdecode(address)}" if address else "unix"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# Not every platform has them.
_AF_UNIX: Final = getattr(socket, "AF_UNIX", None)


def _resolve(host: str, port: int) -> Iterable[tuple[int, Any]]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        # Where an empty label or one of over 63 octets fails.
        raise OSError(f"{host!r} is not a host name") from error
    # A host file may list an address twice.
    return dict.fromkeys((family, address) for family, *_, address in infos)


def _open_tcp(family: int, address: Any) -> socket.socket:
    with _closing_on_error(socket.socket(family, socket.SOCK_STREAM)) as listener:
        if os.name == "posix":
            # Elsewhere this option means that two servers may share a port by accident.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _listen(listener, address)
    return listener


def _open_unix(path: str) -> socket.socket:
    if _AF_UNIX is None:
        raise OSError("this platform has no Unix sockets")
    with _closing_on_error(socket.socket(_AF_UNIX, socket.SOCK_STREAM)) as listener:
        _listen(listener, path)
    return listener


@contextlib.contextmanager
def _closing_on_error(sock: socket.socket) -> Iterator[socket.socket]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(sock)
        yield sock
        stack.pop_all()


def _listen(listener: socket.socket, address: Any) -> None:
    listener.bind(address)
    listener.listen(BACKLOG)
    listener.setblocking(False)
