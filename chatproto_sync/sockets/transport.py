"""One connection's transport: its bytes to the broker and back."""

import socket
from collections.abc import Hashable, Mapping
from ssl import SSLContext
from typing import Any, Final, Protocol

from chatproto import ChatBroker, Credentials

from .poller import BOTH, ONCE, READ, WRITE, Poller
from .tls import WANTS_READ, WANTS_WRITE, certificate_of, end_tls, identities_of, is_tls
from .unix import credentials_of

READ_SIZE: Final = 65536
"""The most octets taken from one connection before the others have their turn."""


class Transport(Hashable, Protocol):
    """One connection's transport, and its id at the broker."""

    peer: str
    """Where it leads, for people."""

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The peer's certificate; None when it has shown none."""

    @property
    def credentials(self) -> Credentials | None:
        """Who the peer is on this machine; None when that is not known."""

    def write(self, data: bytes) -> int:
        """Write what is queued, where that is likely to be all that there is to do.

        Returns:
            How many octets have been written, of which the broker is to be told; 0 when it is for
            `flush` to see what there is to do.
        """
        ...

    def flush(self) -> None:
        """Write what is queued as far as that goes without waiting; end when it is time to."""


class SocketTransport:
    """A connection on a socket, plain or TLS.

    Args:
        broker: Who decides.
        poller: What waits for the socket.
        sock: The socket, non-blocking.
        peer: Where it leads, for the log.
        address: The IP address that it leads to; empty when that is none.
        received: Where to put what has arrived.
    """

    __slots__ = ("_broker", "_context", "_events", "_poller", "_received", "_socket", "peer")

    def __init__(
        self,
        broker: ChatBroker[Transport],
        poller: Poller[Any],
        sock: socket.socket,
        peer: str,
        address: str,
        received: list[tuple[Transport, bytes]],
    ) -> None:
        self.peer = peer
        self._received = received
        self._broker = broker
        self._poller = poller
        self._socket = sock
        self._events = READ
        # What a handshake is done with, until it is done.
        self._context = sock.context if is_tls(sock) else None
        poller.register(sock, self._wanted(), self)
        broker.connect(self, peer, address=address, secured=self._context is None)

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """See `Transport`."""
        return certificate_of(self._socket) if is_tls(self._socket) else None

    @property
    def credentials(self) -> Credentials | None:
        """See `Transport`."""
        return credentials_of(self._socket)

    def ready(self, events: int) -> None:
        """Take what has arrived, write what could not be written before."""
        if self._context is not None:
            self._shake_hands(self._context)
            return
        if events != READ:
            self.flush()
        if events != WRITE and self._events & READ:
            self._read()
            if events > BOTH:
                # What stands behind the data, such as the end of it, is not told again.
                self._watch_anew()

    def _shake_hands(self, context: SSLContext) -> None:
        sock = self._socket
        assert is_tls(sock)  # noqa: S101 - for the type checker; set so when this was made
        try:
            sock.do_handshake()
        except WANTS_READ:
            self._watch(READ)
        except WANTS_WRITE:
            self._watch(WRITE)
        except OSError:
            self.close()
        else:
            self._context = None
            self._watch(READ)
            # The socket may have another context now, which decides nothing about names.
            self._broker.secure(self, identities_of(context, self.certificate))

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, WANTS_READ):
            return
        except WANTS_WRITE:
            # TLS has something to say of its own first. Watched for what can be read too, a peer
            # that never takes it would keep everybody busy.
            self._watch(WRITE)
            return
        except OSError:
            self.close()
            return
        if data:
            self._received.append((self, data))
            if len(data) == READ_SIZE:
                # There may be more. (A read ends at urgent data too, for which CHAT has no use:
                # what is behind that waits until something comes.)
                self._watch_anew()
        else:
            self._broker.receive_eof(self)

    def write(self, data: bytes) -> int:
        """See `Transport`."""
        if not data or self._events != READ or self._context is not None:
            return 0
        try:
            return self._socket.send(data)
        except OSError:
            # `flush` will find out what it is.
            return 0

    def flush(self) -> None:
        """See `Transport`."""
        if self._context is not None:
            # It is to be closed, and there is no way yet to tell why.
            self.close()
            return
        broker = self._broker
        try:
            if outgoing := broker.outgoing(self):
                try:
                    broker.sent(self, self._socket.send(outgoing))
                except (BlockingIOError, WANTS_READ, WANTS_WRITE):
                    broker.sent(self, 0)
            if broker.take_half_close(self):
                self._half_close()
        except OSError:
            self.close()
            return
        if broker.finished(self):
            self.close()
            return
        events = WRITE if broker.outgoing(self) else 0
        if broker.reading(self):
            events |= READ
        self._watch(events)

    def close(self) -> None:
        """End the connection; what has not been written is lost."""
        if self._events:
            self._watch(0)
        self._socket.close()
        self._broker.disconnect(self)

    def _half_close(self) -> None:
        sock = self._socket
        if is_tls(sock):
            self._watch(0)
            self._socket = sock = end_tls(sock)
        sock.shutdown(socket.SHUT_WR)

    def _watch(self, events: int) -> None:
        before, self._events = self._events, events
        if events == before:
            return
        if not events:
            self._poller.unregister(self._socket)
        elif before:
            self._poller.modify(self._socket, self._wanted(), self)
        else:
            self._poller.register(self._socket, self._wanted(), self)

    def _watch_anew(self) -> None:
        """Be told again of what is there."""
        if self._events:
            self._poller.modify(self._socket, self._wanted(), self)

    def _wanted(self) -> int:
        # TLS gives out a record at a time, so there a short read does not mean that all is read.
        once = self._events == READ and not is_tls(self._socket)
        return READ | ONCE if once else self._events
