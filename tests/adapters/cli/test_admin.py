"""`chatproto admin`: what it prints, and where it looks for the socket."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatproto import __version__

from ..servers import SocketClient, clients, run_sync
from .test_cli_options import Invoke, Result, invoke

__all__ = ["invoke"]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "admin")


@pytest.fixture
def users(path: str) -> Iterator[list[SocketClient]]:
    """alice and bob, on a server with an admin socket."""
    with ExitStack() as stack:
        server = stack.enter_context(run_sync(port=0, admin_socket=path))
        server.on_reload(lambda: "")
        found = stack.enter_context(clients(server.addresses[0], "alice", "bob"))
        found[0].write(b"CHAT/1.0 GROUP tea alice\n")
        found[0].flush("alice")
        yield found


def test_tables(invoke: Invoke, path: str, users: list[SocketClient]) -> None:
    def table(action: str) -> list[list[str]]:
        result = invoke("chatproto admin", action, CHATPROTO_ADMIN_SOCKET=path)
        assert (result.status, result.stderr) == (0, "")
        return [line.split() for line in result.stdout.splitlines()]

    assert table("users") == [
        ["USER", "CONNECTIONS", "OTHER", "NODES"],
        ["alice", "1", "-"],
        ["bob", "2", "-"],
    ]
    assert table("groups") == [["GROUP", "CREATOR", "MEMBERS"], ["tea", "alice", "alice"]]
    ports = ["{}:{}".format(*each.socket.getsockname()) for each in users]
    users[1].write(b"CHAT/1.0 LOGOUT\n")
    assert users[1].read_line() == b""
    heads, first, *_ = table("connections")
    assert heads == ["NUMBER", "PEER", "USER", "QUEUED", "STATE"]
    assert first == ["1", ports[0], "alice", "0", "open"]
    assert table("bans") == [["BANNED"]]
    stats = table("stats")
    assert stats[:2] == [["WHAT", "NOW"], ["version", __version__]]
    assert ["refusals", "none"] in stats


def test_actions(invoke: Invoke, path: str, users: list[SocketClient]) -> None:
    def act(*arguments: str) -> tuple[object, str]:
        result = invoke("chatproto admin", *arguments, "--admin-socket", path)
        assert result.stderr == ""
        return result.status, result.stdout

    assert act("tell", "bob", "back", "at", "noon") == (0, "Sent to 1 connection of bob.\n")
    assert users[1].read_line() == b"CHAT/1.0 RECEIVE *server* back at noon\n"
    assert act("tell", "carol", "hi") == (1, "Sent to 0 connections of carol.\n")
    assert act("add", "tea", "carol") == (0, "carol is in tea now.\n")
    assert act("remove", "tea", "carol") == (0, "carol is not in tea any more.\n")
    assert act("ban", "192.0.2.0/24") == (0, "Banned 192.0.2.0/24, and ended 0 connections.\n")
    assert act("bans", "--json") == (0, '["192.0.2.0/24"]\n')
    assert act("unban", "192.0.2.0/24") == (0, "192.0.2.0/24 is not banned any more.\n")
    assert act("kick", "bob", "--json") == (0, '{"connections": 1}\n')
    assert act("kick", "carol") == (1, "Ended 0 connections of carol.\n")
    status, text = act("users", "--json")
    assert (status, json.loads(text)[0]["name"]) == (0, "alice")
    assert act("reload") == (0, "The server has read its configuration again.\n")
    assert act("drain") == (0, "The server shuts down.\n")
    users[0].read_line()
    assert users[0].read_line() == b""


def failed(result: Result) -> tuple[object, str]:
    assert result.stdout == ""
    return result.status, result.stderr.splitlines()[-1]


@pytest.mark.usefixtures("users")
def test_what_is_not_done(invoke: Invoke, path: str) -> None:
    def fail(*arguments: str) -> tuple[object, str]:
        return failed(invoke("chatproto admin", *arguments, CHATPROTO_ADMIN_SOCKET=path))

    assert fail("unban", "bob") == (1, "Error: bob is not banned")
    assert fail("dance")[0] == 2
    assert fail("kick") == (2, "Error: kick needs NAME")
    assert fail("tell", "bob") == (2, "Error: tell needs TEXT")
    assert fail("users", "bob", "x") == (2, "Error: users takes nothing more: leave out bob x")
    assert fail("add", "tea", "bob", "x") == (2, "Error: add takes nothing more: leave out x")


def test_where_the_socket_is(invoke: Invoke, tmp_path: Path) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    config = tmp_path / "chat.toml"
    config.write_text(f'admin-socket = "{one}"\nbackend = "trio"\n', encoding="utf-8")

    def error(*arguments: str, **variables: str) -> str:
        status, text = failed(invoke("chatproto admin", "users", *arguments, **variables))
        assert status == 3
        return text

    assert f"there is no socket {one}" in error("--config", str(config))
    assert f"there is no socket {one}" in error(CHATPROTO_CONFIG=str(config))
    variables = {"CHATPROTO_CONFIG": str(config), "CHATPROTO_ADMIN_SOCKET": other}
    assert f"there is no socket {other}" in error(**variables)
    config.write_text("port = 1\n", encoding="utf-8")
    assert "/run/chatproto/admin" in error("--config", str(config))
    config.write_text("port\n", encoding="utf-8")
    status, text = failed(invoke("chatproto admin", "users", "--config", str(config)))
    assert (status, "is not TOML" in text) == (2, True)
