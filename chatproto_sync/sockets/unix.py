"""Unix sockets: their names in the file system, and who is at the other end."""

import contextlib
import errno
import os
import socket
import stat
import struct
from typing import Final

from chatproto import Credentials

_CREDENTIALS: Final = struct.Struct("iII")


def bind_unix(sock: socket.socket, path: str, mode: int | None) -> None:
    """Give a socket its name, in place of one that a server has left behind.

    Args:
        sock: The socket, not listening yet: nobody can connect before the mode is set.
        path: The name.
        mode: The file's mode; None for what the umask makes of it.

    Raises:
        OSError: A server is listening there, the file is somebody else's, or is no socket.
    """
    with contextlib.suppress(FileNotFoundError):
        _remove_stale(path)
    sock.bind(path)
    if mode is not None:
        os.chmod(path, mode)  # noqa: PTH101


def unlink_unix(path: str, identity: tuple[int, int]) -> None:
    """Take a socket's name out of the file system, unless it is another one's by now.

    Args:
        path: The name.
        identity: What `identity_of` gave for it.
    """
    with contextlib.suppress(FileNotFoundError):
        if identity_of(path) == identity:
            os.unlink(path)  # noqa: PTH108


def identity_of(path: str) -> tuple[int, int]:
    """What tells a file from another one that has its name later."""
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def credentials_of(sock: socket.socket) -> Credentials | None:
    """Who has connected to a Unix socket; None where the system does not say (unix(7))."""
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    octets = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Credentials(*_CREDENTIALS.unpack(octets))


def _remove_stale(path: str) -> None:
    status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EEXIST, "there is a file that is no socket")
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "there is somebody else's socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            unlink_unix(path, (status.st_dev, status.st_ino))
            return
        except BlockingIOError:
            # A full backlog: somebody is listening, if not quickly.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
