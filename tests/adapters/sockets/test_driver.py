"""`driver`: the loop of a server, with a clock that the test moves."""

import errno
import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from chatproto import ChatBroker, Health, LagHistogram, Send
from chatproto_sync.sockets import driver as driver_module
from chatproto_sync.sockets.driver import SPIN_COUNT, SPIN_TIME, TICK, Driver
from chatproto_sync.sockets.listeners import open_listeners
from chatproto_sync.sockets.poller import MAX_READY, READ
from chatproto_sync.sockets.transport import READ_SIZE, Transport

from ..servers import TIMEOUT
from .conftest import FakeClock
from .insides import step_until


def test_a_connection_that_is_gone_when_its_options_are_set(
    driver: Driver, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS reports that then."""

    def setsockopt(*_: object) -> None:
        raise OSError(errno.EINVAL, "made up")

    with socket.create_connection(address, TIMEOUT) as first:
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "setsockopt", setsockopt)
            driver.step(TIMEOUT)
        assert first.recv(1) == b""
        assert driver.broker.connections == 0


# epoll reports new data and the end of a stream once, so the driver must not rely on a second
# report.


def test_the_end_that_comes_with_data(driver: Driver, address: tuple[str, int]) -> None:
    with socket.create_connection(address, TIMEOUT) as client:
        client.sendall(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n")
        client.shutdown(socket.SHUT_WR)
        step_until(lambda: driver.broker.snapshot().logins == 1, driver)
        step_until(lambda: driver.broker.connections == 0, driver)
        assert client.recv(100) == b"CHAT/1.0 RECEIVE alice hi\n"
        assert client.recv(100) == b""


def test_the_end_that_comes_after_data(driver: Driver, address: tuple[str, int]) -> None:
    with socket.create_connection(address, TIMEOUT) as client:
        client.sendall(b"CHAT/1.0 LOGIN alice\n")
        step_until(lambda: driver.broker.snapshot().logins == 1, driver)
        client.shutdown(socket.SHUT_WR)
        step_until(lambda: driver.broker.connections == 0, driver)


def test_more_data_than_one_read_takes(driver: Driver, address: tuple[str, int]) -> None:
    line = b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n"
    lines = line * (READ_SIZE // len(line) + 1)
    with socket.create_connection(address, TIMEOUT) as client:
        client.sendall(b"CHAT/1.0 LOGIN alice\n")
        step_until(lambda: driver.broker.snapshot().logins == 1, driver)
        all_of_it = driver.broker.snapshot().bytes_received + len(lines)
        client.sendall(lines)
        step_until(lambda: driver.broker.snapshot().bytes_received == all_of_it, driver)


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["after all rounds", "after the step budget"])
def test_a_step_serves_all_that_it_polls(
    driver: Driver, clock: FakeClock, address: tuple[str, int], seconds: float
) -> None:
    """However it ends."""
    with (
        socket.create_connection(address, TIMEOUT) as alice,
        socket.create_connection(address, TIMEOUT) as bob,
    ):
        for number, sock in enumerate((alice, bob)):
            sock.sendall(b"CHAT/1.0 LOGIN user%d\n" % number)
        step_until(lambda: driver.broker.snapshot().logins == 2, driver)
        sent = 0

        def send_more() -> float:
            """Called between serving and polling."""
            nonlocal sent
            clock.now += seconds
            (alice, bob)[sent % 2].sendall(b"CHAT/1.0 SEND user0 hi\n")
            sent += 1
            return clock.now

        driver._clock = send_more
        send_more()
        driver.step(TIMEOUT)
        driver._clock = clock
        assert sent > 2
        step_until(lambda: driver.broker.snapshot().deliveries == sent, driver)


def test_more_ready_sockets_than_one_poll_returns(driver: Driver, address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        clients: list[socket.socket] = []
        for number in range(MAX_READY + MAX_READY // 2):
            client = stack.enter_context(socket.create_connection(address, TIMEOUT))
            client.sendall(b"CHAT/1.0 LOGIN user%d\n" % number)
            clients.append(client)
            step_until(lambda: driver.broker.snapshot().logins == len(clients), driver)
        for number, client in enumerate(clients):
            client.sendall(b"CHAT/1.0 SEND user%d hi\n" % number)
        step_until(lambda: driver.broker.snapshot().deliveries == len(clients), driver)


def test_one_step_answers_many_wakes(driver: Driver) -> None:
    """More of them than the waker's buffer holds."""
    for _ in range(10_000):
        driver.wake()
    assert select.select([driver], [], [], 0)[0] == [driver]
    driver.step(0)
    assert select.select([driver], [], [], 0)[0] == []


def test_a_step_that_asks_leaves_the_thread_to_tasks(clock: FakeClock) -> None:
    """It polls once more, and not again and again, as it does after others that are this short."""
    broker: ChatBroker[Transport] = ChatBroker(ask_hooks=[Send])
    driver = Driver(broker, open_listeners("127.0.0.1", 0), clock=clock)
    driver.listen()
    tokens: list[int] = []
    driver.ask_hooks = lambda token, _: tokens.append(token)
    polls: list[int] = []
    poll = driver._poll

    def noted(spins: int) -> list[tuple[int, int]]:
        polls.append(spins)
        return poll(spins)

    driver._poll = noted  # type: ignore[method-assign]
    with socket.create_connection(driver.listeners.sockets[0].getsockname(), TIMEOUT) as alice:
        driver.step(TIMEOUT)
        alice.sendall(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n")
        while not tokens:
            polls.clear()
            driver.step(TIMEOUT)
        assert polls[-1] == 1
        driver.step(0)
        assert polls[-1] == SPIN_COUNT
        driver.decide(tokens[0], Send("alice", b"HI"))
        driver.step(TIMEOUT)
        assert alice.recv(100) == b"CHAT/1.0 RECEIVE alice HI\n"
    driver.close()


@pytest.mark.parametrize(
    ("turn", "yields"),
    [(0.0, SPIN_COUNT - 1), (SPIN_TIME / 2, 2)],
    ids=["an idle machine", "a busy one"],
)
def test_polling_in_vain_does_not_wait_for_others(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, turn: float, yields: int
) -> None:
    """Each time others have their turn, of some length."""
    turns = 0

    def sched_yield() -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr(os, "sched_yield", sched_yield)
    monkeypatch.setattr(driver_module, "time", SimpleNamespace(monotonic=lambda: turns * turn))
    driver.step(0)
    turns = 0
    driver.step(0)
    assert turns == yields


def test_close_ends_connections(driver: Driver, address: tuple[str, int]) -> None:
    with socket.create_connection(address, TIMEOUT) as client:
        driver.step(TIMEOUT)
        assert driver.broker.connections == 1
        driver.close()
        driver.close()
        assert driver.broker.connections == 0
        assert client.recv(1) == b""
    with pytest.raises(RuntimeError, match="runs once"):
        driver.listen()


def test_abort_takes_effect_in_a_drain(driver: Driver, address: tuple[str, int]) -> None:
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


def test_each_round_counts_as_lag(driver: Driver, clock: FakeClock) -> None:
    class Slow:
        def ready(self, _events: int) -> None:
            clock.now += 3.0

        def close(self) -> None:
            pass

    reader, writer = socket.socketpair()
    with reader, writer:
        driver.step(0)
        assert driver.broker.snapshot().lag.total == 0.0
        driver.poller.register(reader, READ, Slow())
        writer.send(b"x")
        driver.step(0)
        driver.poller.unregister(reader)
    lag = driver.broker.snapshot().lag
    assert lag.total == 3.0
    assert lag.counts[LagHistogram.BOUNDS.index(5.0)] == 1


class FakeTransport:
    """Connects the broker to other nodes that never say anything, but in `parts`."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.refusal = ""
        self.left = False
        self.calls: list[str] = []
        self.parts: list[float] = []
        self._reader, self._writer = socket.socketpair()

    def fileno(self) -> int:
        return self._reader.fileno()

    def ready(self, _events: int) -> None:
        self._reader.recv(1)
        self.calls.append("ready")

    def receive(self) -> bool:
        """Take the seconds of the next part, if there is one."""
        if not self.parts:
            return False
        self.clock.now += self.parts.pop(0)
        self.calls.append("receive")
        return True

    def flush(self) -> None:
        self.calls.append("flush")

    def tick(self, now: float) -> None:
        assert now == self.clock.now

    def leave(self) -> None:
        self.calls.append("leave")

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def be_ready(self) -> None:
        self._writer.send(b"\0")

    def take(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def cluster(clock: FakeClock) -> FakeTransport:
    return FakeTransport(clock)


@pytest.fixture
def node(clock: FakeClock, cluster: FakeTransport) -> Iterator[Driver]:
    broker: ChatBroker[Transport] = ChatBroker()
    driver = Driver(broker, open_listeners("127.0.0.1", 0), clock=clock, cluster=cluster)
    driver.listen()
    yield driver
    driver.close()


def test_parts_from_other_nodes_are_settled_one_by_one(
    node: Driver, cluster: FakeTransport
) -> None:
    cluster.be_ready()
    cluster.parts = [0.0, 0.0]
    node.step(TIMEOUT)
    assert cluster.take()[:6] == ["ready", "flush", "receive", "flush", "receive", "flush"]


def test_other_nodes_do_not_use_up_the_time_of_an_event_loop(
    node: Driver, cluster: FakeTransport
) -> None:
    cluster.be_ready()
    cluster.parts = [1.0, 1.0]
    node.step(TIMEOUT)
    assert cluster.take() == ["ready", "flush", "receive", "flush"]
    # The rest is next, and needs no event.
    assert select.select([node], [], [], 0)[0] == [node]
    node.step(0)
    assert "receive" in cluster.take()


@pytest.mark.parametrize("ending", ["left", "aborted"])
def test_a_node_leaves_when_nobody_is_connected_any_more(
    node: Driver, cluster: FakeTransport, ending: str
) -> None:
    with socket.create_connection(node.listeners.sockets[0].getsockname(), TIMEOUT):
        node.step(TIMEOUT)
        node.drain()
        node.step(0)
        assert not node.drained
        assert "leave" not in cluster.take()
    while node.broker.connections:
        node.step(TIMEOUT)
    node.step(0)
    node.step(0)
    assert cluster.take().count("leave") == 1
    assert not node.drained
    if ending == "left":
        cluster.left = True
    else:
        node.abort()
    assert node.drained


def test_a_drain_without_a_cluster(driver: Driver) -> None:
    driver.drain()
    assert driver.drained


def test_the_health_says_how_late_the_loop_is(driver: Driver, clock: FakeClock) -> None:
    """Another thread sees it while the loop hangs."""
    assert driver.health() == Health(listening=True, draining=False, late=0.0)
    driver.step(0)
    clock.now += TICK
    assert driver.health().late == 0.0
    clock.now += 7.0
    assert driver.health().late == pytest.approx(7.0)
    driver.step(0)
    assert driver.health().late == 0.0
    driver.drain()
    assert driver.health() == Health(listening=False, draining=True, late=0.0)


def test_a_driver_that_does_not_listen_is_not_well(driver: Driver) -> None:
    driver.close()
    assert not driver.health().listening
