"""`Server` with TLS: chatting, handshakes, clients' certificates, shutting down."""

import contextlib
import functools
import json
import signal
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

import chatproto_anyio
import chatproto_sync
from chatproto import Limits

from ..processes import COMMANDS, spawn
from ..servers import TIMEOUT, SocketClient, Start
from ..sockets.insides import Clock, narrow_listener, wait_until

DENIED = b"CHAT/1.0 RECEIVE *server* ERR AUTH_FAILED LOGIN your certificate is for somebody else\n"

HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01"
"""The first bytes of a client's first message in TLS."""

AUTHORITY = functools.cache(trustme.CA)

each_version = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY().issue_cert("127.0.0.1").configure_cert(context)
    return context


@functools.cache
def asking_context() -> ssl.SSLContext:
    """A server's context that asks for certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY().issue_cert("127.0.0.1").configure_cert(context)
    AUTHORITY().configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY().configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


class TlsClient(SocketClient):
    """A client that uses TLS."""

    def __init__(
        self, address: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        super().__init__(address)
        self._reader.close()
        self.tls = context.wrap_socket(self.socket, server_hostname="127.0.0.1", session=session)
        self.socket = self.tls
        self._reader = self.socket.makefile("rb")


@each_version
def test_chat(start: Start, version: ssl.TLSVersion) -> None:
    context = client_context()
    context.maximum_version = version
    with (
        start(port=0, ssl=server_context()) as server,
        TlsClient(server.addresses[0], context) as alice,
        TlsClient(server.addresses[0], context) as bob,
    ):
        alice.login("alice")
        bob.login("bob")
        alice.write(b"CHAT/1.0 SEND bob hi\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


def test_our_own_client(start: Start) -> None:
    with start(port=0, ssl=server_context()) as server:
        host, _, port = server.addresses[0].rpartition(":")
        with chatproto_sync.connect(host, int(port), name="alice", ssl=client_context()) as alice:
            alice.send("alice", "hi")
            assert alice.receive(timeout=TIMEOUT).data == b"hi"


def test_line_in_many_records(start: Start) -> None:
    with (
        start(port=0, ssl=server_context()) as server,
        TlsClient(server.addresses[0], client_context()) as alice,
    ):
        for byte in b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n":
            alice.write(bytes([byte]))
        assert alice.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


@each_version
def test_large_transfer_both_ways(start: Start, version: ssl.TLSVersion) -> None:
    count, data = 2000, b"x" * 4000
    context = client_context()
    context.maximum_version = version
    with (
        start(port=0, ssl=server_context()) as server,
        TlsClient(server.addresses[0], context) as alice,
        TlsClient(server.addresses[0], context) as bob,
        ThreadPoolExecutor() as pool,
    ):
        alice.login("alice")
        bob.login("bob")
        # If one of them has no turn for a while, that does not count.
        Clock(server)

        def write(client: TlsClient, other: bytes) -> None:
            for number in range(count):
                client.write(b"CHAT/1.0 SEND %b %d %b\n" % (other, number, data))

        def read(client: TlsClient, other: bytes) -> None:
            for number in range(count):
                line = b"CHAT/1.0 RECEIVE %b %d %b\n" % (other, number, data)
                assert client.read_line() == line

        # One client writes, and the other reads, because OpenSSL's state is for one thread.
        for sender, name, receiver, other in (
            (alice, b"alice", bob, b"bob"),
            (bob, b"bob", alice, b"alice"),
        ):
            writing = pool.submit(write, sender, other)
            read(receiver, name)
            writing.result(TIMEOUT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HALF_A_HELLO, id="stalls"),
        pytest.param(b"", id="silent"),
    ],
)
def test_no_handshake(start: Start, data: bytes) -> None:
    with (
        start(port=0, ssl=server_context()) as server,
        TlsClient(server.addresses[0], client_context()) as alice,
        SocketClient(server.addresses[0]) as mallory,
    ):
        alice.login("alice")
        mallory.write(data)
        wait_until(lambda: server.snapshot().accepted == 2, alice, "alice")
        Clock(server).skip(Limits().handshake_timeout)
        # TLS may send an alert before the end.
        rest = mallory.read_line()
        assert b"CHAT" not in rest
        while rest:
            rest = mallory.read_line()
        alice.flush("alice")


def test_the_shutdown_during_a_handshake(start: Start) -> None:
    with contextlib.ExitStack() as clients:
        with (
            start(port=0, ssl=server_context(), limits=Limits(grace=1000)) as server,
            TlsClient(server.addresses[0], client_context()) as alice,
        ):
            mallory = clients.enter_context(SocketClient(server.addresses[0]))
            alice.login("alice")
            wait_until(lambda: server.snapshot().connections == 2, alice, "alice")
        assert mallory.read_line() == b""


def test_client_that_leaves_during_the_handshake(start: Start) -> None:
    with start(port=0, ssl=server_context()) as server:
        for leave in (SocketClient.reset, SocketClient.close):
            with SocketClient(server.addresses[0]) as mallory:
                mallory.write(HALF_A_HELLO)
                leave(mallory)
        with TlsClient(server.addresses[0], client_context()) as alice:
            alice.login("alice")


def test_own_name(start: Start) -> None:
    context = client_context(AUTHORITY().issue_cert("alice"))
    with (
        start(port=0, ssl=asking_context()) as server,
        TlsClient(server.addresses[0], context) as alice,
    ):
        alice.login("alice")


def test_another_name(start: Start) -> None:
    context = client_context(AUTHORITY().issue_cert("alice", common_name="bob"))
    with start(port=0, ssl=asking_context()) as server:
        for name in (b"carol", b"bob", b"ALICE", b"127.0.0.1"):
            with TlsClient(server.addresses[0], context) as mallory:
                mallory.write(b"CHAT/1.0 LOGIN %b\n" % name)
                assert mallory.read_line() == DENIED


@pytest.mark.parametrize("whose", [None, "another authority"])
def test_no_certificate_that_counts(start: Start, whose: str | None) -> None:
    certificate = None if whose is None else trustme.CA().issue_cert("alice")
    with start(port=0, ssl=asking_context()) as server:
        assert not _is_served(server.addresses[0], client_context(certificate))
        context = client_context(AUTHORITY().issue_cert("alice"))
        with TlsClient(server.addresses[0], context) as alice:
            alice.login("alice")


def _is_served(
    address: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> bool:
    # In TLS 1.3 the client learns of it after its own handshake.
    try:
        with TlsClient(address, context, session) as client:
            client.write(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n")
            return client.read_line() != b""
    except (ssl.SSLError, ConnectionError):
        return False


def test_the_shutdown(start: Start) -> None:
    with contextlib.ExitStack() as clients, ThreadPoolExecutor() as pool:
        with start(port=0, ssl=server_context()) as server:
            alice = clients.enter_context(TlsClient(server.addresses[0], client_context()))
            alice.login("alice")
            lines = pool.submit(_read_to_the_end, alice)
        assert lines.result(TIMEOUT) == [
            b"CHAT/1.0 RECEIVE *server* ERR SHUTTING_DOWN - the server is shutting down\n"
        ]


def test_the_shutdown_with_much_queued(start: Start) -> None:
    """All of it arrives, and then the notice. The client begins to read during the shutdown."""
    count = 100
    with contextlib.ExitStack() as clients, ThreadPoolExecutor() as pool:
        with start(
            sockets=[narrow_listener()], ssl=server_context(), limits=Limits(high_water=1 << 19)
        ) as server:
            alice, bob = (
                clients.enter_context(TlsClient(server.addresses[0], client_context()))
                for _ in range(2)
            )
            alice.login("alice")
            bob.login("bob")
            alice.write((b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n") * count)
            alice.flush("alice")
            assert server.snapshot().queued > 100_000
            lines = pool.submit(lambda: [_read_to_the_end(alice), _read_to_the_end(bob)])
        notice = [b"CHAT/1.0 RECEIVE *server* ERR SHUTTING_DOWN - the server is shutting down\n"]
        line = b"CHAT/1.0 RECEIVE alice " + b"x" * 4000 + b"\n"
        assert lines.result(TIMEOUT) == [notice, [line] * count + notice]


def _read_to_the_end(client: TlsClient) -> list[bytes]:
    lines = list(iter(client.read_line, b""))
    client.close()
    return lines


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_sighup_has_the_certificate_read_again(command: list[str], tmp_path: Path) -> None:
    # The keys are of two kinds, which OpenSSL would keep side by side in one context.
    first = AUTHORITY().issue_cert("127.0.0.1")
    second = AUTHORITY().issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    path, log = tmp_path / "cert.pem", tmp_path / "log"
    first.private_key_and_cert_chain_pem.write_to_path(str(path))
    options = ["--port", "0", "--tls-cert", str(path)]
    with (
        spawn([*command, *options], log) as process,
        TlsClient(process.address, client_context()) as alice,
    ):
        alice.login("alice")
        assert _shown(alice) == _der(first)
        second.private_key_and_cert_chain_pem.write_to_path(str(path))
        process.popen.send_signal(signal.SIGHUP)
        process.wait_for_log("the certificate was read again")
        with TlsClient(process.address, client_context()) as bob:
            bob.login("bob")
            assert _shown(bob) == _der(second)
            path.write_text("nonsense")
            process.popen.send_signal(signal.SIGHUP)
            process.wait_for_log("the old certificate stays in use")
            bob.write(b"CHAT/1.0 SEND alice hi\n")
            assert alice.read_line() == b"CHAT/1.0 RECEIVE bob hi\n"
        with TlsClient(process.address, client_context()) as carol:
            assert _shown(carol) == _der(second)


def _shown(client: TlsClient) -> bytes | None:
    return client.tls.getpeercert(binary_form=True)


def _der(certificate: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())


@each_version
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_session_ends_with_the_trust_in_its_ca(
    command: list[str], version: ssl.TLSVersion, tmp_path: Path
) -> None:
    """After SIGHUP, nobody resumes a session with a certificate that would be refused now."""
    old, new = trustme.CA(), trustme.CA()
    cert, ca = tmp_path / "cert.pem", tmp_path / "ca.pem"
    AUTHORITY().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(cert))
    old.cert_pem.write_to_path(str(ca))
    options = ["--port", "0", "--tls-cert", str(cert), "--tls-client-ca", str(ca)]
    context = client_context(old.issue_cert("alice"))
    context.maximum_version = version
    with spawn([*command, *options], tmp_path / "log") as process:
        with TlsClient(process.address, context) as alice:
            alice.login("alice")
            session = alice.tls.session
        assert session is not None
        assert _is_served(process.address, context, session)
        new.cert_pem.write_to_path(str(ca))
        process.popen.send_signal(signal.SIGHUP)
        process.wait_for_log("the certificate was read again")
        assert not _is_served(process.address, context, session)
        assert _is_served(process.address, client_context(new.issue_cert("alice")))


def test_another_context_for_new_connections(start: Start) -> None:
    with start(port=0, ssl=server_context()) as server:
        assert isinstance(server, (chatproto_sync.Server, chatproto_anyio.Server))
        with TlsClient(server.addresses[0], client_context()) as alice:
            alice.login("alice")
            server.replace_ssl(asking_context())
            # Those that are there stay as they are.
            alice.flush("alice")
            assert not _is_served(server.addresses[0], client_context())
        with pytest.raises(ValueError, match="a context for clients"):
            server.replace_ssl(client_context())
    with start(port=0) as plain:
        assert isinstance(plain, (chatproto_sync.Server, chatproto_anyio.Server))
        with pytest.raises(ValueError, match="without TLS"):
            plain.replace_ssl(server_context())


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_server_name_that_is_no_text(command: list[str], tmp_path: Path) -> None:
    """Nothing that a peer sends reaches standard error but through the log."""
    cert = tmp_path / "cert.pem"
    AUTHORITY().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(cert))
    options = ["--port", "0", "--tls-cert", str(cert), "--log-format", "json"]
    with spawn([*command, *options], tmp_path / "log") as process:
        with SocketClient(process.address) as mallory:
            mallory.write(client_hello("server.example").replace(b"server", b"\xff\xfe\xfd" * 2))
            assert mallory.socket.recv(1)
        with TlsClient(process.address, client_context()) as alice:
            alice.login("alice")
        assert process.end(signal.SIGTERM) == 0
        lines = [json.loads(line) for line in process.log.splitlines()]
    assert {line["level"] for line in lines} == {"info"}


def client_hello(name: str) -> bytes:
    """The first message of a client that asks for a server's name."""
    outgoing = ssl.MemoryBIO()
    client = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
