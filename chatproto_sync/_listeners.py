"""Sockets that wait for connections."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from ._addresses import AF_UNIX, check_address, resolve

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
    check_address(port, unix)
    with contextlib.ExitStack() as stack:
        if unix is not None:
            # Absolute, so that it is found again at the end wherever the process is then.
            listeners = [stack.enter_context(_open_unix(os.path.abspath(unix)))]  # noqa: PTH100
        else:
            listeners = []
            for family, address in resolve(host, port):
                if listeners:
                    address = (address[0], listeners[0].getsockname()[1], *address[2:])
                listeners.append(stack.enter_context(_open_tcp(family, address)))
        stack.pop_all()
    return listeners


def close_listeners(listeners: Iterable[socket.socket]) -> None:
    """Stop listening, and take the names of Unix sockets out of the file system."""
    for listener in listeners:
        if listener.family == AF_UNIX:
            Path(listener.getsockname()).unlink(missing_ok=True)
        listener.close()


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
    if AF_UNIX is None:
        raise OSError("this platform has no Unix sockets")
    with _closing_on_error(socket.socket(AF_UNIX, socket.SOCK_STREAM)) as listener:
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
