"""The selector driver where time and failures have to be made."""

import errno
import logging
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chatproto import ChatBroker
from chatproto_sync.service.startup import greeting
from chatproto_sync.sockets.acceptor import ACCEPT_PAUSE
from chatproto_sync.sockets.addresses import describe
from chatproto_sync.sockets.driver import MAX_ROUNDS, Driver
from chatproto_sync.sockets.listeners import open_listeners
from chatproto_sync.sockets.poller import MAX_READY
from chatproto_sync.sockets.transport import READ_SIZE, Transport

from ..servers import TIMEOUT


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def driver(clock: Clock) -> Iterator[Driver]:
    broker: ChatBroker[Transport] = ChatBroker()
    driver = Driver(broker, open_listeners("127.0.0.1", 0), clock=clock)
    driver.listen()
    yield driver
    driver.close()


@pytest.fixture
def address(driver: Driver) -> Any:
    """Where the driver listens."""
    return driver.listeners.sockets[0].getsockname()


class FailingAccept:
    """Stands for `socket.accept` as long as it lasts."""

    def __init__(self, error: int) -> None:
        self.error = error
        self.calls = 0

    def __call__(self) -> tuple[socket.socket, object]:
        self.calls += 1
        raise OSError(self.error, "made up")


def test_accept_that_fails_backs_off_and_recovers(
    driver: Driver,
    clock: Clock,
    address: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_connection(address, TIMEOUT):
        accept = FailingAccept(errno.EMFILE)
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", accept)
            driver.step(TIMEOUT)
            for _ in range(5):
                driver.step(0)
            assert accept.calls == 1
            clock.now += ACCEPT_PAUSE
            driver.step(0)
            assert accept.calls == 2
        # Said once, not once a second.
        warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
        assert [each.getMessage() for each in warnings] == [
            "can't accept connections, trying again every second: [Errno 24] made up"
        ]
        assert driver.broker.connections == 0
        clock.now += ACCEPT_PAUSE
        driver.step(0)
        assert driver.broker.connections == 1


def test_a_connection_that_is_gone_before_it_is_accepted(
    driver: Driver, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is skipped, as often as there is one, and accepting goes on at once."""
    with socket.create_connection(address, TIMEOUT):
        accept = FailingAccept(errno.ECONNABORTED)
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", accept)
            driver.step(TIMEOUT)
        assert accept.calls > 1
        driver.step(TIMEOUT)
        assert driver.broker.connections == 1


def test_a_connection_that_is_gone_when_it_is_accepted(
    driver: Driver, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def setsockopt(*_: object) -> None:
        raise OSError(errno.EINVAL, "made up")

    with socket.create_connection(address, TIMEOUT) as first:
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "setsockopt", setsockopt)
            driver.step(TIMEOUT)
        assert first.recv(1) == b""
        assert driver.broker.connections == 0


def test_drain_while_accepting_is_paused(
    driver: Driver, clock: Clock, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_connection(address, TIMEOUT):
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", FailingAccept(errno.ENFILE))
            driver.step(TIMEOUT)
        driver.drain()
        clock.now += ACCEPT_PAUSE
        driver.step(0)
        assert driver.broker.connections == 0


# Linux tells once of what has come. So nothing may depend on being told again.


def test_the_end_that_comes_with_data(driver: Driver, address: tuple[str, int]) -> None:
    with socket.create_connection(address, TIMEOUT) as client:
        client.sendall(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n")
        client.shutdown(socket.SHUT_WR)
        driver.step(TIMEOUT)
        for _ in range(MAX_ROUNDS):
            driver.step(0)
        assert driver.broker.connections == 0
        assert client.recv(100) == b"CHAT/1.0 RECEIVE alice hi\n"
        assert client.recv(100) == b""


def test_the_end_that_comes_after_data(driver: Driver, address: tuple[str, int]) -> None:
    with socket.create_connection(address, TIMEOUT) as client:
        client.sendall(b"CHAT/1.0 LOGIN alice\n")
        driver.step(TIMEOUT)
        client.shutdown(socket.SHUT_WR)
        driver.step(TIMEOUT)
        assert driver.broker.connections == 0


def test_more_than_is_read_at_once(driver: Driver, address: tuple[str, int]) -> None:
    line = b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n"
    lines = line * (READ_SIZE // len(line) + 1)
    with socket.create_connection(address, TIMEOUT) as client:
        client.sendall(b"CHAT/1.0 LOGIN alice\n")
        driver.step(TIMEOUT)
        before = driver.broker.snapshot().bytes_received
        client.sendall(lines)
        for _ in range(MAX_ROUNDS):
            driver.step(0)
        assert driver.broker.snapshot().bytes_received == before + len(lines)


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_what_is_polled_is_worked_on(
    driver: Driver, clock: Clock, address: tuple[str, int], seconds: float
) -> None:
    """However a step ends: because it has taken long, or because there is always more to do."""
    with (
        socket.create_connection(address, TIMEOUT) as alice,
        socket.create_connection(address, TIMEOUT) as bob,
    ):
        for number, sock in enumerate((alice, bob)):
            sock.sendall(b"CHAT/1.0 LOGIN user%d\n" % number)
            driver.step(TIMEOUT)
        said = 0

        def say_more() -> float:
            """Called between working and polling."""
            nonlocal said
            clock.now += seconds
            (alice, bob)[said % 2].sendall(b"CHAT/1.0 SEND user0 hi\n")
            said += 1
            return clock.now

        driver._clock = say_more
        say_more()
        driver.step(TIMEOUT)
        driver._clock = clock
        for _ in range(3):
            driver.step(0)
        assert said > 2
        assert driver.broker.snapshot().messages == said


def test_news_of_more_than_one_poll_gives(driver: Driver, address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        clients: list[socket.socket] = []
        for number in range(MAX_READY + MAX_READY // 2):
            client = stack.enter_context(socket.create_connection(address, TIMEOUT))
            client.sendall(b"CHAT/1.0 LOGIN user%d\n" % number)
            driver.step(TIMEOUT)
            clients.append(client)
        for number, client in enumerate(clients):
            client.sendall(b"CHAT/1.0 SEND user%d hi\n" % number)
        for _ in range(MAX_ROUNDS):
            driver.step(0)
        assert driver.broker.snapshot().messages == len(clients)


def test_many_wakes_are_one(driver: Driver) -> None:
    """More of them than the waker can count."""
    for _ in range(10_000):
        driver.wake()
    assert select.select([driver], [], [], 0)[0] == [driver]
    driver.step(0)
    assert select.select([driver], [], [], 0)[0] == []


def test_close_drops_connections(driver: Driver, address: tuple[str, int]) -> None:
    with socket.create_connection(address, TIMEOUT) as client:
        driver.step(TIMEOUT)
        assert driver.broker.connections == 1
        driver.close()
        driver.close()
        assert driver.broker.connections == 0
        assert client.recv(1) == b""
    with pytest.raises(RuntimeError, match="runs once"):
        driver.listen()


def test_abandon_waits_for_the_drain(driver: Driver, address: tuple[str, int]) -> None:
    """Before it, nobody loses anything; from then on nobody is waited for."""
    with socket.create_connection(address, TIMEOUT) as client:
        driver.step(TIMEOUT)
        driver.abort()
        driver.step(TIMEOUT)
        assert driver.broker.connections == 1
        driver.drain()
        assert driver.broker.connections == 1
        driver.step(0)
        assert driver.broker.connections == 0
        assert b"ERR SHUTTING_DOWN" in client.recv(100)


def test_open_listeners_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the second address of a name is not to be had, the first is given back."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        addresses = [("127.0.0.1", port), ("192.0.2.1", port)]
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *_, **__: [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in addresses
            ],
        )
        with pytest.raises(OSError, match="assign"):
            open_listeners("two.example", port)
        monkeypatch.undo()
        open_listeners("127.0.0.1", port).close()
        assert taken.fileno() != -1


@pytest.mark.parametrize(
    ("address", "family", "words"),
    [
        (("127.0.0.1", 3333), socket.AF_INET, "127.0.0.1:3333"),
        (("::1", 3333, 0, 0), socket.AF_INET6, "[::1]:3333"),
        ("/run/chat", socket.AF_UNIX, "unix:/run/chat"),
        (b"\0abstract", socket.AF_UNIX, "unix:\0abstract"),
        ("", socket.AF_UNIX, "unix"),
    ],
)
def test_describe(address: object, family: int, words: str) -> None:
    assert describe(address, family) == words


@pytest.mark.parametrize(
    ("address", "command"),
    [
        ("127.0.0.1:3333", "nc 127.0.0.1 3333"),
        ("0.0.0.0:3333", "nc 127.0.0.1 3333"),
        ("[::]:3333", "nc ::1 3333"),
        ("[::1]:3333", "nc ::1 3333"),
        ("unix:/run/chat", "nc -U /run/chat"),
        ("unix:/run/my chat", "nc -U '/run/my chat'"),
    ],
)
def test_greeting(address: str, command: str) -> None:
    first, second, third = greeting([address, "[::1]:9"]).splitlines()
    assert first == f"Listening on {address}, [::1]:9."
    assert second.endswith(f" {command}")
    assert third.endswith(" CHAT/1.0 LOGIN alice")
