"""`transport`: TLS handshakes that have not begun, and connections that nothing watches."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from chatproto import ChatBroker, CloseReason, Limits
from chatproto_sync.sockets.driver import Driver
from chatproto_sync.sockets.listeners import open_listeners
from chatproto_sync.sockets.tls import is_tls
from chatproto_sync.sockets.transport import SocketTransport, Transport

from ..server.test_tls_server import HALF_A_HELLO, client_context, server_context
from ..servers import TIMEOUT
from .conftest import FakeClock


@pytest.fixture
def tls_driver(clock: FakeClock) -> Iterator[Driver]:
    broker: ChatBroker[Transport] = ChatBroker(
        limits=Limits(handshake_timeout=3.0, max_handshakes=1)
    )
    driver = Driver(broker, open_listeners("127.0.0.1", 0), server_context(), clock=clock)
    driver.listen()
    yield driver
    driver.close()


def connect(driver: Driver) -> socket.socket:
    sock = socket.create_connection(driver.listeners.sockets[0].getsockname(), TIMEOUT)
    driver.step(TIMEOUT)
    return sock


def transport_of(driver: Driver) -> SocketTransport:
    """The only connection's."""
    [found] = [x for x in driver.poller.handlers.values() if isinstance(x, SocketTransport)]
    return found


def test_there_is_no_state_of_tls_before_the_first_byte(tls_driver: Driver) -> None:
    with connect(tls_driver) as client:
        assert not is_tls(transport_of(tls_driver)._socket)
        client.sendall(HALF_A_HELLO)
        tls_driver.step(TIMEOUT)
        assert is_tls(transport_of(tls_driver)._socket)


def test_an_unfinished_handshake_gives_way(tls_driver: Driver) -> None:
    with connect(tls_driver) as first, connect(tls_driver) as second:
        for client in (first, second):
            client.sendall(HALF_A_HELLO)
            tls_driver.step(TIMEOUT)
        assert tls_driver.broker.connections == 1
        assert tls_driver.broker.snapshot().closes == {CloseReason.TOO_MANY_HANDSHAKES: 1}
        assert first.recv(1) == b""


def no_time_left(driver: Driver) -> None:
    """From now on, no handshake has its turn: the clock of the test stands still."""
    driver._handshakes._credit = -1.0


def test_a_connection_that_is_gone_before_its_turn_is_forgotten(tls_driver: Driver) -> None:
    no_time_left(tls_driver)
    with connect(tls_driver) as client:
        client.sendall(HALF_A_HELLO)
        tls_driver.step(TIMEOUT)
        assert tls_driver.broker.connections == 1
    tls_driver.step(TIMEOUT)
    assert tls_driver.broker.connections == 0
    assert tls_driver.broker.snapshot().closes == {CloseReason.LOST: 1}


def test_the_wait_for_a_turn_has_the_deadline_of_the_handshake(
    tls_driver: Driver, clock: FakeClock
) -> None:
    no_time_left(tls_driver)
    with connect(tls_driver) as client:
        client.sendall(HALF_A_HELLO)
        tls_driver.step(TIMEOUT)
        clock.now += 3.0
        tls_driver.wake()
        tls_driver.step(TIMEOUT)
        assert tls_driver.broker.snapshot().closes == {CloseReason.HANDSHAKE_TIMEOUT: 1}
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_handshake_that_waits_goes_on_in_its_turn(tls_driver: Driver, clock: FakeClock) -> None:
    no_time_left(tls_driver)
    with connect(tls_driver) as client:
        client.sendall(b"this is no handshake\n")
        tls_driver.step(TIMEOUT)
        clock.now += 2.9
        tls_driver.wake()
        tls_driver.step(TIMEOUT)
        # It fails, so it was its turn.
        assert client.recv(1) == b""
    tls_driver.step(TIMEOUT)
    assert tls_driver.broker.snapshot().closes == {CloseReason.HANDSHAKE_FAILED: 1}


def test_a_client_may_close_right_after_its_handshake(tls_driver: Driver) -> None:
    """What it has sent is executed, also if the server comes to its end of the handshake later."""
    sock = connect(tls_driver)
    sock.setblocking(False)
    with client_context().wrap_socket(
        sock, server_hostname="127.0.0.1", do_handshake_on_connect=False
    ) as client:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        tls_driver.step(TIMEOUT)
        no_time_left(tls_driver)
        # The answer may be on its way.
        client.settimeout(TIMEOUT)
        client.do_handshake()
        client.sendall(b"CHAT/1.0 LOGIN alice\n")
    tls_driver.step(TIMEOUT)
    tls_driver._handshakes._credit = 1.0
    while tls_driver.broker.connections:
        tls_driver.wake()
        tls_driver.step(TIMEOUT)
    assert tls_driver.broker.snapshot().logins == 1


def test_close_ends_connections_that_nothing_watches(clock: FakeClock) -> None:
    broker: ChatBroker[Transport] = ChatBroker(limits=Limits(rate=1.0))
    driver = Driver(broker, open_listeners("127.0.0.1", 0), clock=clock)
    driver.listen()
    with connect(driver) as client:
        client.sendall(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 LEAVE g\n")
        driver.step(TIMEOUT)
        handlers: dict[int, Any] = driver.poller.handlers
        assert not any(isinstance(each, SocketTransport) for each in handlers.values())
        driver.close()
        assert broker.connections == 0
        assert client.recv(1) == b""
