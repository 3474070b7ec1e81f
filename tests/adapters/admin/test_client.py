"""Asking a server: what went wrong, in words."""

import socket
from pathlib import Path

import pytest

from chatproto_sync.admin.client import AdminError, NoServerError, ask

from ..servers import in_thread


def played(path: Path, answer: bytes) -> None:
    """Play the server for one connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = in_thread(answer_one, listener, answer)
        try:
            ask(str(path), {"do": "users"})
        finally:
            thread.join()


def answer_one(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(answer)


@pytest.mark.parametrize("answer", [b"", b"CHAT/1.0", b"[]\n", b'{"error": 1}\n'])
def test_what_is_no_admin_socket(answer: bytes, tmp_path: Path) -> None:
    with pytest.raises(NoServerError, match="is no admin socket, or has ended"):
        played(tmp_path / "admin", answer)


def test_an_error(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match=r"^no$"):
        played(tmp_path / "admin", b'{"error": "no"}\n')


def test_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "admin"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        with pytest.raises(NoServerError, match="no server runs at"):
            ask(str(path), {"do": "users"})
        listener.listen()
        with pytest.raises(NoServerError, match="does not answer"):
            ask(str(path), {"do": "users"}, timeout=0.01)
    with pytest.raises(NoServerError, match="can't use"):
        ask(str(tmp_path / ("x" * 200)), {"do": "users"})


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_sock: socket.socket, _path: str) -> None:
        raise PermissionError

    # Root has each permission.
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(NoServerError, match="so try sudo"):
        ask(str(tmp_path), {"do": "users"})
