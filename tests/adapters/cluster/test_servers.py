"""Servers of all kinds as nodes of one chat, over a real Redis."""

import contextlib

import anyio
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import ClusterError
from chatproto_sync.cluster.transport import RedisTransport

from ..servers import KINDS, Running, SocketClient, Start, clients, run_sync
from ..sockets.insides import driver_of, server_log
from .insides import Redis


def test_three_kinds_of_servers_are_one_chat(redis: Redis) -> None:
    with contextlib.ExitStack() as stack:
        users: list[SocketClient] = []
        for kind, start in KINDS.items():
            server = stack.enter_context(start(port=0, cluster=redis.url, node=kind))
            client = stack.enter_context(SocketClient(server.addresses[0]))
            client.login(kind)
            users.append(client)
        alice, bob, carol = users
        carol.write(b"CHAT/1.0 GROUP tea sync asyncio trio\nCHAT/1.0 BROADCAST tea hi\n")
        for each in users[:2]:
            assert each.read_line() == b"CHAT/1.0 RECEIVE trio hi\n"
        alice.write(b"CHAT/1.0 SEND asyncio 1\nCHAT/1.0 SEND asyncio 2\nCHAT/1.0 SEND nobody 3\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE sync 1\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE sync 2\n"
        assert alice.read_line().startswith(b"CHAT/1.0 RECEIVE *server* ERR NO_SUCH_USER SEND ")
    # The groups are there after the end of all servers.
    with (
        run_sync(port=0, cluster=redis.url, node="d") as server,
        clients(server.addresses[0], "trio", "dave") as (trio, dave),
    ):
        dave.write(b"CHAT/1.0 SEND trio hi\n")
        assert trio.read_line() == b"CHAT/1.0 RECEIVE dave hi\n"
        dave.write(b"CHAT/1.0 GROUP tea\n")
        assert dave.read_line().startswith(b"CHAT/1.0 RECEIVE *server* ERR GROUP_EXISTS ")


def test_the_others_are_told_when_a_server_ends(redis: Redis, start: Start) -> None:
    with (
        run_sync(port=0, cluster=redis.url, node="a") as first,
        clients(first.addresses[0], "alice") as [alice],
        server_log() as log,
    ):
        with (
            start(port=0, cluster=redis.url, node="b") as second,
            clients(second.addresses[0], "bob"),
        ):
            pass
        assert log.wait_for_one("node left b#")
        alice.write(b"CHAT/1.0 SEND bob hi\n")
        assert alice.read_line().startswith(b"CHAT/1.0 RECEIVE *server* ERR NO_SUCH_USER SEND ")


def refuse(server: Running) -> None:
    """Have the cluster of a server say that it does not take it."""
    cluster = driver_of(server)._cluster
    assert isinstance(cluster, RedisTransport)
    cluster.cluster.refusal = "made up"
    driver_of(server).wake()


def test_a_refusal_ends_a_server(redis: Redis) -> None:
    server = chatproto_sync.Server(port=0, cluster=redis.url)
    refuse(server)
    with pytest.raises(ClusterError, match="made up"):
        server.run()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_refusal_ends_a_server_on_an_event_loop(redis: Redis, backend: str) -> None:
    async def run() -> None:
        server = chatproto_anyio.Server(port=0, cluster=redis.url)
        refuse(server)
        await server.run()

    with pytest.raises(ClusterError, match="made up"):
        anyio.run(run, backend=backend)


def test_no_socket_listens_before_the_node_has_joined(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a balancer does not send clients to it."""
    opened: list[object] = []
    monkeypatch.setattr("chatproto_sync.server.server.open_listeners", opened.append)
    url = redis.url.replace("127.0.0.1", "name.invalid")
    with pytest.raises(ClusterError):
        chatproto_sync.Server(port=0, cluster=url)
    assert opened == []
