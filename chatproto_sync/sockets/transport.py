"""The transport of one connection: moves bytes between its socket and the broker."""

import socket
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from ssl import SSLContext, SSLSocket
from typing import Any, Final, Protocol

from chatproto import (
    ChatBroker,
    Credentials,
    ProxyHeader,
    ProxyHeaderError,
    parse_proxy_header,
)

from .addresses import join
from .handshakes import HandshakeQueue
from .poller import GONE, MORE, ONCE, READ, URGENT, WRITE, Poller
from .tls import (
    WANTS_READ,
    WANTS_WRITE,
    certificate_of,
    end_tls,
    identities_of,
    is_tls,
    looks_like_tls,
    start_tls,
    without_tls,
    words_of,
)
from .unix import credentials_of

READ_SIZE: Final = 65536
"""Most bytes read from one connection before the others have their turn."""

PEEK_SIZE: Final = 4096
"""Most bytes of a PROXY header looked at at once."""

FIRST_BYTES: Final = 16
"""How many of the first bytes the log shows when they do not begin a TLS handshake as expected."""


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


@dataclass(slots=True)
class _Header:
    """The PROXY header of a connection."""

    address: str
    """The address of the balancer."""
    data: bytes = b""
    """What has arrived of the header."""
    complete: bool = False
    """Whether all of it has arrived."""
    names_client: bool = False
    """Whether it names the client's address."""


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
        proxied: Whether it begins with a PROXY header.
    """

    __slots__ = (
        "_broker",
        "_context",
        "_events",
        "_handshakes",
        "_header",
        "_open",
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
        *,
        proxied: bool,
    ) -> None:
        self.peer: str = peer
        self._received = received
        self._broker = broker
        self._poller = poller
        self._socket = sock
        self._events = READ
        self._header = _Header(address) if proxied else None
        # The context of the TLS handshake, until it is done.
        self._context = context
        self._handshakes = handshakes
        # Whether the PROXY header and the TLS handshake are both done.
        self._open = context is None and not proxied
        poller.register(sock, self._poll_events(), self)
        broker.connect(self, peer, address=address, secured=context is None, proxied=proxied)

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """See `Transport`."""
        return certificate_of(self._socket) if is_tls(self._socket) else None

    @property
    def credentials(self) -> Credentials | None:
        """See `Transport`."""
        if self._header is not None and self._header.names_client:
            # The process that has connected is the balancer.
            return None
        return credentials_of(self._socket)

    def ready(self, events: int) -> None:
        """Read what has arrived, and write what could not be written before."""
        if not self._open:
            self._go_on_opening()
            return
        if events != READ:
            self.flush()
        if events != WRITE and self._events & READ:
            self._read()
            if events & MORE:
                # The poller does not report again what follows the data, such as its end.
                self._report_again()

    def _go_on_opening(self) -> None:
        """Go on with what comes before the first line: the PROXY header, then TLS."""
        if self._header is not None and not self._header.complete:
            self._read_header(self._header)
        else:
            self._await_handshake()

    def _read_header(self, header: _Header) -> None:
        """Take the PROXY header from the socket, and nothing behind it."""
        try:
            # OpenSSL reads from the socket too, so what is not the header has to stay there.
            data = self._socket.recv(PEEK_SIZE, socket.MSG_PEEK)
            known, header.data = len(header.data), header.data + data
            found = parse_proxy_header(header.data)
            self._socket.recv((len(header.data) if found is None else found.size) - known)
        except BlockingIOError:
            return
        except ProxyHeaderError as error:
            self._broker.bad_proxy_header(self, str(error))
            self._serve()
            return
        except OSError:
            self.close()
            return
        if found is not None:
            self._identify(header, found)
        elif data:
            # Its end may be there too.
            self._report_again()
        else:
            if header.data:
                self._broker.bad_proxy_header(self, "the connection ended in the middle of it")
            self.close()

    def _identify(self, header: _Header, found: ProxyHeader) -> None:
        """Report where the connection comes from, and go on to what is next."""
        header.complete = True
        address = header.address
        if found.address:
            header.names_client = True
            address = found.address
            self.peer = join(address, found.port)
        self._broker.identify(self, self.peer, address)
        if self._context is None:
            self._serve()
        else:
            # The first bytes of TLS may be there already.
            self._report_again()

    def _serve(self) -> None:
        """Go on without the rest of the opening, and without TLS; do what the broker says."""
        self._context = None
        self._open = True
        # Other events than before, or the same once more: there may be data behind what was read.
        self._watch(0)
        self._watch(READ)
        self.flush()

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
        sock = self._socket if is_tls(self._socket) else self._begin_tls(self._socket, context)
        if sock is None:
            return
        try:
            sock.do_handshake()
        except WANTS_READ:
            self._watch(READ)
        except WANTS_WRITE:
            self._watch(WRITE)
        except OSError as error:
            # OpenSSL has written an alert that says why. If there is more to read, a close now
            # would drop the alert. So this connection ends like others, but without TLS.
            self._watch(0)
            self._socket = without_tls(sock)
            self._broker.handshake_failed(self, words_of(error))
            self._serve()
        else:
            self._context = None
            self._open = True
            self._watch(READ)
            # An SNI callback may have given the socket another context. That one does not count.
            self._broker.secure(self, identities_of(context, self.certificate))

    def _begin_tls(self, sock: socket.socket, context: SSLContext) -> SSLSocket | None:
        """Use TLS from now on.

        Call it after the peer has sent something: OpenSSL takes ten times the memory of all else.

        Returns:
            The socket; None if the connection can't go on.
        """
        try:
            first = sock.recv(FIRST_BYTES, socket.MSG_PEEK)
            if first and not looks_like_tls(first):
                self._broker.plaintext_received(self, first)
                self._serve()
                return None
            if first:
                self._watch(0)
                self._socket = tls = start_tls(sock, context)
                return tls
        except OSError:
            # The peer has gone. After a failure of `start_tls`, the socket is closed.
            pass
        self.close()
        return None

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
                # There may be more.
                self._report_again()
        else:
            self._broker.receive_eof(self)

    def write(self, data: bytes) -> int:
        """See `Transport`."""
        if not data or self._events != READ or not self._open:
            return 0
        try:
            return self._socket.send(data)
        except OSError:
            # `flush` will meet the same error, and handle it.
            return 0

    def flush(self) -> None:
        """See `Transport`."""
        if not self._open:
            # The broker closes the connection, and nothing can be written yet.
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
        return READ | ONCE | URGENT if once else self._events
