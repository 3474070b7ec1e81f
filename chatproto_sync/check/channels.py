"""Non-blocking streams: the connections to a server, and the pipes to a program."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any, Protocol

from ..sockets.addresses import Endpoint, prepare, resolve
from ..sockets.errors import TRY_WITHOUT_TLS, no_connection, no_such_host, reason_of
from ..sockets.tls import WANTS_READ, WANTS_WRITE, end_tls, is_tls, start_tls

_PIECE = 65536


class Channel(Protocol):
    """A stream in both directions."""

    def interests(self) -> Iterator[tuple[int, int]]:
        """The descriptors to wait for, and whether to read or to write."""
        ...

    def queue(self, data: bytes) -> None:
        """Write bytes as soon as that is possible."""
        ...

    def flush(self) -> None:
        """Write what is possible now. An error shows when reading."""
        ...

    def read(self) -> bytes | None:
        """Take what has arrived; nothing at the end of the stream; None if nothing has arrived."""
        ...

    def end(self) -> None:
        """End this half of the stream when everything is written."""
        ...

    def close(self) -> None:
        """Close everything at once."""
        ...

    @property
    def why(self) -> str:
        """Why the stream has ended, for people; empty if it just has."""
        ...


class SocketChannel:
    """A connection.

    Args:
        sock: The connected socket, which does not block.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._unwritten = bytearray()
        self._ending = False
        self._closing = False
        self._paused = False
        self._deaf = False
        self.why: str = ""

    def interests(self) -> Iterator[tuple[int, int]]:
        """See `Channel`."""
        events = 0 if self._paused else EVENT_READ
        if self._unwritten:
            events |= EVENT_WRITE
        if events and self._socket.fileno() >= 0:
            yield self._socket.fileno(), events

    def queue(self, data: bytes) -> None:
        """See `Channel`."""
        self._unwritten += data

    def pause(self) -> None:
        """Read nothing any more."""
        self._paused = True

    def flush(self) -> None:
        """See `Channel`."""
        try:
            while self._unwritten:
                count = self._socket.send(self._unwritten[:_PIECE])
                del self._unwritten[:count]
        except (BlockingIOError, WANTS_READ, WANTS_WRITE):
            return
        except OSError:
            self._unwritten.clear()
        if self._closing:
            self.close()
        elif self._ending:
            self._ending = False
            if is_tls(self._socket):
                self._socket, self._deaf = end_tls(self._socket), True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def read(self) -> bytes | None:
        """See `Channel`."""
        try:
            data = self._socket.recv(_PIECE)
        except (BlockingIOError, WANTS_READ, WANTS_WRITE):
            return None
        except OSError as error:
            self.why = str(reason_of(error))
            return b""
        return None if data and self._deaf else data

    def end(self) -> None:
        """See `Channel`."""
        self._ending = True

    def end_and_close(self) -> None:
        """Close the connection when everything is written."""
        self._closing = True

    def reset(self) -> None:
        """Write what is possible now, and cut the connection (RST)."""
        self.flush()
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """See `Channel`."""
        self._unwritten.clear()
        self._socket.close()


class PipeChannel:
    """The standard input and output of a program.

    Args:
        stdin: The descriptor to write to.
        stdout: The descriptor to read from.
    """

    def __init__(self, stdin: int, stdout: int) -> None:
        self._stdin: int | None = stdin
        self._stdout = stdout
        for each in (stdin, stdout):
            os.set_blocking(each, False)
        self._unwritten = bytearray()
        self._ending = False
        self.why: str = ""

    def interests(self) -> Iterator[tuple[int, int]]:
        """See `Channel`."""
        yield self._stdout, EVENT_READ
        if self._unwritten and self._stdin is not None:
            yield self._stdin, EVENT_WRITE

    def queue(self, data: bytes) -> None:
        """See `Channel`."""
        self._unwritten += data

    def flush(self) -> None:
        """See `Channel`."""
        try:
            while self._unwritten and self._stdin is not None:
                del self._unwritten[: os.write(self._stdin, self._unwritten)]
        except BlockingIOError:
            return
        except OSError:
            self._unwritten.clear()
        if self._ending:
            self._close_stdin()

    def read(self) -> bytes | None:
        """See `Channel`."""
        try:
            return os.read(self._stdout, _PIECE)
        except BlockingIOError:
            return None

    def end(self) -> None:
        """See `Channel`."""
        self._ending = True

    def close(self) -> None:
        """See `Channel`."""
        self._close_stdin()
        os.close(self._stdout)

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


def connect(endpoint: Endpoint[Any], timeout: float) -> SocketChannel:
    """Connect to a server, and do the TLS handshake if the endpoint wants one.

    Args:
        endpoint: Where to connect to.
        timeout: Seconds for each address.

    Raises:
        ConnectionLostError: No connection can be made.
    """
    failure: OSError = OSError("the host has no address")
    try:
        for family, address in _addresses(endpoint):
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                return SocketChannel(_open(sock, address, endpoint, timeout))
            except OSError as error:
                sock.close()
                failure = error
    except OSError as error:
        failure = error
    except (TypeError, ValueError):
        failure = no_such_host(endpoint)
    raise no_connection(endpoint, failure) from failure


def _addresses(endpoint: Endpoint[Any]) -> list[tuple[int, Any]]:
    if endpoint.unix is not None:
        return [(socket.AF_UNIX, os.fspath(endpoint.unix))]
    return list(resolve(endpoint.host, endpoint.port))


def _open(
    sock: socket.socket, address: Any, endpoint: Endpoint[Any], timeout: float
) -> socket.socket:
    sock.settimeout(timeout)
    sock.connect(address)
    prepare(sock)
    if endpoint.ssl is None:
        return sock
    tls = start_tls(sock, endpoint.ssl, server_side=False, server_hostname=endpoint.server_hostname)
    try:
        tls.settimeout(timeout)
        try:
            tls.do_handshake()
        except TimeoutError:
            raise OSError(f"it does not answer the TLS handshake; {TRY_WITHOUT_TLS}") from None
        tls.setblocking(False)
    except BaseException:
        tls.close()
        raise
    return tls
