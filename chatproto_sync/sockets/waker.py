"""Waking a thread that waits for sockets."""

import contextlib
import socket

from .transport import READ_SIZE


class Waker:
    """A descriptor that becomes readable on request."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """What to wait for."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make it readable. For other threads and signal handlers too."""
        # A full buffer is a request that has not been seen yet, and a closed socket one that comes
        # too late to matter.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def ready(self, _events: int) -> None:
        """Take note that it was."""
        self._reader.recv(READ_SIZE)

    def close(self) -> None:
        """Be none any more."""
        self._reader.close()
        self._writer.close()
