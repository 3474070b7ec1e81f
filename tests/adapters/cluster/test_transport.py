"""`transport` and `session` against a real Redis."""

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chatproto import Cluster, ClusterError, ClusterSnapshot
from chatproto_sync.sockets.poller import SelectorPoller, new_poller

from .insides import FakeCluster, Node, Redis, running


def entries_of(redis: Redis, key: str) -> list[bytes]:
    return [fields[1] for _, fields in redis.do("XRANGE", redis.key(key), "-", "+")]


def test_a_first_node_and_a_second_one(redis: Redis) -> None:
    with running(redis.url) as first:
        assert first.cluster.take() == [("load", None), ("connected", True)]
        first.cluster.appends += [(None, b"one"), (None, b"two"), ("b#1.1", b"a letter")]
        calls = first.run_until_called("ledger", b"two")
        assert calls == [("ledger", b"one"), ("ledger", b"two")]
        with running(redis.url, "b#1.1") as second:
            assert second.cluster.take() == [
                ("load", None),
                *calls,
                ("connected", True),
            ]
            # It was there before.
            second.run_until_called("mail", b"a letter")
            second.cluster.appends.append(("a#1.1", b"an answer"))
            second.run_until(lambda: redis.do("EXISTS", redis.key("mail:a#1.1")))
            assert first.run_until_called("mail", b"an answer") == [("mail", b"an answer")]
    assert 0 < redis.do("TTL", redis.key("mail:b#1.1")) <= 600


