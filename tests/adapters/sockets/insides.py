"""What tests see of a running server from inside, and what they control there."""

import contextlib
import logging
import queue
import socket
import time
from collections.abc import Callable, Iterable, Iterator

import chatproto_anyio
import chatproto_sync
from chatproto_sync.sockets.driver import Driver

from ..servers import TIMEOUT, Running, SocketClient

NARROW = 1 << 14
"""Bytes that the system buffers for a connection, so that the server's own queue soon fills."""


def driver_of(server: Running) -> Driver:
    assert isinstance(server, (chatproto_sync.Server, chatproto_anyio.Server))
    return server._driver


class Clock:
    """The clock of a server. From now on it stands still, but for `skip`."""

    def __init__(self, server: Running) -> None:
        self._driver = driver_of(server)
        self._now = 0.0
        # By the server itself, between two looks at its clock: its time must not run backwards.
        self._driver.call(self._stop)

    def _stop(self) -> None:
        self._now = self._driver.now()
        self._driver._clock = self

    def __call__(self) -> float:
        return self._now

    def skip(self, seconds: float) -> None:
        """Advance the clock, and have the server look at it."""
        self._now += seconds
        self._driver.wake()


def wait_until(condition: Callable[[], bool], client: SocketClient, name: str) -> None:
    """Have the server execute lines of a client that is logged in, until a condition holds."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        client.flush(name)


def step_until(condition: Callable[[], bool], driver: Driver) -> None:
    """Have a driver serve what happens on its sockets, until a condition holds.

    On a busy machine, what one end of a connection has written may reach the other end later, and
    in parts. So nobody knows how many steps it takes.
    """
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        driver.step(TIMEOUT)


def narrow_listener() -> socket.socket:
    """A listening socket for a server; the system buffers little of what its connections write."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
    return listener


class NarrowClient(SocketClient):
    """A client for which the system buffers little."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Before it connects, because the window of a connection does not shrink.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
        self.socket.connect((host, int(port)))
        self._reader = self.socket.makefile("rb")


class ServerLog(logging.Handler):
    """What the servers in this process log, as they log it."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: queue.SimpleQueue[str] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.put(record.getMessage())

    def wait_for_one(self, start: str) -> str:
        """Wait for the first message that starts with some words, and return it."""
        while True:
            message = self._messages.get(timeout=TIMEOUT)
            if message.startswith(start):
                return message

    def wait_for_all(self, messages: Iterable[str]) -> None:
        """Wait until each of some messages has been logged, in any order."""
        missing = set(messages)
        while missing:
            missing.discard(self._messages.get(timeout=TIMEOUT))


@contextlib.contextmanager
def server_log() -> Iterator[ServerLog]:
    """The log, during the context."""
    logger, log = logging.getLogger("chatproto.server"), ServerLog()
    before = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        logger.setLevel(before)
        logger.removeHandler(log)
