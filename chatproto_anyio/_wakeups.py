"""How an event loop comes to know that the driver has something to do."""

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint, current_token

from chatproto_sync._carrier import READ, WRITE
from chatproto_sync._driver import Driver

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


@asynccontextmanager
async def waiting(driver: Driver) -> AsyncIterator[None]:
    """See to it that there is a way to wait for the driver's sockets, as long as this lasts."""
    if driver.takes_sockets:
        yield
        return
    async with anyio.create_task_group() as tasks:
        selector = TaskSelector(tasks)
        for key in driver.selector.get_map().values():
            selector.register(key.fileobj, key.events, key.data)
        driver.selector.close()
        # It does all that is asked of a selector without a descriptor.
        driver.selector = cast("selectors.DefaultSelector", selector)
        try:
            yield
        finally:
            selector.close()


async def drive(driver: Driver, until: Callable[[], bool]) -> None:
    """Call `step` whenever there is something to do, inside `waiting`.

    Args:
        driver: Whose.
        until: Asked before and after each `step` whether to return.
    """
    loop = current_token().native_token
    wait: Callable[[], Awaitable[None]]
    if not driver.takes_sockets:
        wait = cast("TaskSelector", driver.selector).wait
    elif not isinstance(loop, asyncio.AbstractEventLoop):
        wait = partial(anyio.wait_readable, driver)
    else:
        await _drive_by_callback(driver, until, loop)
        return
    while not until():
        await wait()
        driver.step(0)


async def _drive_by_callback(
    driver: Driver, until: Callable[[], bool], loop: asyncio.AbstractEventLoop
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

    loop.add_reader(driver.fileno(), step)
    try:
        await over
    finally:
        loop.remove_reader(driver.fileno())


class TaskSelector(selectors.BaseSelector):
    """A selector that leaves waiting to the event loop: to two tasks for each socket.

    For platforms whose own selectors are no descriptors, so that no event loop can wait for them.

    Args:
        tasks: Where the tasks run. They last until `unregister` or `close`, and are shielded: it is
            not for cancellation to end connections.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._watches: dict[FileDescriptorLike, _Watch] = {}
        self._ready: dict[_Watch, int] = {}
        self._some = anyio.Event()
        # Set, and replaced, when `select` has taken what was ready.
        self._taken = anyio.Event()

    def register(
        self, fileobj: "FileDescriptorLike", events: int, data: Any = None
    ) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        watch = _Watch(selectors.SelectorKey(fileobj, fd, events, data))
        self._watches[fileobj] = watch
        self._tasks.start_soon(self._wait, watch, READ, anyio.wait_readable)
        self._tasks.start_soon(self._wait, watch, WRITE, anyio.wait_writable)
        return watch.key

    def modify(
        self, fileobj: "FileDescriptorLike", events: int, data: Any = None
    ) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        watch = self._watches[fileobj]
        watch.change(watch.key._replace(events=events, data=data))
        return watch.key

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        watch = self._watches.pop(fileobj)
        watch.stop()
        return watch.key

    def select(
        self,
        timeout: float | None = None,  # noqa: ARG002 - the base class has it
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; it never waits. See `selectors.BaseSelector`."""
        if not self._ready:
            # The driver asks often.
            return []
        ready, self._ready = self._ready, {}
        self._some = anyio.Event()
        self._taken.set()
        self._taken = anyio.Event()
        return [
            (watch.key, wanted)
            for watch, events in ready.items()
            if (wanted := events & watch.key.events)
        ]

    async def wait(self) -> None:
        """Wait until something is ready."""
        await self._some.wait()

    def get_map(self) -> Mapping["FileDescriptorLike", selectors.SelectorKey]:
        """See `selectors.BaseSelector`."""
        return {fileobj: watch.key for fileobj, watch in self._watches.items()}

    def close(self) -> None:
        """Wait for nothing any more. Twice is fine."""
        for watch in self._watches.values():
            if watch.key.events:
                watch.stop()
        self._taken.set()

    async def _wait(
        self,
        watch: "_Watch",
        event: int,
        wait: Callable[["FileDescriptorLike"], Awaitable[None]],
    ) -> None:
        with anyio.CancelScope(shield=True):
            # A descriptor of the same number may be closed just now, and AnyIO tidies up after it
            # by that number, when the task that waited for it has its turn.
            await checkpoint()
            while watch.key.events:
                if not watch.key.events & event:
                    await watch.news.wait()
                    continue
                try:
                    await wait(watch.key.fd)
                except anyio.ClosedResourceError:
                    # That is what `stop` does.
                    return
                self._ready[watch] = self._ready.get(watch, 0) | event
                self._some.set()
                await self._taken.wait()


class _Watch:
    """What two tasks wait for."""

    def __init__(self, key: selectors.SelectorKey) -> None:
        self.key = key
        # Set, and replaced, when something else is to be waited for.
        self.news = anyio.Event()

    def change(self, key: selectors.SelectorKey) -> None:
        self.key = key
        news, self.news = self.news, anyio.Event()
        news.set()

    def stop(self) -> None:
        """End the tasks; the socket may be closed then."""
        self.change(self.key._replace(events=0))
        anyio.notify_closing(self.key.fd)
