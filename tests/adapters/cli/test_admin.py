"""`chatproto admin`: what it prints, and where it looks for the socket."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from errno import ENOSPC, EPIPE
from io import TextIOWrapper
from pathlib import Path

import pytest
from click import ClickException

from chatproto import __version__
from chatproto_anyio.cli import admin as module
from chatproto_anyio.cli.admin import admin

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
    users[0].write(b"CHAT/1.0 SEND nobody hi\n")
    assert b"NO_SUCH_USER" in users[0].read_line()
    assert ["refusals", "NO_SUCH_USER", "1"] in table("stats")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_columns_of_a_table_stand_below_one_another(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    names = ["bob", "王小明", "e\u0301"]
    rows = [{"name": name, "connections": [1], "nodes": []} for name in names]
    monkeypatch.setattr(module, "ask", lambda *_: rows)
    stdout = TextIOWrapper(sys.stdout.buffer, encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    admin(["users"], standalone_mode=False)
    stdout.detach()
    lines = capsysbinary.readouterr().out.decode(encoding).splitlines()
    assert (
        lines[2:]
        == {
            # These characters are two columns wide, and an accent is none.
            "utf-8": ["王小明  1            -", "e\u0301       1            -"],
            "ascii": [r"\u738b\u5c0f\u660e  1            -", r"e\u0301       1            -"],
        }[encoding]
    )


def test_output_that_can_not_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: OSError) -> None:
        def write(_: str) -> None:
            raise error

        monkeypatch.setattr(module, "ask", lambda *_: [])
        monkeypatch.setattr(sys.stdout, "write", write)
        admin(["bans"], standalone_mode=False)

    with pytest.raises(ClickException, match="can't write to standard output: No space left"):
        fail(OSError(ENOSPC, "No space left on device"))
    # Whoever reads has seen enough.
    with pytest.raises(SystemExit):
        fail(BrokenPipeError(EPIPE, "Broken pipe"))
    assert capsys.readouterr().out == ""


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
    ended = "and ended 0 connections.\n"
    assert act("ban", "192.0.2.7/24") == (0, f"Banned the network 192.0.2.0/24, {ended}")
    assert act("bans", "--json") == (0, '["192.0.2.0/24"]\n')
    assert act("unban", "192.0.2.0/24") == (0, "Lifted the ban of the network 192.0.2.0/24.\n")
    # A network with a typing error is a name.
    assert act("ban", "192.0.2.0/33") == (0, f"Banned the name 192.0.2.0/33, {ended}")
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


def test_a_misspelt_variable(invoke: Invoke) -> None:
    result = invoke("chatproto admin", "users", CHATPROTO_ADMIN_SOCKT="/x")
    assert "is it CHATPROTO_ADMIN_SOCKET?" in result.stderr


@pytest.mark.usefixtures("users")
def test_what_is_not_done(invoke: Invoke, path: str) -> None:
    def fail(*arguments: str) -> tuple[object, str]:
        return failed(invoke("chatproto admin", *arguments, CHATPROTO_ADMIN_SOCKET=path))

    assert fail("unban", "bob") == (1, "Error: bob is not banned")
    assert fail("dance")[0] == 2
    assert fail("kick") == (2, "Error: kick needs NAME")
    assert fail("tell", "bob") == (2, "Error: tell needs TEXT")
    assert fail("add", "tea") == (2, "Error: add needs NAME")
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