@pytest.mark.parametrize("kind", ["with TLS", "Unix socket", "with a user"])
def test_ways_to_connect(redis: Redis, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(redis.authority))
    # The rights that docs/how-to/run-a-cluster.md gives.
    rights = "-@all +hello +auth +client|setname +multi +exec +xadd +xread +xrange +xtrim +hget"
    rights += " +hmget +hset +hsetnx +expire"
    user = f"~{{chat:{redis.chat}}}:*", *rights.split()
    redis.do("ACL", "SETUSER", "bob", "reset", "on", ">s cret", *user)
    url = {
        "with TLS": f"rediss://localhost:{redis.tls_port}/{redis.chat}",
        "Unix socket": f"redis+unix://{redis.unix}?name={redis.chat}",
        "with a user": redis.url.replace("//", "//bob:s%20cret@"),
    }[kind]
    with running(url) as node:
        store(node, redis, b"x" * 500_000)
        node.cluster.appends.append(("a#1.1", b"a letter"))
        node.run_until_called("mail", b"a letter")
        node.now += 1.0
        node.run_until(lambda: redis.do("XLEN", redis.key("mail:a#1.1")) == 0)
        redis.kill_node("a")
        node.run_until_called("connected", True)
        store(node, redis, b"and another snapshot")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://no%0Abody:x@127.0.0.1:{port}/tea", "does not accept the user or the password"),
        ("redis://carol:pass@127.0.0.1:{port}/tea", "may not use a command or a key"),
        ("redis://name.invalid/tea", "can't use Redis at name.invalid:6379: "),
        ("redis+unix:///no/such/socket?name=tea", "No such file or directory"),
        ("redis://localhost:{tls_port}/tea", "if it uses TLS, .* rediss://"),
        ("rediss://localhost:{tls_port}/tea", "certificate verify failed"),
        ("rediss://.:{tls_port}/tea", "is no host name that a certificate can have"),
    ],
)
def test_what_keeps_a_node_from_joining(
    redis: Redis, url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.do("ACL", "SETUSER", "carol", "on", ">pass", "~other", "+@all")
    if "//.:" in url:
        here = [(socket.AF_INET, ("127.0.0.1", redis.tls_port))]
        monkeypatch.setattr("chatproto_sync.cluster.lookup.resolve", lambda *_: here)
    node = Node(url.format(port=redis.port, tls_port=redis.tls_port))
    try:
        with pytest.raises(ClusterError, match=words):
            node.join()
    finally:
        node.transport.close()


def test_a_chat_that_refuses_the_node(redis: Redis) -> None:
    node = Node(redis.url)
    node.cluster.refusal = "another policy"
    try:
        with pytest.raises(ClusterError, match="another policy"):
            node.join()
    finally:
        node.transport.close()


def test_a_chat_that_takes_too_long(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(redis.url)

    def set_connected(connected: bool) -> None:
        node.now += 12.0 * connected

    monkeypatch.setattr(node.cluster, "set_connected", set_connected)
    try:
        with pytest.raises(ClusterError, match="takes longer than 11 seconds"):
            node.join()
    finally:
        node.transport.close()


@pytest.mark.parametrize("poller", [new_poller, SelectorPoller])
def test_connections_that_are_cut(
    redis: Redis,
    poller: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("chatproto_sync.cluster.transport.new_poller", poller)
    caplog.set_level(logging.INFO)
    with running(redis.url) as node:
        node.cluster.appends.append((None, b"one"))
        node.run_until_called("ledger", b"one")
        redis.kill_node("a")
        assert node.run_until_called("connected", True) == [
            ("connected", False),
            ("connected", True),
        ]
        node.cluster.appends.append((None, b"two"))
        assert node.run_until_called("ledger", b"two") == [("ledger", b"two")]
    assert "it has closed the connection" in caplog.text
    assert "again, after" in caplog.text


def test_data_that_are_gone(redis: Redis) -> None:
    """Although others have appended to the ledger since."""
    with running(redis.url) as node:
        node.cluster.appends.append((None, b"one"))
        node.run_until_called("ledger", b"one")
        redis.do("DEL", redis.key("ledger"), redis.key("snapshot"))
        # In the future, so that Redis gives no other entry the same id.
        redis.do("XADD", redis.key("ledger"), "9999999999999-1", "d", "new")
        node.run_until_called("ledger", b"new")
        node.now += 1.0
        assert node.run_until_called("connected", True) == [
            ("connected", False),
            ("lost",),
            ("load", b"my groups"),
            ("ledger", b"new"),
            ("connected", True),
        ]
        with running(redis.url, "b#1.1") as other:
            assert other.cluster.take()[0] == ("load", b"my groups")


@pytest.mark.parametrize(
    "reason", ["the end is gone", "the end is gone at once", "no id", "the cluster knows of a hole"]
)
def test_a_ledger_with_a_gap(redis: Redis, reason: str) -> None:
    with running(redis.url) as node:
        node.cluster.appends += [(None, b"one"), (None, b"two")]
        node.run_until_called("ledger", b"two")
        if reason == "no id":
            node.cluster.doubts.add("")
        elif reason == "the cluster knows of a hole":
            node.cluster.doubts.add("1-1")
            redis.kill_node("a")
        else:
            [_, (last, _)] = redis.do("XRANGE", redis.key("ledger"), "-", "+")
            redis.do("XDEL", redis.key("ledger"), last)
            node.now += 1.0
            if reason == "the end is gone":
                redis.kill_node("a")
        calls = node.run_until_called("connected", True)
        assert calls[:4] == [("connected", False), ("lost",), ("load", None), ("ledger", b"one")]


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_doubt_without_a_reason(redis: Redis, *, is_cut: bool) -> None:
    with running(redis.url) as node:
        node.cluster.appends += [(None, b"one"), (None, b"two")]
        node.run_until_called("ledger", b"two")
        [(first, _), _] = redis.do("XRANGE", redis.key("ledger"), "-", "+")
        node.cluster.doubts.add(first.decode())
        if is_cut:
            redis.kill_node("a")
        node.run_until(lambda: not node.cluster.doubts)
        assert ("lost",) not in node.cluster.take()


def test_the_groups_survive_an_outage_in_between(redis: Redis) -> None:
    with running(redis.url) as node:
        node.cluster.appends.append((None, b"one"))
        node.run_until_called("ledger", b"one")
        redis.do("DEL", redis.key("ledger"), redis.key("snapshot"))
        node.now += 1.0
        node.run_until_called(
            "lost",
        )
        redis.kill_node("a")
        assert ("load", b"my groups") in node.run_until_called("connected", True)


def store(node: Node, redis: Redis, data: bytes) -> None:
    """Have a node append to the ledger, and store a snapshot then."""
    node.cluster.appends.append((None, data))
    node.run_until_called("ledger", data)
    [[number, _]] = redis.do("XREVRANGE", redis.key("ledger"), "+", "-", "COUNT", 1)
    node.cluster.snapshot = ClusterSnapshot(number.decode(), b"after the " + data)
    stored = partial(redis.do, "HGET", redis.key("snapshot"), "data")
    node.run_until(lambda: stored() == b"after the " + data)


def test_a_snapshot_of_data_that_are_gone_is_not_stored(redis: Redis) -> None:
    with running(redis.url) as node:
        store(node, redis, b"first")
        redis.do("HSET", redis.key("snapshot"), "epoch", "of others", "data", "theirs")
        [[number, _]] = redis.do("XREVRANGE", redis.key("ledger"), "+", "-", "COUNT", 1)
        node.cluster.snapshot = ClusterSnapshot(number.decode() + "9", b"of this node")
        node.now += 1.0
        node.run_until_called("lost")
        assert redis.do("HGET", redis.key("snapshot"), "data") == b"theirs"


def test_snapshots(redis: Redis) -> None:
    with running(redis.url) as node:
        store(node, redis, b"first")
        store(node, redis, b"second")
        # Those before the first snapshot would be gone; the entry of the first one is the first.
        assert entries_of(redis, "ledger") == [b"first", b"second"]
        node.cluster.appends.append((None, b"third"))
        node.run_until_called("ledger", b"third")
        node.cluster.snapshot = ClusterSnapshot("1-1", b"an old one")
        node.cluster.appends.append((None, b"fourth"))
        node.run_until_called("ledger", b"fourth")
        with running(redis.url, "b#1.1") as other:
            assert other.cluster.take()[:3] == [
                ("load", b"after the second"),
                ("ledger", b"third"),
                ("ledger", b"fourth"),
            ]


def test_mail_is_removed_once_it_is_received(redis: Redis) -> None:
    with running(redis.url) as node:
        redis.do("XADD", redis.key("mail:a#1.1"), "*", "d", "a letter")
        node.run_until_called("mail", b"a letter")
        node.now += 1.0
        node.run_until(lambda: redis.do("XLEN", redis.key("mail:a#1.1")) == 0)


def test_a_node_that_joins_anew_has_another_mailbox(redis: Redis) -> None:
    with running(redis.url) as node:
        node.cluster.name = "a#1.2"
        node.cluster.appends.append((None, b"here I am"))
        node.run_until_called("ledger", b"here I am")
        redis.do("XADD", redis.key("mail:a#1.2"), "*", "d", "a letter")
        node.run_until_called("mail", b"a letter")


def test_many_entries_come_in_parts(redis: Redis) -> None:
    for number in range(600):
        redis.do("XADD", redis.key("ledger"), "*", "d", b"%d " % number + b"x" * 500)
    with running(redis.url) as node:
        calls: list[Any] = node.cluster.take()
        assert calls[0] == ("load", None)
        assert calls[-1] == ("connected", True)
        assert [int(call[1].split()[0]) for call in calls[1:-1]] == [*range(600)]


def test_leaving(redis: Redis) -> None:
    with running(redis.url) as node:
        node.cluster.take()
        node.transport.leave()
        assert node.cluster.take() == [("leave",)]
        assert not node.transport.left
        node.cluster.left = True
        assert node.transport.left
        node.cluster.left = False
        node.now += 2.0
        assert node.transport.left
        node.transport.close()
        # A stream that the server serves may still advance its clock.
        node.transport.tick(node.clock())
        assert not node.transport._is_finding


def test_a_fake_is_as_the_cluster_is() -> None:
    """What the tests of this file rely on."""
    assert {each for each in vars(FakeCluster) if each[0] != "_"} - {"take"} <= set(vars(Cluster))
