"""`transport` and `session` with a played Redis that has faults."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from chatproto import ClusterError
from chatproto_sync.cluster import transport

from .insides import HELLO, Conversation, Node, Played, Redis, playing

LOADED = (
    b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:0\r\n:0\r\n"
    b"*3\r\n$5\r\nepoch\r\n$3\r\n7-0\r\n$4\r\ndata\r\n"
)
"""The answers to what makes the snapshot, if there is none, and gets it."""


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


def why_not(node: Node, play: Callable[[], object]) -> str:
    """Have a node join while a thread plays its Redis. Returns why it could not."""
    with contextlib.closing(node.transport), playing(play):
        with pytest.raises(ClusterError) as caught:
            node.join()
        return str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"-NOAUTH HELLO must be called\r\n", "it wants a password, and none is given"),
        (b"-ERR unknown command `HELLO`\r\n", "has to be version 6.2 or newer"),
        (HELLO.replace(b"7.0.0", b"6.0.9"), "it is version 6.0.9, and has to be 6.2 or newer"),
        (HELLO.replace(b"6\r\nmaster", b"5\r\nslave"), "it is a replica"),
        (HELLO[:20], "it has closed the connection"),
    ],
)
def test_what_the_first_connection_is_told(played: Played, answer: bytes, words: str) -> None:
    def play() -> None:
        writer = played.accept()
        writer.expect(b"HELLO")
        writer.answer(answer)
        writer.close()

    assert words in why_not(Node(played.url), play)


def begin(played: Played) -> Conversation:
    """Play what happens until the second connection asks for the snapshot."""
    played.accept().greet()
    reader = played.accept()
    reader.greet()
    reader.expect(b"MULTI", b"HSETNX", b"HSETNX", b"EXEC", b"HMGET")
    return reader


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"-MISCONF errors writing\r\n", "it takes no writes, because it can't save its data"),
        (b"+OK\r\n-OOM command not allowed\r\n", "it has no memory left"),
        (LOADED[:-3], "it has closed the connection"),
    ],
)
def test_what_the_second_connection_is_told(played: Played, answer: bytes, words: str) -> None:
    def play() -> None:
        reader = begin(played)
        reader.answer(answer)
        reader.close()

    node = Node(played.url)
    assert words in why_not(node, play)
    assert node.cluster.calls == []


@pytest.mark.parametrize("error", ["LOADING", "TRYAGAIN", "ASK 1 127.0.0.1:1"])
def test_an_error_that_passes(played: Played, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "POLL", 0.001)

    def play() -> None:
        begin(played).answer(b"-%b\r\n" % error.encode())
        reader = begin(played)
        reader.answer(LOADED)
        assert b"BLOCK" not in reader.read()
        reader.answer(b"*-1\r\n")

    node = Node(played.url)
    with contextlib.closing(node.transport):
        with playing(play):
            node.join()
        assert node.cluster.take() == [("load", b"data"), ("connected", True)]


def test_a_snapshot_that_is_damaged(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(data: bytes | None) -> None:
        assert data == b"data"
        raise ClusterError("made up")

    node = Node(played.url)
    monkeypatch.setattr(node.cluster, "load", load)
    words = why_not(node, lambda: begin(played).answer(LOADED))
    assert "its snapshot of the chat can't be used: made up" in words


def test_redis_cluster_says_where_the_chat_is(played: Played, redis: Redis) -> None:
    node = Node(played.url.replace("/tea", f"/{redis.chat}"))
    with contextlib.closing(node.transport):
        moved = b"+OK\r\n-MOVED 1 :%d\r\n" % redis.port
        with playing(lambda: begin(played).answer(moved)):
            node.join()
        assert node.cluster.take() == [("load", None), ("connected", True)]


def test_a_redis_that_hangs(played: Played, caplog: pytest.LogCaptureFixture) -> None:
    """First when the node is up, then when it connects again. The log says so once a minute."""
    node = Node(played.url)

    def play() -> None:
        reader = begin(played)
        reader.answer(LOADED)
        assert b"BLOCK" not in reader.read()
        reader.answer(b"*-1\r\n")
        assert b"BLOCK" in reader.read()

    with contextlib.closing(node.transport):
        with playing(play):
            node.join()
        for _ in range(3):
            node.now += 4.0
            node.run_until(lambda: node.transport._session is None)
            node.now += 2.0
            node.run_until(lambda: node.transport._session is not None)
            played.accept()
        assert node.cluster.take() == [("load", b"data"), ("connected", True), ("connected", False)]
    assert caplog.messages == [
        f"lost Redis at 127.0.0.1:{played.port}, connecting again: it does not answer",
        f"can't use Redis at 127.0.0.1:{played.port}, trying again: it does not answer",
    ]
