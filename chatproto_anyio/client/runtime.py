"""What a client takes from the event loop: streams, the time, time limits, and random numbers.

`chatproto_anyio.testing` replaces it.
"""

import contextlib
import random
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import anyio
from anyio.abc import ByteStream

from chatproto_sync.sockets.addresses import Endpoint

from ..streams import open_stream
from .time_limit import time_limit


class Runtime(Protocol):
    """What a client takes from the event loop."""

    async def open_stream(self, endpoint: Endpoint[socket.socket | ByteStream]) -> ByteStream:
        """Connect to a server.

        Raises:
            ConnectionLostError: No connection can be made.
        """
        ...

    def current_time(self) -> float:
        """The time in seconds, on a clock that does not run backwards."""
        ...

    def time_limit(self, seconds: float | None) -> AbstractContextManager[None]:
        """Cancel the block when it takes too long: see `time_limit`."""
        ...

    def move_on_after(self, seconds: float) -> AbstractContextManager[object]:
        """Cancel the block after that many seconds, and go on after it."""
        ...

    def random(self) -> float:
        """A number of at least 0 and less than 1."""
        ...


class LoopRuntime:
    """Sockets, and the event loop's clock."""

    async def open_stream(self, endpoint: Endpoint[socket.socket | ByteStream]) -> ByteStream:
        """Connect to a server."""
        return await open_stream(endpoint)

    def current_time(self) -> float:
        """The time on the event loop's clock."""
        return anyio.current_time()

    def time_limit(self, seconds: float | None) -> AbstractContextManager[None]:
        """A time limit on the event loop's clock."""
        return time_limit(seconds)

    def move_on_after(self, seconds: float) -> AbstractContextManager[object]:
        """AnyIO's own."""
        return anyio.move_on_after(seconds)

    def random(self) -> float:
        """A number from Python's generator."""
        return random.random()


_installed: list[Runtime] = [LoopRuntime()]


def current_runtime() -> Runtime:
    """The runtime of clients that are made now."""
    return _installed[-1]


@contextlib.contextmanager
def installed(runtime: Runtime) -> Iterator[None]:
    """Give a runtime to all clients that are made in the block, in any task."""
    _installed.append(runtime)
    try:
        yield
    finally:
        _installed.remove(runtime)
