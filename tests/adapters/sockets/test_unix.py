"""The names of Unix sockets in the file system."""

import os
import socket
import stat
from pathlib import Path

import pytest

from ..servers import SocketClient, Start


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o777])
def test_mode(start: Start, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "chat"
    with start(unix=path, unix_mode=mode):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_mode_from_the_umask(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "chat"
    before = os.umask(0o027)
    try:
        with start(unix=path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o750
    finally:
        os.umask(before)


def test_stale_socket_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    assert path.is_socket()
    with start(unix=path) as server, SocketClient(server.addresses[0]) as alice:
        alice.login("alice")
    assert not path.exists()


def test_socket_that_somebody_listens_on_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with start(unix=path) as server:
        with pytest.raises(OSError, match="in use"), start(unix=path):
            pass
        with SocketClient(server.addresses[0]) as alice:
            alice.login("alice")


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_alone(start: Start, tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "chat", tmp_path / "other"
    other.write_text("precious")
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(other)
    with pytest.raises(OSError, match="not a socket"), start(unix=path):
        pass
    assert os.path.lexists(path)
    assert other.read_text() == "precious"


def test_successors_socket_is_left_alone(start: Start, tmp_path: Path) -> None:
    """Somebody removed the name and another server took it; the end of the first one spares it."""
    path = tmp_path / "chat"
    with start(unix=path):
        path.rename(tmp_path / "moved")
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
            identity = path.stat().st_ino
    assert path.stat().st_ino == identity
