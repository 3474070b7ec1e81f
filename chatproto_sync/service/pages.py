"""A small HTTP server with a few pages, for programs that read them now and then."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from ..sockets.acceptor import Acceptor
from ..sockets.listeners import open_listeners
from ..sockets.poller import READ, WRITE, Handler, Poller, new_poller
from ..sockets.waker import Waker

MAX_CONNECTIONS: Final = 4
"""Most connections at the same time. A further one takes the place of the oldest."""

TIME_LIMIT: Final = 5.0
"""Seconds that a connection may last."""

MAX_REQUEST: Final = 8192
"""Most bytes of a request."""

PAUSE: Final = 0.02
"""Seconds to pause after each round. So the rest of the process goes first, even in a flood."""

TICK: Final = 0.5
"""Most seconds between two rounds, for connections that have to end."""


class Page(NamedTuple):
    """What a GET is answered with."""

    content_type: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


Pages = Mapping[str, Callable[[], Page]]
"""What makes each page for a request, by path: `{"/metrics": make_page}`."""


@contextlib.contextmanager
def serving_pages(pages: Pages, host: str, port: int) -> Iterator[int]:
    """Serve pages over HTTP, on a thread of its own.

    Args:
        pages: The pages. They are made on that thread.
        host: The address to listen on.
        port: The TCP port; 0 for a free one.

    Returns:
        A context manager that yields the port.

    Raises:
        OSError: It cannot listen there.
    """
    listeners = open_listeners(host, port)
    try:
        server = _PageServer(listeners.sockets, pages)
        thread = threading.Thread(target=server.run, name="chatproto-pages")
        thread.start()
        try:
            yield listeners.sockets[0].getsockname()[1]
        finally:
            server.stop()
            thread.join()
    finally:
        listeners.close()


class _PageServer:
    """Accepts connections, and ends them.

    Args:
        listeners: The listening sockets, non-blocking. The caller closes them.
        pages: The pages.
    """

    def __init__(self, listeners: Sequence[socket.socket], pages: Pages) -> None:
        self._pages = pages
        self._stopping = False
        self._poller: Poller[Handler] = new_poller()
        self._waker = Waker()
        self._poller.register(self._waker, READ, self._waker)
        self._acceptors = [
            Acceptor(each, self._poller, time.monotonic, self._take_on) for each in listeners
        ]
        # With the time at which each has to end. The oldest is in front.
        self._connections: dict[_Connection, float] = {}
        # Descriptors kept free for the next connections: the rest of the process cannot take them.
        self._spares: list[int] = []

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping:
            self._keep_spares()
            ready = self._poller.poll(TICK)
            self._close_spares()
            for fd, events in ready:
                # A connection may have ended in the same round, to make room.
                if fd in self._poller.handlers:
                    self._poller.handlers[fd].ready(events)
            now = time.monotonic()
            for connection, end in list(self._connections.items()):
                if now >= end:
                    connection.close()
            for acceptor in self._acceptors:
                acceptor.tick(now)
            time.sleep(PAUSE)
        handlers: list[Handler] = [*self._acceptors, *self._connections, self._waker]
        for handler in handlers:
            handler.close()
        self._poller.close()

    def stop(self) -> None:
        """Have `run` return. Other threads may call it."""
        self._stopping = True
        self._waker.wake()

    def _keep_spares(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._spares) + len(self._connections) < MAX_CONNECTIONS:
                self._spares.append(os.dup(self._waker.fileno()))

    def _close_spares(self) -> None:
        while self._spares:
            os.close(self._spares.pop())

    def _take_on(self, sock: socket.socket, _address: Any) -> None:
        if len(self._connections) == MAX_CONNECTIONS:
            next(iter(self._connections)).close()
        sock.setblocking(False)
        connection = _Connection(sock, self._poller, self._pages, self._connections)
        self._connections[connection] = time.monotonic() + TIME_LIMIT
        # Read at once: many further connections could close this one before the next round.
        connection.ready(READ)


class _Connection:
    """Reads one request, and answers it.

    Args:
        sock: The socket, non-blocking.
        poller: What watches the socket.
        pages: The pages.
        connections: All connections. This one removes itself when it closes.
    """

    def __init__(
        self,
        sock: socket.socket,
        poller: Poller[Any],
        pages: Pages,
        connections: dict["_Connection", float],
    ) -> None:
        self._socket = sock
        self._poller = poller
        self._pages = pages
        self._connections = connections
        # What has arrived of the request; None once it is complete.
        self._request: bytes | None = b""
        # What is not written yet of the answer.
        self._answer = b""
        poller.register(sock, READ, self)

    def ready(self, _events: int) -> None:
        """Read the request, or write the answer."""
        try:
            if self._answer:
                self._write()
            else:
                self._read()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._poller.unregister(self._socket)
        self._socket.close()
        del self._connections[self]

    def _read(self) -> None:
        data = self._socket.recv(MAX_REQUEST)
        if not data:
            self.close()
        elif self._request is not None:
            self._request += data
            if b"\n\r\n" in self._request or b"\n\n" in self._request:
                self._answer = _answer_to(self._request, self._pages)
                self._request = None
                self._poller.modify(self._socket, WRITE, self)
                self._write()
            elif len(self._request) > MAX_REQUEST:
                self.close()

    def _write(self) -> None:
        self._answer = self._answer[self._socket.send(self._answer) :]
        if not self._answer:
            # The peer closes. If we did, the system might drop what the peer has not read.
            self._socket.shutdown(socket.SHUT_WR)
            self._poller.modify(self._socket, READ, self)


def _answer_to(request: bytes, pages: Pages) -> bytes:
    """The answer to a request, in HTTP/1.0: the connection ends with it (RFC 1945)."""
    if not request.startswith((b"GET ", b"HEAD ")):
        return b"HTTP/1.0 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n\r\n"
    _, path, *_ = [*request.partition(b"\n")[0].split(), b""]
    name = path.decode("latin-1").partition("?")[0]
    content_type, body, status = pages.get(name, partial(_not_found, pages))()
    head = (
        f"HTTP/1.0 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    # Balancers and monitors may ask for the status alone.
    return head.encode() + (b"" if request.startswith(b"HEAD ") else body)


def _not_found(pages: Pages) -> Page:
    text = f"There is no such page; there is {', '.join(pages)}.\n"
    return Page("text/plain", text.encode(), HTTPStatus.NOT_FOUND)
