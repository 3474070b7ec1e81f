"""Unix sockets: their files, and the process at the other end."""

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
    """Bind a socket to a path, and replace the socket that an earlier server left there.

    Args:
        sock: The socket. It does not listen yet, so nobody can connect before the mode is set.
        path: The path.
        mode: The file mode; None for the one that the umask yields.

    Raises:
        OSError: A server listens there, the file belongs to somebody else, or is not a socket.
    """
    with contextlib.suppress(FileNotFoundError):
        _remove_stale(path)
    if mode is not None:
        # On Linux, the new file has this mode from the beginning. Other systems may refuse that.
        with contextlib.suppress(OSError):
            os.fchmod(sock.fileno(), mode)
    sock.bind(path)
    if mode is not None:
        os.chmod(path, mode)  # noqa: PTH101


def unlink_unix(path: str, identity: tuple[int, int]) -> None:
    """Remove a socket from the file system, unless another one has taken its path.

    Args:
        path: The path.
        identity: What `identity_of` returned for it.
    """
    with contextlib.suppress(FileNotFoundError):
        if identity_of(path) == identity:
            os.unlink(path)  # noqa: PTH108


def identity_of(path: str) -> tuple[int, int]:
    """The device and inode of a file, to distinguish it from a later one with the same path."""
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def credentials_of(sock: socket.socket) -> Credentials | None:
    """The process that has connected to a Unix socket (SO_PEERCRED, unix(7)).

    Returns:
        None where the system does not say, and for sockets of other families.
    """
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Credentials(*_CREDENTIALS.unpack(data))


def _remove_stale(path: str) -> None:
    status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(
            errno.EEXIST,
            "a file that is not a socket has this path; use another one, or remove the file",
        )
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "a socket of another user has this path; use another one")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            unlink_unix(path, (status.st_dev, status.st_ino))
            return
        except BlockingIOError:
            # The backlog is full, so a server does listen.
            pass
    raise OSError(errno.EADDRINUSE, "another server listens there; use another path")
