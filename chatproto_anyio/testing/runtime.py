"""What a client takes from the event loop, on a server in memory."""

import socket
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from chatproto.testing.link import Link
from chatproto_sync.sockets.addresses import Endpoint
from chatproto_sync.sockets.errors import no_connection

from ..client.client import Client
from ..client.connect import connect
from ..client.runtime import installed
from .clock import TaskClock


class MemoryRuntime:
    """Streams to a server in memory, and its clock.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: TaskClock) -> None:
        self.clock: TaskClock = clock
        """The clock."""
        self._random = Random(0)

    def connect(self, *where: Any, **options: Any) -> AbstractAsyncContextManager[Client]:
        """Call `chatproto_anyio.connect` for a client of the server in memory."""
        with self.installed():
            return connect(*where, **options)

    def installed(self) -> AbstractContextManager[None]:
        """Have all clients that are made in the block connect to the server in memory."""
        return installed(self)

    async def open_stream(self, endpoint: Endpoint[socket.socket | ByteStream]) -> ByteStream:
        """Connect to the server in memory, whatever the endpoint is."""
        await anyio.lowlevel.checkpoint()
        try:
            return MemoryStream(self.clock.world.open(), self.clock)
        except ConnectionError as error:
            raise no_connection(endpoint, error) from error

    def current_time(self) -> float:
        """The time on the clock that the test moves."""
        return self.clock.world.now

    def time_limit(self, seconds: float | None) -> AbstractContextManager[None]:
        """A time limit on that clock."""
        return self.clock.time_limit(seconds)

    def move_on_after(self, seconds: float) -> AbstractContextManager[object]:
        """Cancel the block after that many seconds on that clock, and go on after it."""
        return self.clock.move_on_after(seconds)

    def random(self) -> float:
        """A number: the same ones in each test."""
        return self._random.random()


class MemoryStream(ByteStream):
    """A stream of bytes to a server in memory."""

    def __init__(self, link: Link, clock: TaskClock) -> None:
        self._link = link
        self._clock = clock

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for bytes from the server."""
        await anyio.lowlevel.checkpoint()
        while (data := self._checked().receive(max_bytes)) is None:
            await self._clock.wait_for_change()
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Write all of the bytes."""
        while unsent := item[self._checked().send(item) :]:
            item = unsent
            await self._clock.wait_for_change()
        await anyio.lowlevel.cancel_shielded_checkpoint()

    async def send_eof(self) -> None:
        """Not possible: clients of CHAT/1.0 end both halves at once."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the stream. A task that waits for it raises."""
        self._link.close()
        await anyio.lowlevel.cancel_shielded_checkpoint()

    def _checked(self) -> Link:
        if self._link.client_closed:
            raise anyio.ClosedResourceError
        return self._link
