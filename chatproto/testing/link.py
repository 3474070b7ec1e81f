"""One connection in memory, between a client and a `World`."""

from collections.abc import Callable
from math import inf
from typing import Final

CAPACITY: Final = 1 << 16
"""The most bytes on their way in one direction, as in the buffers of a socket."""


class Link:
    """One connection in memory. Adapters use it as a client's end of a stream.

    The methods for a client raise ConnectionResetError once the connection is lost.

    Args:
        origin: Where the client comes from, for the log.
        settle: Called when the client has read or written something, or has closed its end.
    """

    __slots__ = (
        "_allowance",
        "_settle",
        "_speed",
        "client_closed",
        "lost",
        "name",
        "origin",
        "server_closed",
        "to_client",
        "to_server",
    )

    def __init__(self, origin: str, settle: Callable[[], None]) -> None:
        self.origin: str = origin
        """Where the client comes from, for the log."""
        self.name: str | None = None
        """The name that the client is logged in under; None for none."""
        self.to_server: bytearray = bytearray()
        """What the client has written and the server has not read."""
        self.to_client: bytearray = bytearray()
        """What the server has written and the client has not read."""
        self.client_closed: bool = False
        """Whether the client has closed its end."""
        self.server_closed: bool = False
        """Whether the server writes nothing more."""
        self.lost: bool = False
        """Whether the connection is broken."""
        self._settle = settle
        self._speed = inf
        self._allowance = inf

    # The client's end

    @property
    def can_receive(self) -> bool:
        """Whether `receive` has something to return or to raise."""
        return bool(self.to_client) or self._has_ended or self.lost

    @property
    def can_send(self) -> bool:
        """Whether `send` takes something, or raises."""
        return len(self.to_server) < CAPACITY or self.server_closed or self.lost

    def receive(self, max_size: int) -> bytes | None:
        """Take what has arrived at the client.

        Args:
            max_size: The most bytes.

        Returns:
            At least one byte; none at the end of the stream; None if nothing has arrived.
        """
        self._check()
        if not self.to_client:
            return b"" if self._has_ended else None
        data = bytes(self.to_client[:max_size])
        del self.to_client[:max_size]
        self._settle()
        return data

    def send(self, data: bytes) -> int:
        """Write what there is room for. What comes after the server's end is lost.

        Returns:
            How many bytes that is.
        """
        self._check()
        if self.server_closed:
            # A system takes it too: it does not know yet that nobody reads it.
            return len(data)
        taken = data[: CAPACITY - len(self.to_server)]
        self.to_server += taken
        self._settle()
        return len(taken)

    def close(self) -> None:
        """Close the client's end. What it has written still arrives."""
        self.client_closed = True
        self.to_client.clear()
        self._settle()

    @property
    def _has_ended(self) -> bool:
        """Whether the end of the stream has arrived at the client."""
        return self.server_closed and self._speed > 0

    def _check(self) -> None:
        if self.lost:
            raise ConnectionResetError("Connection reset by peer")

    # The server's end

    def write(self, data: bytes) -> int:
        """Write what there is room for, to the client.

        Returns:
            How many bytes that is.
        """
        if self.client_closed:
            return len(data)
        room = min(CAPACITY - len(self.to_client), self._allowance)
        taken = data[: int(room)]
        self.to_client += taken
        self._allowance -= len(taken)
        return len(taken)

    def set_speed(self, bytes_per_second: float) -> None:
        """Set how fast the client takes what the server writes, from now on."""
        self._speed = bytes_per_second
        self._allowance = inf if bytes_per_second == inf else 0.0

    def pass_time(self, seconds: float) -> None:
        """Let the client take more."""
        if self._speed < inf:
            self._allowance = min(self._allowance + self._speed * seconds, max(self._speed, 1.0))

    def lose(self) -> None:
        """Break the connection. What is on its way is lost."""
        self.lost = True
        self.to_client.clear()
        self.to_server.clear()
