"""Waking a thread that waits for sockets."""

import contextlib
import socket


class Waker:
    """A descriptor that becomes readable on request."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the descriptor readable. Other threads and signal handlers may call it too."""
        # A full buffer is a request that has not been handled yet. A closed socket needs none.
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def ready(self, _events: int) -> None:
        """Make the descriptor unreadable again."""
        self._reader.recv(1 << 16)

    def close(self) -> None:
        """Close the descriptor."""
        self._reader.close()
        self._writer.close()
