"""What a client takes from the system: streams, the time, random numbers, and locks.

`chatproto_sync.testing` replaces it.
"""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from ..sockets.addresses import Endpoint
from .deadline import Deadline
from .stream import SocketStream


class Stream(Protocol):
    """A stream of bytes that threads share: see `SocketStream`."""

    receive_event: int
    send_event: int

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    def open(self, endpoint: Endpoint[socket.socket], deadline: Deadline) -> None:
        """Connect to a server."""

    def receive(self) -> bytes | None:
        """Take what has arrived, without waiting."""

    def send(self, data: memoryview) -> int:
        """Write what there is room for, without waiting."""
        ...

    def watch(self, events: int) -> None:
        """Say what `wait` waits for."""

    def wait(self, seconds: float | None) -> None:
        """Wait until what `watch` says is possible."""

    def close(self) -> None:
        """Close the stream. A thread that waits for it raises."""


class Condition(AbstractContextManager[object], Protocol):
    """The part of `threading.Condition` that a client uses."""

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, and wait for `notify_all`."""
        ...

    def notify_all(self) -> None:
        """Wake all threads that wait."""


class Lock(Protocol):
    """The part of `threading.Lock` that a client uses."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; return whether that succeeded."""
        ...

    def release(self) -> None:
        """Give the lock back."""


class Runtime(Protocol):
    """What a client takes from the system."""

    def stream(self) -> Stream:
        """A stream that is not open yet."""
        ...

    def monotonic(self) -> float:
        """The time in seconds, on a clock that does not run backwards."""
        ...

    def deadline(self, seconds: float | None) -> Deadline:
        """The deadline of a call that may take that many seconds; None for no limit."""
        ...

    def random(self) -> float:
        """A number of at least 0 and less than 1."""
        ...

    def condition(self) -> Condition:
        """A condition with a lock of its own."""
        ...

    def lock(self) -> Lock:
        """A lock."""
        ...


class SystemRuntime:
    """Sockets, the system's clock, and locks for threads."""

    def stream(self) -> Stream:
        """A stream over a socket."""
        return SocketStream()

    def monotonic(self) -> float:
        """The time on the system's clock."""
        return time.monotonic()

    def deadline(self, seconds: float | None) -> Deadline:
        """A deadline on the system's clock."""
        return Deadline(seconds)

    def random(self) -> float:
        """A number from Python's generator."""
        return random.random()

    def condition(self) -> Condition:
        """A condition for threads."""
        return threading.Condition(threading.Lock())

    def lock(self) -> Lock:
        """A lock for threads."""
        return threading.Lock()


_installed: list[Runtime] = [SystemRuntime()]


def current_runtime() -> Runtime:
    """The runtime of clients that are made now."""
    return _installed[-1]


@contextlib.contextmanager
def installed(runtime: Runtime) -> Iterator[None]:
    """Give a runtime to all clients that are made in the block, in any thread."""
    _installed.append(runtime)
    try:
        yield
    finally:
        _installed.remove(runtime)
