"""A client's connection: a socket that one thread reads while another one writes."""

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from ssl import SSLWantReadError, SSLWantWriteError
from typing import Any, TypeVar

from chatproto import ConnectionLostError

from ._addresses import AF_UNIX, Target, prepare, resolve
from ._carrier import READ, READ_SIZE, WRITE
from ._deadline import Deadline

_T = TypeVar("_T")


class Transport:
    """A connected socket, plain or TLS. Its errors are `ConnectionLostError`.

    One thread may be in `receive` while another is in `send`, and any may `close` it under them.

    Args:
        sock: The socket; closed by `close`.
    """

    def __init__(self, sock: socket.socket) -> None:
        prepare(sock)
        self._socket = sock
        # TLS has one state for both directions.
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    def receive(self, deadline: Deadline) -> bytes:
        """What has arrived, at least one octet; none at the end of the stream.

        Raises:
            ChatTimeoutError: Nothing did in time. The connection is as it was.
            ConnectionLostError: The connection is gone.
        """
        return self._do(partial(self._socket.recv, READ_SIZE), READ, deadline)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write all of `data`.

        Raises:
            ChatTimeoutError: That was not possible in time, and some of it may be written.
            ConnectionLostError: The connection is gone.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self._do(partial(self._socket.send, rest), WRITE, deadline) :]

    def close(self) -> None:
        """Close it. Threads that wait for it are woken, and lose it."""
        with self._lock:
            self._closed = True
            if not self._users:
                self._socket.close()
                return
            # Closing a descriptor under a thread that uses it may hit somebody else's next one.
            # TLS's own `shutdown` would forget its state.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _do(self, operation: Callable[[], _T], events: int, deadline: Deadline) -> _T:
        with self._using():
            while True:
                try:
                    with self._lock:
                        return operation()
                except BlockingIOError:
                    wanted = events
                except SSLWantReadError:
                    wanted = READ
                except SSLWantWriteError:
                    wanted = WRITE
                except OSError as error:
                    raise lost(error) from error
                with selectors.DefaultSelector() as selector:
                    selector.register(self._socket, wanted)
                    selector.select(deadline.left())

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
                if self._closed and not self._users:
                    self._socket.close()


def open_transport(target: Target[socket.socket], deadline: Deadline) -> Transport:
    """Connect to a server, and do the TLS handshake if there is to be one.

    Args:
        target: Where.
        deadline: Until when.

    Raises:
        ChatTimeoutError: It took too long.
        ConnectionLostError: It can't be done.
    """
    try:
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(_open_socket(target, deadline))
            if target.ssl is not None:
                # Whatever becomes of the handshake, the descriptor is now this one's.
                sock = stack.enter_context(
                    target.ssl.wrap_socket(
                        sock,
                        server_hostname=target.server_hostname,
                        do_handshake_on_connect=False,
                    )
                )
                sock.settimeout(deadline.left())
                sock.do_handshake()
            transport = Transport(sock)
            stack.pop_all()
    except OSError as error:
        # A `timeout` set here fails with an error that has no number, unlike the system's own.
        if isinstance(error, TimeoutError) and error.errno is None:
            deadline.left()
        raise no_connection(target, error) from error
    return transport


def no_connection(target: Target[Any], error: Exception) -> ConnectionLostError:
    """What to raise when a connection can't be made."""
    return ConnectionLostError(f"can't connect to {target}: {_reason(error)}")


def lost(error: Exception) -> ConnectionLostError:
    """What to raise when a connection fails."""
    return ConnectionLostError(f"the connection is lost: {_reason(error)}")


def _reason(error: Exception) -> object:
    if isinstance(error, ConnectionError) and error.errno:
        # Event loops put their own words there.
        return os.strerror(error.errno)
    return error.strerror if isinstance(error, OSError) and error.strerror else error


def _open_socket(target: Target[socket.socket], deadline: Deadline) -> socket.socket:
    if target.transport is not None:
        return target.transport
    if target.unix is not None:
        if AF_UNIX is None:
            raise OSError("this platform has no Unix sockets")
        return _connect(AF_UNIX, os.fspath(target.unix), deadline)
    last: OSError | None = None
    for family, address in resolve(target.host, target.port):
        try:
            return _connect(family, address, deadline)
        except OSError as error:
            last = error
    raise last or OSError("the name has no address")


def _connect(family: int, address: Any, deadline: Deadline) -> socket.socket:
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.settimeout(deadline.left())
        sock.connect(address)
        stack.pop_all()
    return sock
