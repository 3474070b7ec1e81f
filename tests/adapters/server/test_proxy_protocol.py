"""`Server` behind a balancer that sends PROXY headers."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import ChatBroker, CloseReason, Limits, LoginRequest, ProxyNetworks
from chatproto_sync.sockets.driver import Driver
from chatproto_sync.sockets.listeners import open_listeners
from chatproto_sync.sockets.transport import Transport

from ..processes import COMMANDS, spawn
from ..servers import TIMEOUT, SocketClient, Start, run_sync
from ..sockets.conftest import FakeClock
from ..sockets.insides import Clock, server_log, step_until, wait_until
from .test_tls_handshakes import TlsBytes, name_of
from .test_tls_server import client_context, server_context

HERE = ["127.0.0.1"]

V1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 4321 3333\r\n"
V2 = bytes.fromhex("0D0A0D0A000D0A515549540A 21 11 000C CB007107 7F000001 10E1 0D05")
V2_IPV6 = bytes.fromhex(
    "0D0A0D0A000D0A515549540A 21 21 0024 20010DB8000000000000000000000007"
    "00000000000000000000000000000001 10E1 0D05"
)
LOCAL = bytes.fromhex("0D0A0D0A000D0A515549540A 20 00 0000")
TOO_MANY = b"CHAT/1.0 RECEIVE *server* ERR TOO_MANY - too many connections from your address\n"


class ProxiedClient(SocketClient):
    """A client behind a balancer."""

    def __init__(self, address: str, header: bytes) -> None:
        super().__init__(address)
        self.write(header)


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        pytest.param(V1, "203.0.113.7:4321", id="version 1"),
        pytest.param(V2, "203.0.113.7:4321", id="version 2"),
        pytest.param(V2_IPV6, "[2001:db8::7]:4321", id="IPv6"),
    ],
)
def test_the_log_has_the_address_of_the_client(start: Start, header: bytes, peer: str) -> None:
    with server_log() as log, start(port=0, proxy_protocol="127.0.0.1") as server:
        with ProxiedClient(server.addresses[0], header) as alice:
            alice.login("alice")
        log.wait_for_all([f"accepted from {peer}", f"logged in alice ({peer})"])


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
def test_a_header_without_an_address(start: Start, header: bytes) -> None:
    with server_log() as log, start(port=0, proxy_protocol=HERE) as server:
        with ProxiedClient(server.addresses[0], header) as alice:
            name = name_of(alice)
            alice.login("alice")
        log.wait_for_all([f"logged in alice ({name})"])


def test_the_address_of_the_client_counts(start: Start) -> None:
    limits = Limits(max_connections_per_address=1)
    with start(port=0, proxy_protocol=HERE, limits=limits) as server:
        address = server.addresses[0]
        with ProxiedClient(address, V1) as alice, ProxiedClient(address, V2_IPV6) as bob:
            alice.login("alice")
            bob.login("bob")
            with ProxiedClient(address, V2) as carol:
                assert carol.read_line() == TOO_MANY
                assert carol.read_line() == b""


def test_a_header_in_front_of_tls(start: Start) -> None:
    client = TlsBytes(client_context())
    with (
        server_log() as log,
        start(port=0, proxy_protocol=HERE, ssl=server_context()) as server,
        ProxiedClient(server.addresses[0], V2 + client.hello()) as alice,
    ):
        last = client.finish(alice.socket)
        alice.write(last + client.encrypt(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n"))
        assert client.read(alice.socket) == b"CHAT/1.0 RECEIVE alice hi\n"
        log.wait_for_all(["logged in alice (203.0.113.7:4321)"])


def test_a_failed_handshake_has_the_address_of_the_client(start: Start) -> None:
    with (
        server_log() as log,
        start(port=0, proxy_protocol=HERE, ssl=server_context()) as server,
        ProxiedClient(server.addresses[0], V1 + b"CHAT/1.0 LOGIN alice\n") as alice,
    ):
        assert b"wants TLS" in alice.read_line()
        assert alice.read_line() == b""
        log.wait_for_one("handshake failed 203.0.113.7:4321: the client does not use TLS")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"CHAT/1.0 LOGIN alice\n" * 9, "the connection does not begin with one"),
        (b"\x16\x03\x01\x02\x00\x01", "the connection does not begin with one"),
        (V1.replace(b"\r", b"") + b"CHAT/1.0 LOGIN alice\n", "its line does not end with CRLF"),
        (b"PROXY UNKNOWN " + b"x" * 5000, "its line is longer than 107 bytes"),
    ],
)
def test_a_bad_header(start: Start, data: bytes, reason: str) -> None:
    limits = Limits(close_timeout=TIMEOUT)
    with (
        server_log() as log,
        start(port=0, proxy_protocol=HERE, limits=limits) as server,
        ProxiedClient(server.addresses[0], data) as alice,
    ):
        assert alice.read_line() == b""
        log.wait_for_all([f"bad PROXY header {name_of(alice)}: {reason}"])
    assert server.snapshot().closes == {CloseReason.BAD_PROXY_HEADER: 1}
    assert server.snapshot().logins == 0


def test_a_header_that_ends_in_the_middle(start: Start) -> None:
    with (
        server_log() as log,
        start(port=0, proxy_protocol=HERE) as server,
        ProxiedClient(server.addresses[0], V1[:20]) as alice,
    ):
        alice.end()
        assert alice.read_line() == b""
        reason = "the connection ended in the middle of it"
        log.wait_for_all([f"bad PROXY header {name_of(alice)}: {reason}"])


@pytest.mark.parametrize("end", [SocketClient.close, SocketClient.reset])
def test_a_health_check_that_sends_nothing(
    start: Start, end: Callable[[SocketClient], None]
) -> None:
    with server_log() as log, start(port=0, proxy_protocol=HERE) as server:
        with SocketClient(server.addresses[0]) as check:
            name = name_of(check)
            end(check)
        log.wait_for_all([f"probed {name}: connection lost"])


@pytest.mark.parametrize("part", [b"", V1[:20], V2[:20]])
def test_a_header_that_does_not_come_in_time(start: Start, part: bytes) -> None:
    with (
        server_log() as log,
        start(port=0, proxy_protocol=HERE) as server,
        ProxiedClient(server.addresses[0], V2) as alice,
        ProxiedClient(server.addresses[0], part) as mallory,
    ):
        alice.login("alice")
        wait_until(lambda: server.snapshot().accepted == 2, alice, "alice")
        Clock(server).skip(Limits().handshake_timeout)
        assert mallory.read_line() == b""
        log.wait_for_all([f"closed {name_of(mallory)}: no PROXY header in time"])


def test_a_header_from_elsewhere_closes_the_connection(start: Start) -> None:
    """Anybody could pretend to be anybody."""
    with (
        server_log() as log,
        start(port=0, proxy_protocol=["192.0.2.0/24", "2001:db8::/32", "unix"]) as server,
    ):
        with SocketClient(server.addresses[0]) as alice:
            alice.login("alice")
        for header in (V1, V2):
            with ProxiedClient(server.addresses[0], header) as mallory:
                assert b"203.0.113.7" not in mallory.read_line()
                reason = "a PROXY header that is not expected"
                log.wait_for_all([f"closed {name_of(mallory)}: {reason}"])


def test_the_shutdown_before_the_header(start: Start) -> None:
    with contextlib.ExitStack() as clients:
        with start(port=0, proxy_protocol=HERE, limits=Limits(grace=1000)) as server:
            mallory = clients.enter_context(ProxiedClient(server.addresses[0], V1[:9]))
            with ProxiedClient(server.addresses[0], V1) as alice:
                alice.login("alice")
        assert mallory.read_line() == b""


def test_a_balancer_on_a_unix_socket(tmp_path: Path, start: Start) -> None:
    """The client is not the balancer's process, and a health check is."""
    requests: list[LoginRequest] = []

    def authenticate(request: LoginRequest) -> bool:
        requests.append(request)
        return True

    async def authenticate_in_task(request: LoginRequest) -> bool:
        return authenticate(request)

    function = authenticate if start is run_sync else authenticate_in_task
    path = tmp_path / "chat"
    with start(unix=path, proxy_protocol=["unix"], authenticate=function) as server:
        for header in (V1, LOCAL):
            with ProxiedClient(server.addresses[0], header) as alice:
                alice.login("alice")
    client, check = requests
    assert (client.peer, client.credentials) == ("203.0.113.7:4321", None)
    assert check.peer == "unix"
    assert check.credentials is not None
    assert check.credentials.pid == os.getpid()


