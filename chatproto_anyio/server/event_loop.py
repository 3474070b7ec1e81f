"""How an event loop comes to know that the driver has something to do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, cast

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint, current_token

from chatproto_sync.sockets.driver import Driver
from chatproto_sync.sockets.poller import READ, WRITE, T

if TYPE_CHECKING:
    from _typeshed import HasFileno


@asynccontextmanager
async def waiting(driver: Driver) -> AsyncIterator[None]:
    """See to it that there is a way to wait for the driver's sockets, as long as this lasts."""
    if driver.fileno() is not None:
        yield
        return
    async with anyio.create_task_group() as tasks:
        poller: TaskPoller[Any] = TaskPoller(tasks)
        driver.use(poller)
        try:
            yield
        finally:
            poller.close()


async def drive(driver: Driver, until: Callable[[], bool]) -> None:
    """Call `step` whenever there is something to do, inside `waiting`.

    Args:
        driver: Whose.
        until: Asked before and after each `step` whether to return.
    """
    loop = current_token().native_token
    fd = driver.fileno()
    wait: Callable[[], Awaitable[None]]
    if fd is None:
        wait = cast("TaskPoller[Any]", driver.poller).wait
    elif isinstance(loop, asyncio.AbstractEventLoop):
        await _drive_by_callback(driver, until, loop, fd)
        return
    else:
        wait = partial(anyio.wait_readable, fd)
    while not until():
        await wait()
        driver.step(0)


async def _drive_by_callback(
    driver: Driver, until: Callable[[], bool], loop: asyncio.AbstractEventLoop, fd: int
) -> None:
    # AnyIO's `wait_readable` would take the descriptor into the loop and out of it each time, for
    # which Linux looks at every socket behind it. Trio leaves it there.
    if until():
        return
    over = loop.create_future()

    def step() -> None:
        if over.done():
            # `drive` has not had its turn to take note of that.
            return
        try:
            driver.step(0)
            if until():
                over.set_result(None)
        except Exception as error:  # noqa: BLE001 - `drive` raises it
            over.set_exception(error)

    loop.add_reader(fd, step)
    try:
        await over
    finally:
        loop.remove_reader(fd)


class TaskPoller(Generic[T]):
    """A poller that leaves waiting to the event loop: to two tasks for each socket.

    For platforms whose own selectors are no descriptors, so that no event loop can wait for them.

    Args:
        tasks: Where the tasks run. They last until `unregister` or `close`, and are shielded: it is
            not for cancellation to end connections.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._watches: dict[int, _Watch] = {}
        self.targets: dict[int, T] = {}
        self._ready: dict[_Watch, int] = {}
        self._some = anyio.Event()
        # Set, and replaced, when `poll` has taken what was ready.
        self._taken = anyio.Event()

    def register(self, sock: "HasFileno", events: int, target: T) -> None:
        """See `Poller`."""
        watch = _Watch(sock.fileno(), events)
        self._watches[watch.fd] = watch
        self.targets[watch.fd] = target
        self._tasks.start_soon(self._wait, watch, READ, anyio.wait_readable)
        self._tasks.start_soon(self._wait, watch, WRITE, anyio.wait_writable)

    def modify(self, sock: "HasFileno", events: int, target: T) -> None:
        """See `Poller`."""
        fd = sock.fileno()
        self._watches[fd].change(events)
        self.targets[fd] = target

    def unregister(self, sock: "HasFileno") -> None:
        """See `Poller`."""
        fd = sock.fileno()
        del self.targets[fd]
        self._watches.pop(fd).stop()

    def poll(self, timeout: float) -> list[tuple[int, int]]:  # noqa: ARG002 - other pollers wait
        """What is ready now; it never waits. See `Poller`."""
        if not self._ready:
            # The driver asks often.
            return []
        ready, self._ready = self._ready, {}
        self._some = anyio.Event()
        self._taken.set()
        self._taken = anyio.Event()
        return [
            (watch.fd, wanted)
            for watch, events in ready.items()
            if (wanted := events & watch.events)
        ]

    async def wait(self) -> None:
        """Wait until something is ready."""
        await self._some.wait()

    def fileno(self) -> None:
        """See `Poller`."""

    def close(self) -> None:
        """Wait for nothing any more. Twice is fine."""
        for watch in self._watches.values():
            if watch.events:
                watch.stop()
        self._taken.set()

    async def _wait(
        self,
        watch: "_Watch",
        event: int,
        wait: Callable[[int], Awaitable[None]],
    ) -> None:
        with anyio.CancelScope(shield=True):
            # A descriptor of the same number may be closed just now, and AnyIO tidies up after it
            # by that number, when the task that waited for it has its turn.
            await checkpoint()
            while watch.events:
                if not watch.events & event:
                    await watch.news.wait()
                    continue
                try:
                    await wait(watch.fd)
                except anyio.ClosedResourceError:
                    # That is what `stop` does.
                    return
                self._ready[watch] = self._ready.get(watch, 0) | event
                self._some.set()
                await self._taken.wait()


class _Watch:
    """What two tasks wait for."""

    def __init__(self, fd: int, events: int) -> None:
        self.fd = fd
        self.events = events
        # Set, and replaced, when something else is to be waited for.
        self.news = anyio.Event()

    def change(self, events: int) -> None:
        self.events = events
        news, self.news = self.news, anyio.Event()
        news.set()

    def stop(self) -> None:
        """End the tasks; the socket may be closed then."""
        self.change(0)
        anyio.notify_closing(self.fd)
