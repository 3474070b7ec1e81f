"""Sockets that wait for connections."""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .addresses import check_address, resolve
from .unix import bind_unix, identity_of, unlink_unix

BACKLOG: Final = 4096
"""How many connections may wait to be accepted; the kernel has its own, often lower, bound."""


class Listeners:
    """Sockets that a server listens on, non-blocking, at least one.

    Args:
        sockets: The sockets, which listen already.
        unix: The Unix sockets among them that are this server's own, and what `identity_of` gave.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], unix: Mapping[str, tuple[int, int]] = {}
    ) -> None:
        self.sockets = sockets
        self._unix = unix

    def close(self) -> None:
        """Stop listening, and take the names of Unix sockets out of the file system."""
        for listener in self.sockets:
            listener.close()
        for path, identity in self._unix.items():
            unlink_unix(path, identity)


def open_listeners(
    host: str,
    port: int,
    unix: str | os.PathLike[str] | None = None,
    unix_mode: int | None = None,
    sockets: Sequence[socket.socket] = (),
) -> Listeners:
    """Listen on every address that a host name stands for, or on a Unix socket instead.

    Args:
        host: A name or an address.
        port: The TCP port; 0 for one that is free, the same for all addresses.
        unix: The path of a Unix socket; None for TCP.
        unix_mode: Its file mode; None for what the umask makes of it.
        sockets: Sockets that listen already, instead of all that.

    Raises:
        OSError: An address does not resolve or is not to be had; nothing is left open.
        ValueError: There is no such port, or the path is empty.
    """
    check_address(port, unix)
    if sockets:
        for each in sockets:
            each.setblocking(False)
        return Listeners(sockets)
    if unix is not None:
        # Absolute, so that it is found again at the end wherever the process is then.
        path = os.path.abspath(unix)  # noqa: PTH100
        return Listeners([_open_unix(path, unix_mode)], {path: identity_of(path)})
    with contextlib.ExitStack() as stack:
        opened: list[socket.socket] = []
        for family, address in resolve(host, port):
            if opened:
                address = (address[0], opened[0].getsockname()[1], *address[2:])
            opened.append(stack.enter_context(_open_tcp(family, address)))
        stack.pop_all()
    return Listeners(opened)


def _open_tcp(family: int, address: Any) -> socket.socket:
    with _closing_on_error(socket.socket(family, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        _listen(listener)
    return listener


def _open_unix(path: str, mode: int | None) -> socket.socket:
    with _closing_on_error(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        bind_unix(listener, path, mode)
        _listen(listener)
    return listener


@contextlib.contextmanager
def _closing_on_error(sock: socket.socket) -> Iterator[socket.socket]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(sock)
        yield sock
        stack.pop_all()


def _listen(listener: socket.socket) -> None:
    listener.listen(BACKLOG)
    listener.setblocking(False)
