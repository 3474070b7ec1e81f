"""Runs threads one at a time, so that a test with them goes the same way each time."""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

from chatproto.testing.world import ENDLESS, NothingWillArrive, World

# The sum of a time and a span may be a little more than the time that the span leads to.
_ROUNDING: Final = 1e-6

_CALLS_MAX: Final = 100_000
"""How often threads may read, write or wait while neither the test runs nor the clock moves."""


class _Turn:
    """A thread that runs when it is its turn."""

    def __init__(self) -> None:
        self.wakeup = threading.Semaphore(0)
        # None before the thread runs.
        self.ident: int | None = None
        # What it waits for.
        self.ready: Callable[[], bool] = lambda: True
        self.deadline = inf
        # Up to when it moves the clock. Only the test does.
        self.limit = -inf
        # Whether it has to end at its next wait, and whether it has ended.
        self.is_over = False
        self.done = False


class Scheduler:
    """Runs threads one at a time: one hands over to another only where it waits.

    The first thread that uses it is the test's. It moves the clock, up to the deadline of the call
    in which it waits, once nobody can go on without that. The other threads are those of `running`.

    Args:
        world: The server, and the clock.
    """

    def __init__(self, world: World) -> None:
        self.world: World = world
        """The server, and the clock."""
        self._test = _Turn()
        self._current = self._test
        self._turns = [self._test]
        # What a thread of `running` has raised, and the test does not know of yet.
        self._failure: BaseException | None = None
        # Whether the test waits for what will never come.
        self._stuck = False
        # How often the others have read, written or waited since the test ran or the clock moved.
        self._calls = 0

    def drive(self, seconds: float | None) -> None:
        """Say up to when the call that begins in this thread may move the clock.

        Args:
            seconds: How long from now; None for not at all.
        """
        if self._current is self._test:
            self._test.limit = -inf if seconds is None else self.world.now + seconds + _ROUNDING

    def wait(self, ready: Callable[[], bool], seconds: float | None) -> None:
        """Let other threads run, and time pass.

        Args:
            ready: Whether the wait is over.
            seconds: When it is over in any case; None for never.

        Raises:
            NothingWillArrive: It would last for ever; or this thread has to end.
            RuntimeError: The other threads go on and on.
        """
        self.check_thread()
        turn = self._current
        if turn.is_over:
            raise _over()
        turn.ready = ready
        turn.deadline = inf if seconds is None else self.world.now + seconds
        chosen = self._choose(turn)
        if chosen is not turn:
            self._hand_over(chosen)
            turn.wakeup.acquire()
        if turn.is_over:
            raise _over()
        if turn is self._test:
            self._raise_failure()
            if self._stuck:
                self._stuck = False
                raise NothingWillArrive(
                    "nothing will arrive unless another client sends something, or time passes: "
                    "give this call a timeout, or call `advance` of the server before"
                )

    def check_thread(self) -> None:
        """Refuse threads that nobody schedules, and end those that go on and on.

        Raises:
            NothingWillArrive: This thread is one of the latter. The test raises `ENDLESS`.
            RuntimeError: This thread is one of the former.
        """
        here = threading.get_ident()
        if self._test.ident is None:
            self._test.ident = here
        if self._current.ident != here:
            raise RuntimeError(
                "a MemoryServer belongs to one thread: to run a blocking bot beside the test, use"
                " `with server.running(function, ...)`"
            )
        self._calls = 0 if self._current is self._test else self._calls + 1
        if self._calls > _CALLS_MAX:
            self._failure = self._failure or RuntimeError(ENDLESS)
            self._current.is_over = True
            raise _over()

    def advance(self, seconds: float) -> None:
        """Move the clock, and let the threads of `running` do what they then can."""
        self.drive(seconds)
        self.wait(lambda: False, seconds)

    @contextmanager
    def running(self, function: Callable[..., object], *arguments: object) -> Iterator[None]:
        """Run a function on a thread, whenever the test waits.

        At the end of the block, `NothingWillArrive` is raised where the function waits.

        Raises:
            BaseException: What the function has raised.
            TypeError: The function is asynchronous.
        """
        if inspect.iscoroutinefunction(function):
            raise TypeError("running is for blocking bots: start this one in a task group")
        self.check_thread()
        turn = _Turn()

        def run() -> None:
            turn.wakeup.acquire()
            turn.ident = threading.get_ident()
            try:
                function(*arguments)
            except NothingWillArrive:
                pass
            except BaseException as error:  # noqa: BLE001 - the test raises it
                self._failure = self._failure or error
            turn.done = True
            self._turns.remove(turn)
            self._hand_over(self._test if turn.is_over else self._choose(self._test))

        thread = threading.Thread(target=run, name=f"running {function!r}", daemon=True)
        thread.start()
        self._turns.append(turn)
        try:
            self._run_others()
            yield
            self._run_others()
        finally:
            turn.is_over = True
            if not turn.done:
                self._hand_over(turn)
                self._test.wakeup.acquire()
            thread.join()
        self._raise_failure()

    def _run_others(self) -> None:
        """Let the other threads run, without the clock, until all of them wait."""
        self.drive(None)
        self.wait(lambda: not any(map(self._can_go_on, self._turns[1:])), None)

    def _choose(self, turn: _Turn) -> _Turn:
        """The thread whose turn is next; that of `turn` itself only if no other can go on."""
        at = self._turns.index(turn) + 1
        in_order = self._turns[at:] + self._turns[:at]
        while True:
            self.world.settle()
            for each in in_order:
                if self._can_go_on(each):
                    return each
            if self.world.now >= self._test.limit:
                self._stuck = True
                return self._test
            self._calls = 0
            self.world.step(min([self._test.limit, *(each.deadline for each in in_order)]))

    def _can_go_on(self, turn: _Turn) -> bool:
        if turn is self._test and self._failure is not None:
            return True
        return turn.is_over or turn.ready() or turn.deadline <= self.world.now

    def _hand_over(self, turn: _Turn) -> None:
        self._current = turn
        turn.wakeup.release()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


def _over() -> NothingWillArrive:
    return NothingWillArrive("the test is over, and nothing more will arrive")
