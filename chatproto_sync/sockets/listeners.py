"""Sockets that a server listens on."""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from .addresses import DEFAULT_HOST, check_address, check_host, describe, join, resolve
from .unix import bind_unix, identity_of, unlink_unix

BACKLOG: Final = 4096
"""Most connections that may wait to be accepted. The system has its own, often lower, bound."""

EVERYWHERE: Final = "*"
"""The host that stands for all addresses of the machine, IPv4 and IPv6."""

ATTEMPTS: Final = 20
"""How many times to look for a port that is free on all addresses."""

Path: TypeAlias = str | os.PathLike[str]
"""The path of a Unix socket."""

_WILDCARDS: Final = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104
_LOOPBACKS: Final = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_NAMES: Final = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}

_Address: TypeAlias = tuple[int, Any]
"""A family, and an address for `socket.bind`."""

_logger: Final = logging.getLogger("chatproto.server")


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
    host: str | Sequence[str] | None,
    port: int,
    unix: Path | Sequence[Path] | None = None,
    unix_mode: int | None = None,
    sockets: Sequence[socket.socket] = (),
    reuse_port: bool = False,
) -> Listeners:
    """Listen on all addresses of hosts and on Unix sockets, or use sockets that listen already.

    Where a host has addresses of several families, and the machine lacks one of the families, the
    log has a warning, and the others are used.

    Args:
        host: A host name or an IP address, or several; `*` for all addresses of the machine. None
            for 127.0.0.1, or for none if there is a Unix socket.
        port: The TCP port; 0 for a free one, the same for all addresses.
        unix: The path of a Unix socket, or several; None for none.
        unix_mode: The file mode of these sockets; None for the one that the umask yields.
        sockets: Sockets that listen already, in place of all these.
        reuse_port: Whether other processes of the same user may listen on the same TCP port, if
            they ask for that too.

    Raises:
        OSError: An address does not resolve, or is not available. The error has it as `filename`.
            Nothing stays open.
        ValueError: There is no such port, a host or a path is empty, there is nothing to listen on,
            `unix_mode` or `reuse_port` has no use, or one of the sockets does not listen.
    """
    hosts = [host] if isinstance(host, str) else [*(host or ())]
    paths = [unix] if isinstance(unix, str | os.PathLike) else [*(unix or ())]
    if host is None and not paths:
        hosts = [DEFAULT_HOST]
    for each in (None, *paths):
        check_address(port, each)
    if not all(hosts):
        raise ValueError("a host is not empty; * stands for all addresses")
    for each in hosts:
        check_host(each)
    if unix_mode is not None and not paths:
        raise ValueError("unix_mode has no use without unix")
    if reuse_port and not hosts:
        raise ValueError("reuse_port has no use without a host")
    if sockets:
        for sock in sockets:
            try:
                check_listening(sock)
            except ValueError as error:
                raise ValueError(f"can't use {sock}: {error}") from None
            sock.setblocking(False)
        return Listeners(sockets)
    if not hosts and not paths:
        raise ValueError("there is no host and no Unix socket to listen on")
    opened: list[socket.socket] = []
    made: dict[str, tuple[int, int]] = {}
    listeners = Listeners(opened, made)
    with contextlib.ExitStack() as stack:
        stack.callback(listeners.close)
        opened += _open_hosts(hosts, port, reuse_port=reuse_port)
        # Absolute, because the process may change its directory before it removes the socket.
        for path in dict.fromkeys(os.path.abspath(each) for each in paths):  # noqa: PTH100
            with _naming(f"unix:{path}"):
                opened.append(_open_unix(path, unix_mode))
                made[path] = identity_of(path)
        stack.pop_all()
    return listeners


def _open_hosts(hosts: Sequence[str], port: int, *, reuse_port: bool) -> list[socket.socket]:
    """Listen on all addresses of some hosts."""
    by_host: dict[str, list[_Address]] = {}
    for host in hosts:
        with _naming(join(host, port)):
            by_host[host] = _addresses_of(host, port)
    for left in reversed(range(ATTEMPTS)):
        try:
            return _open_addresses(by_host, reuse_port=reuse_port)
        except OSError as error:
            # The port that was free on one address may be in use on the next.
            if port or error.errno != errno.EADDRINUSE or not left:
                raise
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _addresses_of(host: str, port: int) -> list[_Address]:
    if host == EVERYWHERE:
        return [(family, (address, port)) for family, address in _WILDCARDS.items()]
    return [*resolve(host, port)]


def _open_addresses(
    by_host: Mapping[str, Sequence[_Address]], *, reuse_port: bool
) -> list[socket.socket]:
    wanted = dict.fromkeys(each for addresses in by_host.values() for each in addresses)
    # The wildcard of a family covers all its addresses, and each can have only one socket.
    wild = {family: address for family, address in wanted if _is_wildcard(family, address)}
    opened: dict[_Address, socket.socket] = {}
    missing: dict[_Address, OSError] = {}
    with contextlib.ExitStack() as stack:
        for family, address in wanted:
            if wild.get(family, address) != address:
                continue
            port = address[1]
            if opened and not port:
                port = next(iter(opened.values())).getsockname()[1]
            try:
                with _naming(describe(address, family)):
                    where = (address[0], port, *address[2:])
                    listener = _open_tcp(family, where, reuse_port=reuse_port)
            except OSError as error:
                if not _is_missing(family, error):
                    raise
                missing[family, address] = error
            else:
                opened[family, address] = stack.enter_context(listener)
        _check_missing(by_host, missing)
        stack.pop_all()
    return [*opened.values()]


def _check_missing(
    by_host: Mapping[str, Sequence[_Address]], missing: Mapping[_Address, OSError]
) -> None:
    """Warn of addresses whose family the machine lacks.

    Raises:
        OSError: A host has no other addresses.
    """
    families = {family for family, _ in missing}
    for addresses in by_host.values():
        if all(family in families for family, _ in addresses):
            raise next(error for key, error in missing.items() if key[0] == addresses[0][0])
    for (family, _), error in missing.items():
        _logger.warning(
            "not listening on %s: this machine has no %s",
            error.filename,
            _NAMES[socket.AddressFamily(family)],
        )


def _is_wildcard(family: int, address: Any) -> bool:
    return bool(address[0] == _WILDCARDS.get(socket.AddressFamily(family)))


def _is_missing(family: int, error: OSError) -> bool:
    """Whether an address can't be had because the machine lacks its whole family."""
    if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
        return False
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((_LOOPBACKS[socket.AddressFamily(family)], 0))
    except OSError:
        return True
    return False


@contextlib.contextmanager
def _naming(where: str) -> Iterator[None]:
    """Have errors name the place, as those about files do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise OSError(errno.EINVAL, str(error), where) from error
        error.filename = where
        raise


def check_listening(sock: socket.socket) -> None:
    """Refuse a socket that a server can't accept connections on.

    Raises:
        ValueError: It is of another kind, or does not listen.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise ValueError("it is neither a TCP nor a Unix socket")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError("it is not a stream socket; in a unit of systemd, use ListenStream=")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ValueError("it does not listen; in a unit of systemd, leave Accept=no as it is")


def _open_tcp(family: int, address: Any, *, reuse_port: bool) -> socket.socket:
    with _closing_on_error(socket.socket(family, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            _share_port(listener)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        _listen(listener)
    return listener


def _share_port(listener: socket.socket) -> None:
    """Let other sockets listen on the port too.

    Raises:
        OSError: The system can't do that.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise OSError(errno.ENOPROTOOPT, "this system has no SO_REUSEPORT")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


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
