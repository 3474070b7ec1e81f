"""`Server` with TLS: handshakes that fail, what the client is told, and what the log says."""

import contextlib
import socket
import ssl
from collections.abc import Callable

import pytest
import trustme

from chatproto import CloseReason, Limits

from ..servers import TIMEOUT, SocketClient, Start
from ..sockets.insides import server_log
from .test_tls_server import HALF_A_HELLO, asking_context, client_context, server_context

PATIENT = Limits(close_timeout=TIMEOUT)


class TlsBytes:
    """A client's TLS whose bytes the test moves.

    Args:
        context: The client's context.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    def hello(self) -> bytes:
        """The first message."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def finish(self, sock: socket.socket) -> bytes:
        """Read until the handshake is done for the client.

        Returns:
            What it writes last.
        """
        while True:
            self._incoming.write(sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        self._incoming.write(data)
        return self.tls.read()

    def read(self, sock: socket.socket) -> bytes:
        """The next data. There may be other messages of TLS before them."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                return self.tls.read()
            self._incoming.write(sock.recv(65536))


def read_to_the_end(sock: socket.socket) -> bytes:
    """All that arrives. A reset would be an error."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def test_the_alert_reaches_a_client_that_has_sent_more(start: Start) -> None:
    """A client that proves nothing learns of it late in TLS 1.3, when it has begun to chat."""
    client = TlsBytes(client_context())
    with (
        server_log() as log,
        start(port=0, ssl=asking_context(), limits=PATIENT) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(client.hello())
        last = client.finish(alice.socket)
        alice.write(last + client.encrypt(b"CHAT/1.0 LOGIN alice\n"))
        alice.write(client.encrypt(b"CHAT/1.0 SEND alice hi\n" * 100))
        alert = read_to_the_end(alice.socket)
        with pytest.raises(ssl.SSLError) as caught:
            client.decrypt(alert)
        assert caught.value.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        log.wait_for_all([f"handshake failed {name_of(alice)}: peer did not return a certificate"])
    assert server.snapshot().closes == {CloseReason.HANDSHAKE_FAILED: 1}
    assert server.snapshot().logins == 0


def name_of(client: SocketClient) -> str:
    host, port = client.socket.getsockname()
    return f"{host}:{port}"


def stranger() -> ssl.SSLContext:
    return client_context(trustme.CA().issue_cert("alice"))


def old_version() -> ssl.SSLContext:
    context = client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def distrustful() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=trustme.CA().cert_pem.bytes().decode())


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        pytest.param(stranger, "certificate verify failed: ", id="unknown CA of the client"),
        pytest.param(old_version, "unsupported protocol", id="old version"),
        pytest.param(
            distrustful, "the other side sent tlsv1 alert unknown ca", id="client refuses"
        ),
    ],
)
def test_the_log_has_openssls_reason(
    start: Start, context: Callable[[], ssl.SSLContext], reason: str
) -> None:
    with (
        server_log() as log,
        start(port=0, ssl=server_context_for(context), limits=PATIENT) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        name = name_of(alice)
        with pytest.raises(ssl.SSLError):  # noqa: SIM117 - the handshake may succeed for the client
            with context().wrap_socket(alice.socket, server_hostname="127.0.0.1") as tls:
                tls.recv(1)
        message = log.wait_for_one(f"handshake failed {name}: ")
        assert message.startswith(f"handshake failed {name}: {reason}")


def server_context_for(client: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    return asking_context() if client is stranger else server_context()


def test_a_client_that_ends_in_the_middle(start: Start) -> None:
    with (
        server_log() as log,
        start(port=0, ssl=server_context()) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(HALF_A_HELLO)
        alice.end()
        read_to_the_end(alice.socket)
        reason = "the other side has closed the connection"
        log.wait_for_all([f"handshake failed {name_of(alice)}: {reason}"])


def test_a_client_that_forgets_tls_is_told(start: Start) -> None:
    with (
        server_log() as log,
        start(port=0, ssl=server_context(), limits=PATIENT) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(b"CHAT/1.0 LOGIN alice\n" * 100)
        assert (
            read_to_the_end(alice.socket)
            == b"CHAT/1.0 RECEIVE *server* ERR NOT_LOGGED_IN - this server wants TLS here\n"
        )
        seen = b"CHAT/1.0 LOGIN alice"[:16]
        reason = f"the client does not use TLS, but sends {seen!r}"
        log.wait_for_all([f"handshake failed {name_of(alice)}: {reason}"])
    assert server.snapshot().closes == {CloseReason.PLAINTEXT: 1}


def test_a_web_page_is_told_nothing(start: Start) -> None:
    with (
        start(port=0, ssl=server_context(), limits=PATIENT) as server,
        SocketClient(server.addresses[0]) as page,
    ):
        page.write(b"POST / HTTP/1.1\r\n\r\nCHAT/1.0 LOGIN alice\n")
        assert read_to_the_end(page.socket) == b""
    assert server.snapshot().closes == {CloseReason.HANDSHAKE_FAILED: 1}


def test_tls_on_a_port_without_tls(start: Start) -> None:
    with (
        server_log() as log,
        start(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(TlsBytes(client_context()).hello())
        assert alice.read_line() == b""
        log.wait_for_all([f"closed {name_of(alice)}: TLS on a port without TLS"])


def test_who_connects_and_sends_nothing_has_not_failed(start: Start) -> None:
    with server_log() as log, start(port=0, ssl=server_context()) as server:
        with SocketClient(server.addresses[0]) as probe:
            name = name_of(probe)
        log.wait_for_all([f"probed {name}: connection lost"])
