"""Sockets that a server listens on."""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .addresses import check_address, resolve
from .unix import bind_unix, identity_of, unlink_unix

BACKLOG: Final = 4096
"""Most connections that may wait to be accepted. The system has its own, often lower, bound."""


class Listeners:
    """The sockets that a server listens on.

    Args:
        sockets: The sockets, listening and non-blocking; at least one.
        unix: The paths of the Unix sockets that the server made itself, each with what
            `identity_of` returned for it.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], unix: Mapping[str, tuple[int, int]] = {}
    ) -> None:
        self.sockets = sockets
        self._unix = unix

    def close(self) -> None:
        """Stop listening, and remove the Unix sockets from the file system."""
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
    """Listen on all addresses of a host, or on a Unix socket, or use sockets that listen already.

    Args:
        host: A host name or an IP address.
        port: The TCP port; 0 for a free one, the same for all addresses.
        unix: The path of a Unix socket; None for TCP.
        unix_mode: The file mode of that socket; None for the one that the umask yields.
        sockets: Sockets that listen already, in place of all these.

    Raises:
        OSError: An address does not resolve, or is not available. Nothing stays open.
        ValueError: There is no such port, or the path is empty.
    """
    check_address(port, unix)
    if sockets:
        for each in sockets:
            each.setblocking(False)
        return Listeners(sockets)
    if unix is not None:
        # Absolute, because the process may change its directory before it removes the socket.
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
