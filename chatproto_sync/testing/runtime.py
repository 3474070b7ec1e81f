"""What a blocking client takes from the system, on a server in memory."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from selectors import EVENT_READ, EVENT_WRITE
from types import TracebackType
from typing import Any, TypeVar

from chatproto import ConnectionLostError
from chatproto.testing.link import Link

from ..client.client import Client
from ..client.connect import connect
from ..client.deadline import Deadline
from ..client.runtime import Condition, Lock, Stream, installed
from ..sockets.addresses import Endpoint
from ..sockets.errors import connection_lost, no_connection
from ..sockets.transport import READ_SIZE
from .scheduler import Scheduler

_T = TypeVar("_T")


class MemoryRuntime:
    """Streams to a server in memory, its clock, and locks for threads that take turns.

    Args:
        scheduler: Runs the threads.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler: Scheduler = scheduler
        """Runs the threads."""
        self._random = Random(0)

    def connect(self, *where: Any, **options: Any) -> AbstractContextManager[Client]:
        """Call `chatproto_sync.connect` for a client of the server in memory."""
        with self.installed():
            return connect(*where, **options)

    def installed(self) -> AbstractContextManager[None]:
        """Have all clients that are made in the block connect to the server in memory."""
        return installed(self)

    def stream(self) -> Stream:
        """A stream to the server."""
        return MemoryStream(self.scheduler)

    def monotonic(self) -> float:
        """The time on the clock that the test moves."""
        return self.scheduler.world.now

    def deadline(self, seconds: float | None) -> Deadline:
        """A deadline on that clock, up to which a call of the test moves it."""
        self.scheduler.drive(seconds)
        return Deadline(seconds, self.monotonic)

    def random(self) -> float:
        """A number: the same ones in each test."""
        return self._random.random()

    def condition(self) -> Condition:
        """A condition for threads that take turns."""
        return MemoryCondition(self.scheduler)

    def lock(self) -> Lock:
        """A lock for threads that take turns."""
        return MemoryLock(self.scheduler)


class MemoryStream:
    """A stream of bytes to a server in memory, with the methods of `SocketStream`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.receive_event: int = EVENT_READ
        self.send_event: int = 0
        self._scheduler = scheduler
        self._link: Link | None = None
        self._events = EVENT_READ
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def open(self, endpoint: Endpoint[socket.socket], deadline: Deadline) -> None:  # noqa: ARG002
        """Connect to the server in memory, whatever the endpoint is."""
        self._scheduler.check_thread()
        try:
            self._link = self._scheduler.world.open()
        except ConnectionError as error:
            raise no_connection(endpoint, error) from error

    def receive(self) -> bytes | None:
        """Take what has arrived, without waiting."""
        return self._do(lambda link: link.receive(READ_SIZE))

    def send(self, data: memoryview) -> int:
        """Write what there is room for, without waiting."""
        count = self._do(lambda link: link.send(bytes(data)))
        self.send_event = EVENT_WRITE if count < len(data) else 0
        return count

    def watch(self, events: int) -> None:
        """Say what `wait` waits for."""
        self._events = events

    def wait(self, seconds: float | None) -> None:
        """Let others run, and time pass, until what `watch` says is possible."""
        self._scheduler.wait(lambda: self._closed or bool(self._ready()), seconds)
        if self._closed:
            raise _closed()
        self.send_event &= ~self._ready()

    def close(self) -> None:
        """Close the stream. A thread that waits for it raises."""
        self._closed = True
        if self._link is not None:
            self._link.close()

    def _ready(self) -> int:
        link = self._checked()
        can = EVENT_READ * link.can_receive | EVENT_WRITE * link.can_send
        return self._events & can

    def _checked(self) -> Link:
        if self._closed or self._link is None:
            raise _closed()
        return self._link

    def _do(self, operation: Callable[[Link], _T]) -> _T:
        self._scheduler.check_thread()
        try:
            return operation(self._checked())
        except ConnectionError as error:
            raise connection_lost(error) from error


class MemoryCondition:
    """A condition for threads that take turns: only the one that has its turn runs."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._notified = 0

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for `notify_all`. Returns whether it was called."""
        notified = self._notified
        self._scheduler.wait(lambda: self._notified != notified, timeout)
        return self._notified != notified

    def notify_all(self) -> None:
        """Wake all threads that wait."""
        self._notified += 1


class MemoryLock:
    """A lock for threads that take turns."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._taken = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; return whether that succeeded."""
        if self._taken and blocking:
            self._scheduler.wait(lambda: not self._taken, None if timeout < 0 else timeout)
        acquired = not self._taken
        self._taken = True
        return acquired

    def release(self) -> None:
        """Give the lock back."""
        self._taken = False


def _closed() -> ConnectionLostError:
    return ConnectionLostError("the connection is closed")
