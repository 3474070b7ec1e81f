"""One connection's transport: its bytes to the broker and back."""

import selectors
import socket
from collections.abc import Hashable
from typing import Final, Protocol

from chatproto import ChatBroker

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

READ_SIZE: Final = 65536
"""The most octets taken from one connection before the others have their turn."""


class Carrier(Hashable, Protocol):
    """One connection's transport, and its id at the broker."""

    def carry(self) -> None:
        """Write what is queued as far as that goes without waiting; end when it is time to."""


class SocketCarrier:
    """A connection on a plain socket.

    Args:
        broker: Who decides.
        selector: What waits for the socket.
        sock: The socket, non-blocking.
        peer: Where it leads, for the log.
    """

    __slots__ = ("_broker", "_events", "_selector", "_socket")

    def __init__(
        self,
        broker: ChatBroker[Carrier],
        selector: selectors.BaseSelector,
        sock: socket.socket,
        peer: str,
    ) -> None:
        self._broker = broker
        self._selector = selector
        self._socket = sock
        self._events = READ
        selector.register(sock, self._events, self)
        broker.connect(self, peer)

    def ready(self, events: int) -> None:
        """Take what has arrived, write what could not be written before."""
        if events & WRITE:
            self.carry()
        if events & READ and self._events & READ:
            self._read()

    def _read(self) -> None:
        broker = self._broker
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
        broker = self._broker
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
        self._broker.disconnect(self)

    def _watch(self, events: int) -> None:
        selector = self._selector
        if not events:
            selector.unregister(self._socket)
        elif self._events:
            selector.modify(self._socket, events, self)
        else:
            selector.register(self._socket, events, self)
        self._events = events
