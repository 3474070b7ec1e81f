"""The clock of a server in memory, for tasks: it moves once all of them wait."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

import anyio
import anyio.lowlevel

from chatproto import ChatTimeoutError
from chatproto.testing.world import ENDLESS, World

_TURNS: Final = 10
"""How often the other tasks run, without a change in the world, before the clock looks whether all
of them wait. That look is slow on asyncio if one of them does not."""

_TURNS_MAX: Final = 100_000
"""How often the other tasks may run, with changes in the world, before the clock gives up."""


class TaskClock:
    """The clock of a server in memory, for tasks.

    It moves only while a task is in `time_limit` or `advance`, and once all tasks of the event loop
    wait for something: to the next time at which one of them wakes up.

    Args:
        world: The server, and the clock.
    """

    def __init__(self, world: World) -> None:
        self.world: World = world
        """The server, and the clock."""
        # How many tasks are in `time_limit` or `advance`.
        self._driving = 0
        # Ends the task that moves the clock; None while there is none.
        self._moving: anyio.CancelScope | None = None
        # asyncio does not keep a reference to a task.
        self._task: object = None
        # Set when something changes in the world.
        self._waiting: set[anyio.Event] = set()
        # Set when all tasks wait.
        self._settling: list[anyio.Event] = []
        # Whether the clock has given up waiting for that.
        self._endless = False
        world.on_change = self._wake_all

    @contextlib.contextmanager
    def move_on_after(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """Cancel the block after that many seconds, and go on after it."""
        with anyio.CancelScope() as scope:
            timer = self.world.call_at(self.world.now + seconds, scope.cancel)
            try:
                yield scope
            finally:
                timer.cancel()

    @contextlib.contextmanager
    def time_limit(self, seconds: float | None) -> Iterator[None]:
        """Cancel the block when it takes too long.

        Args:
            seconds: How long it may take; None for no limit. With 0 too, the block receives what
                has arrived already.

        Raises:
            ChatTimeoutError: It has taken too long.
            RuntimeError: The other tasks never wait.
        """
        if seconds is None or seconds == math.inf:
            yield
            return
        with self.move_on_after(seconds) as scope, self._drive():
            yield
        if scope.cancelled_caught:
            self._raise_if_endless()
            raise ChatTimeoutError(f"it took longer than {seconds:g} s")

    async def advance(self, seconds: float) -> None:
        """Move the clock, and let other tasks do what they then can.

        Raises:
            RuntimeError: The other tasks never wait.
        """
        over, settled = anyio.Event(), anyio.Event()
        self.world.call_at(self.world.now + seconds, over.set)
        with self._drive():
            await over.wait()
            self._settling.append(settled)
            await settled.wait()
        self._raise_if_endless()

    async def wait_for_change(self) -> None:
        """Wait until something has changed in the world."""
        event = anyio.Event()
        self._waiting.add(event)
        try:
            await event.wait()
        finally:
            self._waiting.discard(event)

    def _wake_all(self) -> None:
        for event in self._waiting:
            event.set()

    @contextlib.contextmanager
    def _drive(self) -> Iterator[None]:
        self._driving += 1
        if self._moving is None:
            self._moving = anyio.CancelScope()
            self._task = _spawn(self._move, self._moving)
        try:
            yield
        finally:
            self._driving -= 1
            if not self._driving and self._moving is not None:
                self._moving.cancel()
                self._moving = None

    async def _move(self, moving: anyio.CancelScope) -> None:
        """Move the clock while somebody wants that."""
        with moving:
            while not moving.cancel_called:
                self._endless = not await self._let_others_run()
                if self._endless:
                    # What waits for the clock is over, and says so.
                    while self.world.has_timers:
                        self.world.step(math.inf)
                if self._settling:
                    self._settling.pop().set()
                elif not moving.cancel_called:
                    before = self.world.changes
                    while self.world.changes == before and self.world.has_timers:
                        self.world.step(math.inf)

    async def _let_others_run(self) -> bool:
        """Return once all other tasks wait. Returns False if they never do."""
        turns = 0
        for _ in range(_TURNS_MAX):
            before = self.world.changes
            await anyio.lowlevel.checkpoint()
            turns = turns + 1 if before == self.world.changes else 0
            if turns == _TURNS:
                await anyio.wait_all_tasks_blocked()
                return True
        return False

    def _raise_if_endless(self) -> None:
        if self._endless:
            raise RuntimeError(ENDLESS)


def _spawn(
    function: Callable[[anyio.CancelScope], Coroutine[None, None, None]], scope: anyio.CancelScope
) -> object:
    """Run a function in a task that belongs to the event loop. Returns the task."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        from trio.lowlevel import spawn_system_task

        return spawn_system_task(function, scope)
    return loop.create_task(function(scope))
