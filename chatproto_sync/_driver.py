"""The loop's body: which sockets are ready, and their bytes to the broker and back."""

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Final, Protocol

from chatproto import ChatBroker

from ._listeners import describe, prepare

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

READ_SIZE: Final = 65536
"""The most octets taken from one connection before the others have their turn."""

ACCEPTS: Final = 64
"""The most connections taken on before those that are there have their turn."""

PAUSE: Final = 1.0
"""Seconds without accepting after that has failed for want of something."""

TICK: Final = 1.0
"""The longest time in seconds that may pass between two calls of `Driver.tick`."""


logger: Final = logging.getLogger("chatproto.server")


class Carrier(Hashable, Protocol):
    """One connection's transport, and its id at the broker."""

    def carry(self) -> None:
        """Write what is queued as far as that goes without waiting; end when it is time to."""


class Driver:
    """Carries bytes between plain sockets and a broker, and decides nothing.

    Every socket is in one selector. `chatproto_sync` waits in `step`; an event loop waits for the
    selector's own descriptor and calls `step` when it is readable, so that a hundred ready sockets
    cost it one task switch.

    Args:
        broker: Who decides.
        clock: Seconds that do not run backwards.
    """

    def __init__(
        self, broker: ChatBroker[Carrier], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.broker = broker
        self.selector = selectors.DefaultSelector()
        self._clock = clock
        self._listeners: list[_Listener] = []
        self._waker = _Waker()
        self.selector.register(self._waker, READ, self._waker)

    def listen(self, listeners: Iterable[socket.socket]) -> None:
        """Accept connections from now on.

        Args:
            listeners: Non-blocking listening sockets. They stay the caller's to close.
        """
        self._listeners = [_Listener(self, each) for each in listeners]

    def stop_listening(self) -> None:
        """Accept no more connections."""
        for listener in self._listeners:
            listener.stop()
        self._listeners = []

    def drain(self) -> None:
        """Begin to end; go on with `step` until the broker has no connections."""
        self.tick()
        logger.info("ending, with %d connections", self.broker.connections)
        self.stop_listening()
        self.broker.drain()
        self.settle()

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
        for listener in self._listeners:
            listener.tick(now)

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
        """Drop every connection on a plain socket, and stop listening. There is no way back."""
        self.stop_listening()
        for key in list(self.selector.get_map().values()):
            key.data.close()
        self.settle()
        self.selector.close()


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
            _SocketCarrier(self._driver, sock, describe(address, sock.family))

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


class _SocketCarrier:
    """A connection on a plain socket."""

    __slots__ = ("_driver", "_events", "_socket")

    def __init__(self, driver: Driver, sock: socket.socket, peer: str) -> None:
        self._driver = driver
        self._socket = sock
        self._events = READ
        driver.selector.register(sock, self._events, self)
        driver.broker.connect(self, peer)

    def ready(self, events: int) -> None:
        """Take what has arrived, write what could not be written before."""
        if events & WRITE:
            self.carry()
        if events & READ and self._events & READ:
            self._read()

    def _read(self) -> None:
        broker = self._driver.broker
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if data:
            broker.receive(self, data)
        else:
            broker.receive_eof(self)

    def carry(self) -> None:
        """See `Carrier`."""
        broker = self._driver.broker
        try:
            if outgoing := broker.outgoing(self):
                try:
                    # As nearly always: one write, and that was it.
                    if broker.sent(self, self._socket.send(outgoing)) and self._events == READ:
                        return
                except BlockingIOError:
                    pass
            if broker.take_half_close(self):
                self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        if broker.finished(self):
            self.close()
            return
        events = WRITE if broker.outgoing(self) else 0
        if broker.reading(self):
            events |= READ
        if events != self._events:
            self._watch(events)

    def close(self) -> None:
        """End the connection; what has not been written is lost."""
        if self._events:
            self._watch(0)
        self._socket.close()
        self._driver.broker.disconnect(self)

    def _watch(self, events: int) -> None:
        selector = self._driver.selector
        if not events:
            selector.unregister(self._socket)
        elif self._events:
            selector.modify(self._socket, events, self)
        else:
            selector.register(self._socket, events, self)
        self._events = events