@pytest.mark.parametrize("server", [chatproto_sync.Server, chatproto_anyio.Server])
def test_no_network(server: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 network"):
        server(port=0, proxy_protocol=["balancer"])


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_the_commands(command: list[str], tmp_path: Path) -> None:
    options = ["--port=0", "--proxy-protocol=::1", "--proxy-protocol", "127.0.0.0/8"]
    with spawn([*command, *options], tmp_path / "log") as process:
        with ProxiedClient(process.address, V1) as alice:
            alice.login("alice")
        process.wait_for_log("logged in alice (203.0.113.7:4321)")


@pytest.fixture
def driver() -> Iterator[Driver]:
    """A driver that expects headers."""
    broker: ChatBroker[Transport] = ChatBroker()
    listeners = open_listeners("127.0.0.1", 0)
    driver = Driver(broker, listeners, None, ProxyNetworks(HERE), FakeClock())
    driver.listen()
    yield driver
    driver.close()


@pytest.mark.parametrize("header", [V1, V2, V2_IPV6, LOCAL + V1[:0]])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_of_any_size(driver: Driver, header: bytes, size: int) -> None:
    """What is behind the header is not touched, in whatever pieces both come."""
    data = header + b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n"
    with socket.create_connection(driver.listeners.sockets[0].getsockname(), TIMEOUT) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), size):
            client.sendall(data[at : at + size])
            # Not more: there may be nothing left to do but to wait for the next piece.
            driver.step(TIMEOUT)
        step_until(lambda: driver.broker.snapshot().deliveries == 1, driver)
        assert client.recv(100) == b"CHAT/1.0 RECEIVE alice hi\n"
    assert driver.broker.snapshot().refusals == {}
