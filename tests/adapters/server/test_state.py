"""`state=`: the groups of one server are those of the next."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import Limits, Policy

from ..servers import TIMEOUT, SocketClient, Start, clients, reserved_port

SERVERS = pytest.mark.parametrize("kind", [chatproto_sync.Server, chatproto_anyio.Server])
Kind = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "groups"


def members(client: SocketClient, group: str) -> list[str]:
    client.write(f"CHAT/1.0 SEND *groups* members {group}\n".encode())
    words = client.read_line().decode().split()
    assert words[2:5] == ["*groups*", "members", group]
    return sorted(words[5:])


def test_groups_survive_a_restart(start: Start, path: Path) -> None:
    with (
        start(port=0, state=path) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        alice.write(b"CHAT/1.0 GROUP tea alice bob carol\nCHAT/1.0 GROUP gone alice\n")
        alice.write(b"CHAT/1.0 LEAVE gone\n")
        alice.write(b"CHAT/1.0 SEND *groups* add tea dave\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE *groups* added tea dave alice\n"
        bob.write(b"CHAT/1.0 LEAVE tea\n")
        bob.flush("bob")
    with (
        start(port=0, state=path) as server,
        clients(server.addresses[0], "alice", "carol") as (alice, carol),
    ):
        assert members(alice, "tea") == ["alice", "carol", "dave"]
        alice.write(b"CHAT/1.0 BROADCAST tea welcome back\n")
        assert carol.read_line() == b"CHAT/1.0 RECEIVE alice welcome back\n"
        alice.write(b"CHAT/1.0 BROADCAST gone hello?\n")
        assert b" ERR NO_SUCH_GROUP " in alice.read_line()
        # She has made it, so she may still add.
        alice.write(b"CHAT/1.0 SEND *groups* add tea erin\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE *groups* added tea erin alice\n"
        assert server.snapshot().groups == 1


def test_bans_survive_a_restart(start: Start, path: Path) -> None:
    for _ in range(2):
        with start(port=0, state=path) as running, SocketClient(running.addresses[0]) as client:
            server = cast(chatproto_sync.Server, running)
            server.ban("bob")
            client.write(b"CHAT/1.0 LOGIN bob\n")
            assert b" ERR REFUSED LOGIN " in client.read_line()
            assert server.bans() == ["bob"]
    with start(port=0, state=path) as running:
        assert cast(chatproto_sync.Server, running).unban("bob")
    with start(port=0, state=path) as running, clients(running.addresses[0], "bob"):
        pass


def test_silent_servers_keep_their_groups_too(start: Start, path: Path) -> None:
    options: dict[str, Any] = {"state": path, "notices": False, "policy": Policy.reference()}
    for _ in range(2):
        with (
            start(port=0, **options) as server,
            clients(server.addresses[0], "alice", "bob") as (alice, bob),
        ):
            # The second server has it already, and does not say so.
            alice.write(b"CHAT/1.0 GROUP tea alice bob\nCHAT/1.0 BROADCAST tea hi\n")
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


def test_groups_that_gave_way_are_gone(start: Start, path: Path) -> None:
    limits = Limits(max_groups=1)
    with start(port=0, state=path, limits=limits) as server:
        for name in ("alice", "bob"):
            with SocketClient(server.addresses[0]) as client:
                client.login(name)
                client.write(f"CHAT/1.0 GROUP of-{name} {name}\nCHAT/1.0 LOGOUT\n".encode())
                assert client.read_line() == b""
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT name FROM groups").fetchall() == [("of-bob",)]


def test_a_file_with_more_than_the_limits_allow(start: Start, path: Path) -> None:
    """It is all there, and gives way as soon as there is something new."""
    with (
        start(port=0, state=path) as server,
        clients(server.addresses[0], "alice") as (alice,),
    ):
        alice.write(b"".join(b"CHAT/1.0 GROUP g%d bob\n" % number for number in range(5)))
        alice.flush("alice")
    limits = Limits(max_groups=2)
    with (
        start(port=0, state=path, limits=limits) as server,
        clients(server.addresses[0], "carol") as (carol,),
    ):
        assert server.snapshot().groups == 5
        carol.write(b"CHAT/1.0 GROUP mine carol\n")
        carol.flush("carol")
        assert server.snapshot().groups == 2


@SERVERS
def test_a_file_that_is_none(kind: Kind, path: Path) -> None:
    path.write_bytes(b"my recipes")
    for error in (chatproto_sync.StateError, chatproto_anyio.StateError):
        with pytest.raises(error) as caught:
            kind(port=0, state=path)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == b"my recipes"


@SERVERS
def test_a_file_with_a_wrong_name_in_it(kind: Kind, path: Path) -> None:
    kind(port=0, state=path).close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("INSERT INTO groups (name, creator) VALUES ('*tea', 'alice')")
        file.commit()
    with pytest.raises(chatproto_sync.StateError, match="is damaged"):
        kind(port=0, state=path)


@SERVERS
def test_a_file_that_another_server_uses(kind: Kind, path: Path) -> None:
    with (
        closing(kind(port=0, state=path)),
        pytest.raises(chatproto_sync.StateError, match="another server uses"),
    ):
        kind(port=0, state=path)
    kind(port=0, state=path).close()


@SERVERS
def test_a_server_that_cannot_listen_leaves_the_file(kind: Kind, path: Path) -> None:
    with closing(kind(port=reserved_port())) as other:
        port = int(other.addresses[0].rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            kind(port=port, state=path)
    kind(port=0, state=path).close()


def test_an_abort_writes_what_is_left(path: Path) -> None:
    server = chatproto_sync.Server(port=0, state=path)
    thread = threading.Thread(target=server.run)
    thread.start()
    with clients(server.addresses[0], "alice") as (alice,):
        alice.write(b"CHAT/1.0 GROUP tea alice\n")
        alice.flush("alice")
        server.shutdown()
        server.shutdown()
        thread.join()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT name FROM groups").fetchall() == [("tea",)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_threads_that_are_all_busy_do_not_keep_the_server_from_ending(
    backend: str, path: Path
) -> None:
    async def main() -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 1
        await limiter.acquire_on_behalf_of("a thread of the application")
        server = chatproto_anyio.Server(port=0, state=path)
        with anyio.fail_after(TIMEOUT):
            async with anyio.create_task_group() as tasks:
                await tasks.start(server.run)
                tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    kind: Kind = chatproto_sync.Server
    kind(port=0, state=path).close()
