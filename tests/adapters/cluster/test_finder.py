"""`finder`: where Redis is, by sentinels that are played."""

import contextlib

import pytest

from chatproto import ClusterError

from ..servers import reserved_port
from .insides import Node, Played, Redis, playing


def url_of(*ports: int, chat: str = "tea") -> str:
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"redis+sentinel://{places}/db/{chat}"


def answer(sentinel: Played, *words: bytes) -> None:
    conversation = sentinel.accept()
    assert conversation.read() == [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"db"]
    body = b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in words)
    conversation.answer(b"*%d\r\n%b" % (len(words), body) if words else b"*-1\r\n")


def test_a_sentinel_says_where_redis_is(redis: Redis) -> None:
    """Again after each loss of the connection; those that can't say it are passed over."""
    with contextlib.closing(Played()) as one, contextlib.closing(Played()) as two:
        url = url_of(reserved_port(), one.port, two.port, chat=redis.chat)

        def play() -> None:
            answer(one)
            answer(two, b"127.0.0.1", b"%d" % redis.port)

        node = Node(url)
        with contextlib.closing(node.transport):
            with playing(play):
                node.join()
            node.cluster.take()
            redis.kill_node("a")
            with playing(play):
                node.run_until_called("connected", True)


def test_sentinels_with_a_password(redis: Redis) -> None:
    with contextlib.closing(Played()) as sentinel:

        def play() -> None:
            conversation = sentinel.accept()
            assert conversation.read() == [b"AUTH", b"secret"]
            assert conversation.read() == [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"db"]
            conversation.answer(
                b"-WRONGPASS invalid password\r\n-NOAUTH Authentication required\r\n"
            )

        url = url_of(sentinel.port, chat=redis.chat)
        node = Node(f"{url}?sentinel-password=secret")
        words = r"the sentinel on 127.0.0.1 can't be used: it does not accept the user or the pass"
        with (
            contextlib.closing(node.transport),
            playing(play),
            pytest.raises(ClusterError, match=words),
        ):
            node.join()


def test_no_sentinel_can_say_it() -> None:
    with contextlib.closing(Played()) as sentinel:
        node = Node(url_of(reserved_port(), sentinel.port))
        with (
            contextlib.closing(node.transport),
            playing(lambda: answer(sentinel)),
            pytest.raises(ClusterError, match=r"can't use Redis .*: it knows no service db"),
        ):
            node.join()


def test_a_node_that_ends_while_it_asks() -> None:
    with contextlib.closing(Played()) as sentinel:
        node = Node(url_of(sentinel.port))
        with contextlib.closing(node.transport):
            node.run_until(lambda: node.transport._finder._asking)
