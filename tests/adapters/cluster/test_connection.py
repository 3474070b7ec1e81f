"""`connection`: one connection to a played Redis, with a clock that the test moves."""

import select
import socket
import ssl
from collections.abc import Callable, Iterator

import pytest

from chatproto_sync.cluster.connection import ANSWER_TIMEOUT, RedisConnection, Reply, ignore, pack
from chatproto_sync.sockets.poller import GONE, Poller, SelectorPoller, new_poller

from ..servers import TIMEOUT, reserved_port
from .insides import Conversation, Played

PING = pack(("PING",))


class Pair:
    """Both ends of a connection."""

    def __init__(self, played: Played, poller: Poller[RedisConnection]) -> None:
        self.poller = poller
        self.replies: list[Reply] = []
        address = ("127.0.0.1", played.port)
        self.connection = RedisConnection(poller, socket.AF_INET, address, None, "", 0.0)
        self.server: Conversation = played.accept()
        self.run_until(lambda: self.connection.connected)

    def ping(self, times: int = 1) -> None:
        self.connection.send(PING * times, *[self.replies.append] * times)

    def run_until(self, condition: Callable[[], object]) -> None:
        """Do what the poller says until a condition holds."""
        while not condition():
            ready = self.poller.poll(TIMEOUT)
            assert ready
            for fd, events in ready:
                self.poller.handlers[fd].ready(events)


@pytest.fixture(params=[new_poller, SelectorPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller[RedisConnection]]:
    poller = request.param()
    yield poller
    poller.close()


@pytest.fixture
def pair(poller: Poller[RedisConnection]) -> Iterator[Pair]:
    played = Played()
    pair = Pair(played, poller)
    yield pair
    pair.connection.close()
    pair.connection.close()
    played.close()


def test_replies_come_in_the_order_of_commands(pair: Pair) -> None:
    pair.ping(3)
    assert pair.server.read() == [b"PING"]
    pair.server.answer(b"+1\r\n$2\r\n2")
    pair.run_until(lambda: pair.replies)
    assert pair.replies == [b"1"]
    pair.server.answer(b"2\r\n*2\r\n:3\r\n$-1\r\n")
    pair.run_until(lambda: len(pair.replies) == 3)
    assert pair.replies == [b"1", b"22", [3, None]]


def test_more_than_the_system_takes_at_once(pair: Pair) -> None:
    data = b"x" * 20_000_000
    pair.connection.send(pack(("SET", "key", data)), ignore)
    pair.ping()
    pair.server.socket.setblocking(False)
    received = bytearray()

    def receive() -> bool:
        while True:
            try:
                received.extend(pair.server.socket.recv(1 << 20))
            except BlockingIOError:
                return received.endswith(PING)

    pair.run_until(receive)
    assert received.count(b"x") == len(data)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"-OOM command not allowed\r\n", "it has no memory left: raise its maxmemory"),
        (b"-ODD thing\r\n", "it answers: ODD thing"),
        (b"HTTP/1.1 400 Bad Request\r\n", "what it sends is no protocol of Redis"),
        (b"+1\r\n+2\r\n", "it sends replies that nobody has asked for"),
        (b"$10\r\nhalf", "it has closed the connection"),
        (b"", "if it uses TLS, the URL of the cluster begins with rediss://"),
    ],
)
def test_failures(pair: Pair, answer: bytes, words: str) -> None:
    pair.ping()
    assert pair.server.read() == [b"PING"]
    pair.server.answer(answer)
    if b"half" in answer or not answer:
        pair.server.close()
    pair.run_until(lambda: pair.connection.error)
    assert words in pair.connection.error
    assert pair.connection.refused == answer[1:].decode().strip() * answer.startswith(b"-")
    # Nothing happens any more.
    pair.ping()
    pair.connection.tick(1000.0)
    assert words in pair.connection.error


def test_a_reset_while_writing(pair: Pair) -> None:
    pair.server.close()
    data = pack(("SET", "key", b"x" * 1_000_000))

    def is_over() -> bool:
        pair.connection.send(data, ignore)
        return pair.connection.error != ""

    pair.run_until(is_over)
    assert pair.connection.error


def test_nobody_listens(poller: Poller[RedisConnection]) -> None:
    address = ("127.0.0.1", reserved_port())
    connection = RedisConnection(poller, socket.AF_INET, address, None, "", 0.0)
    while not connection.error:
        for fd, events in poller.poll(TIMEOUT):
            poller.handlers[fd].ready(events)
    assert connection.error == "Connection refused"


def test_an_answer_that_takes_too_long(pair: Pair) -> None:
    connection = pair.connection
    connection.tick(100.0)
    assert not connection.error
    pair.ping(2)
    connection.tick(100.0 + ANSWER_TIMEOUT)
    assert not connection.error
    pair.server.answer(b"+1\r\n")
    pair.run_until(lambda: pair.replies)
    connection.tick(100.0 + 2 * ANSWER_TIMEOUT)
    assert not connection.error
    connection.tick(101.0 + 2 * ANSWER_TIMEOUT)
    assert "does not answer" in connection.error


def test_an_answer_that_came_while_the_process_was_stopped(pair: Pair) -> None:
    pair.ping()
    pair.server.answer(b"+1\r\n")
    # Until it is there.
    assert pair.poller.poll(TIMEOUT)
    pair.connection.tick(1000.0)
    assert pair.replies == [b"1"]
    assert not pair.connection.error


def test_a_connection_that_is_never_made(poller: Poller[RedisConnection]) -> None:
    """A listening socket whose queue is full answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        connections = [
            RedisConnection(poller, socket.AF_INET, address, None, "", 0.0) for _ in range(4)
        ]
        last = connections[-1]
        last.tick(ANSWER_TIMEOUT)
        assert not last.error
        last.tick(ANSWER_TIMEOUT + 1.0)
        assert "does not answer" in last.error
        for each in connections:
            each.close()


def test_a_redis_without_tls(poller: Poller[RedisConnection]) -> None:
    """It waits for the end of a line, and gets none."""
    played = Played()
    address = ("127.0.0.1", played.port)
    context = ssl.create_default_context()
    connection = RedisConnection(poller, socket.AF_INET, address, context, "localhost", 0.0)
    server = played.accept()
    for fd, events in poller.poll(TIMEOUT):
        poller.handlers[fd].ready(events)
    assert server.socket.recv(1) == b"\x16"
    connection.tick(ANSWER_TIMEOUT + 1.0)
    assert "if it uses no TLS, the URL of the cluster begins with redis://" in connection.error
    played.close()


def test_a_lazy_connection_wakes_nobody(pair: Pair) -> None:
    connection = pair.connection
    connection.be_lazy()
    pair.ping()
    assert pair.server.read() == [b"PING"]
    pair.server.answer(b"+1\r\n")
    assert select.select([connection._socket], [], [], TIMEOUT)[0]
    assert pair.poller.poll(0) == []
    connection.read()
    assert pair.replies == [b"1"]
    if not isinstance(pair.poller, SelectorPoller):
        assert connection._events == GONE
        pair.server.close()
        pair.run_until(lambda: connection.error)
