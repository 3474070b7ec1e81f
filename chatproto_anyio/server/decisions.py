"""Asking async functions of the application: who may log in, what becomes of an event."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled, current_token

Subject = TypeVar("Subject")
Verdict = TypeVar("Verdict")


class Decisions(Generic[Subject, Verdict]):
    """Calls a function for each question, each call in a task of its own.

    The tasks belong to the event loop and not to a task group, because a task group waits for all
    its tasks. There, a call that can't be cancelled would keep the server from ending.

    Args:
        decide: The function.
        answer: Called with the token, what the function has returned, and what it has raised. Both
            are None if the call was cancelled.
        timeout: Seconds after which a call is cancelled.
    """

    def __init__(
        self,
        decide: Callable[[Subject], Awaitable[Verdict]],
        answer: Callable[[int, Verdict | None, BaseException | None], None],
        timeout: float,
    ) -> None:
        self._function = decide
        self._answer = answer
        self.timeout: float = timeout
        """Seconds after which a call that begins from now on is cancelled."""
        self._calls: dict[int, anyio.CancelScope] = {}

    @property
    def pending(self) -> int:
        """The number of calls that have not returned."""
        return len(self._calls)

    def ask(self, token: int, subject: Subject) -> None:
        """Start a call of the function for a question, and return at once."""
        scope = anyio.CancelScope(deadline=anyio.current_time() + self.timeout)
        self._calls[token] = scope
        _start(self._decide(scope, token, subject))

    def withdraw(self, token: int) -> None:
        """Cancel a call, if it goes on: nobody waits for the answer."""
        if token in self._calls:
            self._calls[token].cancel()

    def cancel(self) -> None:
        """Cancel all calls. Some may go on, because they shield themselves."""
        for scope in self._calls.values():
            scope.cancel()

    async def _decide(self, scope: anyio.CancelScope, token: int, subject: Subject) -> None:
        verdict: Verdict | None = None
        failure: BaseException | None = None
        try:
            with scope:
                try:
                    verdict = await self._function(subject)
                except (Exception, SystemExit, anyio.get_cancelled_exc_class()) as error:  # noqa: BLE001 - logged
                    if not isinstance(error, Exception):
                        # Raises only if this call was cancelled, not a task that it waited for.
                        await checkpoint_if_cancelled()
                    # A bug in the function refuses this login or event only.
                    failure = error
        finally:
            del self._calls[token]
            self._answer(token, verdict, failure)


def _start(task: Coroutine[Any, Any, None]) -> None:
    """Start a task. Only the event loop waits for it, when the loop itself ends."""
    loop = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        running = loop.create_task(task)
        # The loop itself keeps only weak references.
        _RUNNING.add(running)
        running.add_done_callback(_RUNNING.discard)
    else:
        from trio.lowlevel import spawn_system_task

        async def run() -> None:
            await task

        spawn_system_task(run, context=copy_context())


_RUNNING: set[asyncio.Task[None]] = set()
