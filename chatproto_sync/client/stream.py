"""A socket that one thread reads while another one writes."""

import contextlib
import errno
import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from ssl import SSLContext, SSLSocket, SSLWantReadError, SSLWantWriteError
from typing import Any, TypeVar

from chatproto import ChatTimeoutError, ConnectionLostError

from ..sockets.addresses import Endpoint, prepare, resolve
from ..sockets.errors import connection_lost, no_connection, no_such_host
from ..sockets.tls import start_tls
from ..sockets.transport import READ_SIZE
from .deadline import Deadline

_T = TypeVar("_T")

# What the system reports while a connection is not made yet.
_IN_PROGRESS = {errno.EINPROGRESS, errno.EALREADY, errno.EINTR}


class SocketStream:
    """A stream of bytes over a socket, plain or TLS. Its errors are `ConnectionLostError`.

    One thread may be in `receive` while another is in `send`. Any thread may `close` the stream
    while others use or open it.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        # TLS has one state for both directions.
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    def open(self, endpoint: Endpoint[socket.socket], deadline: Deadline) -> None:
        """Connect to a server, and do the TLS handshake if the endpoint wants one.

        Args:
            endpoint: Where to connect to.
            deadline: When to stop.

        Raises:
            ChatTimeoutError: It took too long.
            ConnectionLostError: No connection can be made.
        """
        try:
            self._connect(endpoint, deadline)
            if endpoint.ssl is not None:
                self._do(self._start_tls(endpoint.ssl, endpoint).do_handshake, EVENT_READ, deadline)
        except ChatTimeoutError:
            # It is an OSError too.
            raise
        except ConnectionLostError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError):
                raise
            raise no_connection(endpoint, cause) from cause
        except OSError as error:
            raise no_connection(endpoint, error) from error

    def receive(self, deadline: Deadline) -> bytes:
        """Wait for the next bytes.

        Returns:
            At least one byte; none at the end of the stream.

        Raises:
            ChatTimeoutError: Nothing arrived in time. The connection is as it was.
            ConnectionLostError: The connection is lost.
        """
        return self._do(lambda: self._checked().recv(READ_SIZE), EVENT_READ, deadline)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write all of `data`.

        Raises:
            ChatTimeoutError: It took too long. Some of the data may be written.
            ConnectionLostError: The connection is lost.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self._do(partial(self._send, rest), EVENT_WRITE, deadline) :]

    def close(self) -> None:
        """Close the socket. Threads that wait for it raise."""
        with self._lock:
            self._closed = True
            if self._socket is None:
                return
            if not self._users:
                self._socket.close()
                return
            # Another thread uses the descriptor, which would be given to the next file if it were
            # closed here. The last user closes it. `SSLSocket.shutdown` would drop the TLS state.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _connect(self, endpoint: Endpoint[socket.socket], deadline: Deadline) -> None:
        if endpoint.transport is not None:
            self._use(endpoint.transport)
        elif endpoint.unix is not None:
            self._connect_to(socket.AF_UNIX, os.fspath(endpoint.unix), deadline)
        else:
            *others, last = resolve(endpoint.host, endpoint.port)
            for number, each in enumerate(others):
                # The addresses after this one get their share of the time too.
                left = deadline.left()
                share = None if left is None else left / (len(others) + 1 - number)
                with contextlib.suppress(ConnectionLostError, ChatTimeoutError):
                    return self._connect_to(*each, deadline.at_most(share))
            self._connect_to(*last, deadline)
        return None

    def _connect_to(self, family: int, address: Any, deadline: Deadline) -> None:
        self._use(socket.socket(family, socket.SOCK_STREAM))

        def connect() -> None:
            # The first call begins to connect, the others return how it went.
            error = self._checked().connect_ex(address)
            if error in _IN_PROGRESS:
                raise BlockingIOError
            if error == errno.EAGAIN:
                # A Unix socket's backlog is full, and there is no way to wait for room.
                full = OSError(error, os.strerror(error))
                raise connection_lost(full) from full
            if error not in (0, errno.EISCONN):
                raise OSError(error, os.strerror(error))

        self._do(connect, EVENT_WRITE, deadline)

    def _start_tls(self, context: SSLContext, endpoint: Endpoint[socket.socket]) -> SSLSocket:
        with self._lock:
            try:
                self._socket = sock = start_tls(
                    self._checked(),
                    context,
                    server_side=False,
                    server_hostname=endpoint.server_hostname,
                )
            except (TypeError, ValueError) as error:
                raise no_such_host(endpoint) from error
            return sock

    def _use(self, sock: socket.socket) -> None:
        """Replace the socket."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = sock
            if self._closed:
                sock.close()
            prepare(self._checked())

    def _checked(self) -> socket.socket:
        if self._closed or self._socket is None:
            raise ConnectionLostError("the connection is closed")
        return self._socket

    def _send(self, data: memoryview) -> int:
        return self._checked().send(data)

    def _do(self, operation: Callable[[], _T], events: int, deadline: Deadline) -> _T:
        with self._using():
            while True:
                try:
                    with self._lock:
                        return operation()
                except BlockingIOError:
                    wanted = events
                except SSLWantReadError:
                    wanted = EVENT_READ
                except SSLWantWriteError:
                    wanted = EVENT_WRITE
                except OSError as error:
                    raise connection_lost(error) from error
                _wait(self._checked(), wanted, deadline)

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise ConnectionLostError("the connection is closed")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._closed and not self._users and self._socket is not None:
                    self._socket.close()


def _wait(sock: socket.socket, events: int, deadline: Deadline) -> None:
    left = deadline.left()
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(sock, events)
            selector.select(left)
    except OSError as error:
        raise connection_lost(error) from error
