"""`unix`: the files of Unix sockets. That servers use them is in `server/test_server.py`."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatproto_sync.sockets.listeners import open_listeners

from ..servers import TIMEOUT


@contextmanager
def listening(path: Path, mode: int | None = None) -> Iterator[None]:
    listeners = open_listeners(None, 0, path, mode)
    try:
        yield
    finally:
        listeners.close()


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT)
        client.connect(str(path))


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o777])
def test_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "chat"
    with listening(path, mode):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_mode_from_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "chat"
    before = os.umask(0o027)
    try:
        with listening(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o750
    finally:
        os.umask(before)


def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    assert path.is_socket()
    with listening(path):
        connect(path)
    assert not path.exists()


def test_a_socket_that_a_server_listens_on_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with listening(path):
        with pytest.raises(OSError, match="another server listens there"), listening(path):
            pass
        connect(path)


def test_a_full_backlog_means_that_a_server_listens(tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(path))
        server.listen(0)
        client.connect(str(path))
        with pytest.raises(OSError, match="another server listens there"), listening(path):
            pass
    assert path.is_socket()


def test_a_socket_of_another_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chat"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(OSError, match="another user"), listening(path):
        pass
    assert path.is_socket()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_other_files_are_left_alone(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "chat", tmp_path / "other"
    other.write_text("precious")
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(other)
    with pytest.raises(OSError, match="not a socket"), listening(path):
        pass
    assert os.path.lexists(path)
    assert other.read_text() == "precious"


def test_the_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    """Somebody has moved the file away, and another server has taken the path."""
    path = tmp_path / "chat"
    with listening(path):
        path.rename(tmp_path / "moved")
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
            identity = path.stat().st_ino
    assert path.stat().st_ino == identity
