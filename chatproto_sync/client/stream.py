"""A socket that threads share: one waits for it, on behalf of all."""

import contextlib
import errno
import os
import selectors
import socket
import threading
from collections.abc import Callable
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

    One thread may be in `wait` while others use the other methods. Any thread may `close` the
    stream while others use or open it.
    """

    def __init__(self) -> None:
        self.receive_event: int = EVENT_READ
        """What to wait for before the next `receive`: TLS may have to write first."""
        self.send_event: int = 0
        """What to wait for before the rest of the data can be sent: TLS may have to read first. 0
        if nothing is left to send, or `wait` has returned that event."""
        self._socket: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None
        # Guards all of the above. TLS has one state for both directions.
        self._lock = threading.Lock()
        self._waiting = False
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

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

    def receive(self) -> bytes | None:
        """Take what has arrived, without waiting.

        Returns:
            At least one byte; none at the end of the stream; None if nothing has arrived.

        Raises:
            ConnectionLostError: The connection is lost.
        """
        data, event = self._try(lambda: self._checked().recv(READ_SIZE), EVENT_READ)
        self.receive_event = event or EVENT_READ
        return data

    def send(self, data: memoryview) -> int:
        """Write what the system takes, without waiting.

        Args:
            data: The bytes; after a call that has not sent all of them, the rest.

        Returns:
            How many bytes were written.

        Raises:
            ConnectionLostError: The connection is lost.
        """
        count, event = self._try(lambda: self._checked().send(data), EVENT_WRITE)
        count = count or 0
        self.send_event = event or (EVENT_WRITE if count < len(data) else 0)
        return count

    def watch(self, events: int) -> None:
        """Say what `wait` waits for, from now on and also if a thread is in it.

        Args:
            events: EVENT_READ, EVENT_WRITE, or both.
        """
        with self._lock:
            if self._closed or self._socket is None or self._selector is None:
                return
            if self._selector.get_key(self._socket).events != events:
                self._selector.modify(self._socket, events)

    def wait(self, seconds: float | None) -> None:
        """Wait until what `watch` says is possible.

        Args:
            seconds: How long; None for ever.

        Raises:
            ConnectionLostError: The connection is lost.
        """
        with self._lock:
            if self._closed or self._selector is None:
                raise _closed()
            selector = self._selector
            self._waiting = True
        ready = 0
        try:
            for _, events in selector.select(seconds):
                ready |= events
        except OSError as error:
            raise connection_lost(error) from error
        finally:
            with self._lock:
                self._waiting = False
                self.send_event &= ~ready
                if self._closed:
                    self._release()

    def close(self) -> None:
        """Close the socket. A thread that waits for it raises."""
        with self._lock:
            self._closed = True
            if not self._waiting:
                self._release()
            elif self._socket is not None:
                # The other thread still uses the descriptor. After a close here, the system could
                # give the same number to the next file. So that thread closes it.
                # `SSLSocket.shutdown` would drop the TLS state.
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
            if self._closed:
                sock.close()
                raise _closed()
            self._release()
            self._socket = sock
            prepare(sock)
            self._selector = selectors.DefaultSelector()
            self._selector.register(sock, EVENT_READ)

    def _release(self) -> None:
        """Close the descriptors, with the lock held."""
        for each in (self._selector, self._socket):
            if each is not None:
                each.close()

    def _checked(self) -> socket.socket:
        if self._closed or self._socket is None:
            raise _closed()
        return self._socket

    def _do(self, operation: Callable[[], object], event: int, deadline: Deadline) -> None:
        """Try an operation until it is done."""
        while True:
            left = deadline.left()
            _, wanted = self._try(operation, event)
            if not wanted:
                return
            self.watch(wanted)
            self.wait(left)

    def _try(self, operation: Callable[[], _T], event: int) -> tuple[_T | None, int]:
        """Try an operation that does not wait.

        Args:
            operation: The operation.
            event: What a plain socket waits for if the operation is not possible now.

        Returns:
            The result and 0; or None, and the event to wait for.
        """
        try:
            with self._lock:
                return operation(), 0
        except BlockingIOError:
            return None, event
        except SSLWantReadError:
            return None, EVENT_READ
        except SSLWantWriteError:
            return None, EVENT_WRITE
        except OSError as error:
            raise connection_lost(error) from error


def _closed() -> ConnectionLostError:
    return ConnectionLostError("the connection is closed")
