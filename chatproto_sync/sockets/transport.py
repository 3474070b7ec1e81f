"""The transport of one connection: moves bytes between its socket and the broker."""

import socket
from collections.abc import Hashable, Mapping
from ssl import SSLContext
from typing import Any, Final, Protocol

from chatproto import ChatBroker, Credentials

from .handshakes import HandshakeQueue
from .poller import BOTH, GONE, ONCE, READ, WRITE, Poller
from .tls import WANTS_READ, WANTS_WRITE, certificate_of, end_tls, identities_of, is_tls, start_tls
from .unix import credentials_of

READ_SIZE: Final = 65536
"""Most bytes read from one connection before the others have their turn."""


class Transport(Hashable, Protocol):
    """The transport of one connection. It is the connection's id at the broker too."""

    peer: str
    """The peer's address, for people."""

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The peer's certificate; None if the peer has none."""

    @property
    def credentials(self) -> Credentials | None:
        """The peer's process on this machine; None if it is not known."""

    def write(self, data: bytes) -> int:
        """Write what the broker says to write next, if probably nothing else has to be done.

        Returns:
            The bytes written, which the caller reports to the broker. 0 if the caller has to call
            `flush` instead.
        """
        ...

    def flush(self) -> None:
        """Do for the connection what the broker says, as far as possible without waiting."""


class SocketTransport:
    """A connection on a socket, with or without TLS.

    Args:
        broker: The broker to connect to.
        poller: What watches the socket.
        sock: The socket, non-blocking.
        peer: The peer's address, for people.
        address: The peer's IP address; empty for a Unix socket.
        received: Where to append what is read.
        context: The context for TLS; None for no TLS.
        handshakes: What does its TLS handshake.
    """

    __slots__ = (
        "_broker",
        "_context",
        "_events",
        "_handshakes",
        "_poller",
        "_received",
        "_socket",
        "peer",
    )

    def __init__(
        self,
        broker: ChatBroker[Transport],
        poller: Poller[Any],
        sock: socket.socket,
        peer: str,
        address: str,
        received: list[tuple[Transport, bytes]],
        context: SSLContext | None,
        handshakes: HandshakeQueue,
    ) -> None:
        self.peer: str = peer
        self._received = received
        self._broker = broker
        self._poller = poller
        self._socket = sock
        self._events = READ
        # The context of the TLS handshake, until it is done.
        self._context = context
        self._handshakes = handshakes
        poller.register(sock, self._poll_events(), self)
        broker.connect(self, peer, address=address, secured=context is None)

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """See `Transport`."""
        return certificate_of(self._socket) if is_tls(self._socket) else None

    @property
    def credentials(self) -> Credentials | None:
        """See `Transport`."""
        return credentials_of(self._socket)

    def ready(self, events: int) -> None:
        """Read what has arrived, and write what could not be written before."""
        if self._context is not None:
            self._await_handshake()
            return
        if events != READ:
            self.flush()
        if events != WRITE and self._events & READ:
            self._read()
            if events > BOTH:
                # The poller does not report again what follows the data, such as its end.
                self._report_again()

    def _await_handshake(self) -> None:
        """Wait for a turn to begin the TLS handshake, or to go on with it."""
        if is_tls(self._socket):
            self._watch(0)
            self._handshakes.add(self)
        elif self._events != GONE:
            self._watch(GONE)
            self._broker.request_handshake(self)
        else:
            # The peer has closed. A flood of such connections would take all descriptors.
            self.close()

    def do_handshake(self) -> None:
        """Begin the TLS handshake, or go on with it."""
        context = self._context
        assert context is not None  # noqa: S101 - for type checkers: it is not done yet
        sock = self._socket
        try:
            if not is_tls(sock):
                # Not earlier: OpenSSL takes ten times the memory of all else, and a peer may
                # connect and send nothing. After a failure, the socket is closed.
                self._watch(0)
                self._socket = sock = start_tls(sock, context)
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
            # An SNI callback may have given the socket another context. That one does not count.
            self._broker.secure(self, identities_of(context, self.certificate))

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, WANTS_READ):
            return
        except WANTS_WRITE:
            # TLS has to send a message of its own first. Do not watch for reading as well: that
            # would be a busy loop if the peer never takes the message.
            self._watch(WRITE)
            return
        except OSError:
            self.close()
            return
        if data:
            self._received.append((self, data))
            if len(data) == READ_SIZE:
                # There may be more. (A read ends at urgent data too. What is behind them waits
                # until the next data come; CHAT has no use for urgent data.)
                self._report_again()
        else:
            self._broker.receive_eof(self)

    def write(self, data: bytes) -> int:
        """See `Transport`."""
        if not data or self._events != READ or self._context is not None:
            return 0
        try:
            return self._socket.send(data)
        except OSError:
            # `flush` will meet the same error, and handle it.
            return 0

    def flush(self) -> None:
        """See `Transport`."""
        if self._context is not None:
            # The broker closes the connection, and before the handshake nothing can be written.
            self.close()
            return
        broker = self._broker
        step = broker.next_step(self)
        try:
            if step.write:
                try:
                    sent = self._socket.send(step.write)
                except (BlockingIOError, WANTS_READ, WANTS_WRITE):
                    sent = 0
                broker.sent(self, sent)
                step = broker.next_step(self)
            if step.half_close:
                self._half_close()
                broker.half_closed(self)
        except OSError:
            self.close()
            return
        if step.close:
            self.close()
            return
        events = WRITE if step.write else 0
        if step.read:
            events |= READ
        self._watch(events)

    def close(self) -> None:
        """Close the connection. What is queued for it is lost."""
        self._handshakes.discard(self)
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
            self._poller.modify(self._socket, self._poll_events(), self)
        else:
            self._poller.register(self._socket, self._poll_events(), self)

    def _report_again(self) -> None:
        """Have the poller report once more what is there."""
        if self._events:
            self._poller.modify(self._socket, self._poll_events(), self)

    def _poll_events(self) -> int:
        # TLS returns one record at a time, so a short read does not mean that all has been read.
        once = self._events == READ and not is_tls(self._socket)
        return READ | ONCE if once else self._events
