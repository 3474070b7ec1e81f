"""The loop's body: which sockets are ready, and what is to be done for them."""

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from chatproto import ChatBroker

from ._addresses import describe, prepare
from ._carrier import READ, READ_SIZE, Carrier, SocketCarrier
from ._listeners import close_listeners

ACCEPTS: Final = 64
"""The most connections taken on before those that are there have their turn."""

PAUSE: Final = 1.0
"""Seconds without accepting after that has failed for want of something."""

TICK: Final = 1.0
"""The longest time in seconds that may pass between two calls of `Driver.tick`."""


logger: Final = logging.getLogger("chatproto.server")


class Driver:
    """Carries bytes between plain sockets and a broker, and decides nothing.

    Every socket is in one selector. `chatproto_sync` waits in `step`; an event loop waits for the
    selector's own descriptor and calls `step` when it is readable, so that a hundred ready sockets
    cost it one task switch.

    Args:
        broker: Who decides.
        listeners: Where connections come from, non-blocking; closed in the end.
        clock: Seconds that do not run backwards.
    """

    def __init__(
        self,
        broker: ChatBroker[Carrier],
        listeners: Sequence[socket.socket],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.broker = broker
        self.listeners = listeners
        self.addresses = [describe(each.getsockname(), each.family) for each in listeners]
        self.selector = selectors.DefaultSelector()
        self._clock = clock
        self._accepting: list[_Listener] = []
        self._draining = False
        self._abandoning = False
        self.closed = False
        self._waker = _Waker()
        self.selector.register(self._waker, READ, self._waker)

    def listen(self, *, accept: bool = True) -> None:
        """Begin to serve.

        Args:
            accept: Whether to accept connections; otherwise that is left to the caller.

        Raises:
            RuntimeError: It has been closed.
        """
        if self.closed:
            raise RuntimeError("a server runs once")
        if accept:
            self._accepting = [_Listener(self, each) for each in self.listeners]
        logger.info("listening on %s", ", ".join(self.addresses))

    def drain(self) -> None:
        """Begin to end; go on with `step` until the broker has no connections."""
        for listener in self._accepting:
            listener.stop()
        self._accepting = []
        self.tick()
        logger.info("ending, with %d connections", self.broker.connections)
        self.broker.drain()
        self._draining = True
        self.settle()

    def abandon(self) -> None:
        """Have a drain, now or later, wait for nobody. For threads and signal handlers too."""
        self._abandoning = True
        self.wake()

    def step(self, timeout: float) -> None:
        """Do what there is to do.

        Args:
            timeout: Seconds to wait when there is nothing.
        """
        ready = self.selector.select(timeout)
        self.tick()
        for key, events in ready:
            key.data.ready(events)
        self.settle()

    def tick(self) -> None:
        """Let time pass. `step` does it too; here `settle` has to follow."""
        now = self._clock()
        self.broker.tick(now)
        for listener in self._accepting:
            listener.tick(now)
        if self._draining and self._abandoning:
            self.broker.abandon()

    def settle(self) -> None:
        """Have the broker's decisions carried out."""
        for carrier in self.broker.take_ready():
            carrier.carry()
        for record in self.broker.take_records():
            logger.info("%s", record)

    @property
    def takes_sockets(self) -> bool:
        """Whether `fileno` stands for every socket; the selectors of some platforms can't."""
        return hasattr(self.selector, "fileno")

    def fileno(self) -> int:
        """A descriptor that becomes readable when `step` has something to do."""
        return self.selector.fileno() if self.takes_sockets else self._waker.fileno()

    def now(self) -> float:
        """The clock's time in seconds."""
        return self._clock()

    def wake(self) -> None:
        """Have a `step` that waits return. For other threads and signal handlers too."""
        self._waker.wake()

    def close(self) -> None:
        """Stop listening, and drop every connection on a plain socket. Twice is fine."""
        if self.closed:
            return
        self.closed = True
        for listener in self._accepting:
            listener.stop()
        for key in list(self.selector.get_map().values()):
            key.data.close()
        self.settle()
        self.selector.close()
        close_listeners(self.listeners)


class _Waker:
    """A descriptor that becomes readable on request."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def wake(self) -> None:
        # A full buffer is a request that has not been seen yet, and a closed socket one that comes
        # too late to matter.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def ready(self, _events: int) -> None:
        self._reader.recv(READ_SIZE)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class _Listener:
    """A socket that connections come from."""

    def __init__(self, driver: Driver, listener: socket.socket) -> None:
        self._driver = driver
        self._socket = listener
        self._paused_until: float | None = None
        self._failing = False
        self._watch()

    def ready(self, _events: int) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                # That one is gone; the next may not be.
                continue
            except OSError as error:
                # Out of descriptors or memory, most likely. The connection is still waiting, so
                # asking again at once would be a busy loop.
                self._pause(error)
                return
            self._failing = False
            try:
                prepare(sock)
            except OSError:
                # Some platforms report here that the peer has gone again.
                sock.close()
                continue
            SocketCarrier(
                self._driver.broker,
                self._driver.selector,
                sock,
                describe(address, sock.family),
            )

    def tick(self, now: float) -> None:
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self._watch()

    def stop(self) -> None:
        if self._paused_until is None:
            self._driver.selector.unregister(self._socket)

    def _watch(self) -> None:
        self._driver.selector.register(self._socket, READ, self)

    def _pause(self, error: OSError) -> None:
        self._driver.selector.unregister(self._socket)
        self._paused_until = self._driver.now() + PAUSE
        if not self._failing:
            # Once, not once a second: a full disk of logs would be the next failure.
            logger.warning("can't accept connections, will go on trying: %s", error)
        self._failing = True
