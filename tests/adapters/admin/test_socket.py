"""The admin socket of each server: who may use it, and that nobody waits for its clients."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

import chatproto_sync
from chatproto_sync.admin import socket as module
from chatproto_sync.admin.client import AdminError, NoServerError, ask
from chatproto_sync.admin.requests import MAX_REQUEST

from ..servers import TIMEOUT, SocketClient, Start, clients, run_sync
from ..sockets.insides import Clock, driver_of, server_log


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "admin")


class Client:
    """A connection to the socket, without the code under test."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(path)
        self._reader = self.socket.makefile("rb")

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Any:
        """The next answer; None at the end."""
        try:
            line = self._reader.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line else None

    def close(self) -> None:
        self._reader.close()
        self.socket.close()


def test_all_servers(start: Start, path: str) -> None:
    with start(port=0, admin_socket=path) as running:
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
        server = cast(chatproto_sync.Server, running)
        with (
            server_log() as log,
            clients(server.addresses[0], "alice", "bob") as (alice, bob),
        ):
            alice.write(b"CHAT/1.0 GROUP tea alice\n")
            alice.flush("alice")
            ask(path, {"do": "add", "group": "tea", "member": "bob"})
            assert ask(path, {"do": "tell", "to": "#tea", "text": "hi"}) == {"connections": 2}
            assert bob.read_line() == b"CHAT/1.0 RECEIVE *server* hi\n"
            assert ask(path, {"do": "kick", "name": "bob"}) == {"connections": 1}
            assert b" ERR REFUSED " in bob.read_line()
            assert [each["name"] for each in ask(path, {"do": "users"})] == ["alice"]
            stats = ask(path, {"do": "stats"})
            assert (stats["status"], stats["users"], stats["refusals"]) == ("ok", 1, {})
            with pytest.raises(AdminError, match="there is no group pie"):
                ask(path, {"do": "add", "group": "pie", "member": "bob"})
            with pytest.raises(AdminError, match="no configuration"):
                ask(path, {"do": "reload"})
            server.on_reload(lambda: "it is wrong")
            with pytest.raises(AdminError, match="it is wrong"):
                ask(path, {"do": "reload"})
            assert log.wait_for_one("operator ").endswith(": added bob to tea")
            ask(path, {"do": "drain"})
            assert alice.read_line() == b"CHAT/1.0 RECEIVE *server* hi\n"
            assert b" ERR SHUTTING_DOWN " in alice.read_line()
            # The server would wait for them.
            alice.close()
            bob.close()
            log.wait_for_one("shut down after")
    assert not Path(path).exists()
    with pytest.raises(NoServerError, match="there is no socket"):
        ask(path, {"do": "users"})


def test_the_umask_leaves_no_moment_in_which_others_may_connect(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    chmod = os.chmod

    def look(name: str, mode: int) -> None:
        modes.append(stat.S_IMODE(Path(name).stat().st_mode))
        chmod(name, mode)

    monkeypatch.setattr(os, "chmod", look)
    before = os.umask(0)
    try:
        module.open_admin_socket(path).close()
    finally:
        os.umask(before)
    assert modes == [0o600]


@pytest.mark.parametrize(("mode", "is_warned_of"), [(0o755, 0), (0o777, 1), (0o1777, 0)])
def test_a_socket_that_others_can_replace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, is_warned_of: int
) -> None:
    tmp_path.chmod(mode)
    module.open_admin_socket(tmp_path / "admin").close()
    warnings = [f"everybody can write to {tmp_path}" in each for each in caplog.messages]
    assert warnings == [True] * is_warned_of


@pytest.fixture
def admin(path: str) -> Iterator[tuple[chatproto_sync.Server, str]]:
    """A server, for tests in which its kind makes no difference, and its admin socket."""
    with run_sync(port=0, admin_socket=path) as server:
        yield server, path


Admin = tuple[chatproto_sync.Server, str]


def test_another_user(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    _, path = admin
    monkeypatch.setattr(module, "credentials_of", lambda _: type("Other", (), {"uid": me + 2})())
    with pytest.raises(AdminError, match="only root and the user of the server"):
        ask(path, {"do": "users"})
    monkeypatch.setattr(module, "credentials_of", lambda _: type("Own", (), {"uid": me + 1})())
    with server_log() as log:
        ask(path, {"do": "ban", "what": "bob"})
        assert log.wait_for_one("operator ").endswith(": banned the name bob")


def test_requests_in_pieces_and_at_once(admin: Admin) -> None:
    client = Client(admin[1])
    for byte in b'{"do": "bans"}':
        client.write(bytes([byte]))
    client.write(b'\n{"do": "ban", "what": "bob"}\n{"do": "bans"}\nhello\n{"do"')
    assert client.read() == {"result": []}
    assert client.read() == {"result": {"connections": 0}}
    assert client.read() == {"result": ["bob"]}
    assert "error" in client.read()
    client.write(b': "bans"}\n')
    # The end of the requests is not the end of the answers.
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read() == {"result": ["bob"]}
    assert client.read() is None
    client.close()


def test_a_request_without_an_end(admin: Admin) -> None:
    client = Client(admin[1])
    client.write(b"x" * (MAX_REQUEST + 1))
    assert client.read() == {"error": f"a request has at most {MAX_REQUEST} bytes"}
    assert client.read() is None
    client.close()


def test_a_client_that_does_not_read_holds_nobody(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, path = admin
    clock = Clock(server)
    # More than the system buffers.
    bans = [f"user{number:04}{'x' * 55}" for number in range(8000)]
    monkeypatch.setattr(driver_of(server).broker.desk._dispatcher.bans, "all", lambda: bans)
    with SocketClient(server.addresses[0]) as bob:
        bob.login("bob")
        client = Client(path)
        client.write(b'{"do": "bans"}\n' * 2)
        bob.flush("bob")
        assert ask(path, {"do": "stats"})["users"] == 1
        clock.skip(module.TIME_LIMIT + 1)
        bob.flush("bob")
        with pytest.raises(json.JSONDecodeError):
            client.read()
        assert client.read() is None
        client.close()
        assert ask(path, {"do": "bans"}) == bans


def test_a_further_connection_takes_the_place_of_the_oldest(admin: Admin) -> None:
    _, path = admin
    with ExitStack() as stack:
        found = [Client(path) for _ in range(module.MAX_CONNECTIONS + 1)]
        for each in found:
            stack.callback(each.close)
        assert found[0].read() is None
        for each in found[1:]:
            each.write(b'{"do": "bans"}\n')
            assert each.read() == {"result": []}


def test_a_fault_of_the_server(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    server, path = admin

    def fail() -> list[str]:
        raise RuntimeError("made up")

    monkeypatch.setattr(driver_of(server).broker.desk._dispatcher.bans, "all", fail)
    with server_log() as log:
        with pytest.raises(AdminError, match="see its log"):
            ask(path, {"do": "bans"})
        log.wait_for_one("a request on the admin socket failed")
    assert ask(path, {"do": "users"}) == []
