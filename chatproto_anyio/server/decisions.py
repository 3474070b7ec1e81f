"""Asking an async function of the application who may log in."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import Any

import anyio
from anyio.lowlevel import checkpoint_if_cancelled, current_token

from chatproto import LoginRequest


class Decisions:
    """Calls a function for each login, each call in a task of its own.

    The tasks belong to the event loop and not to a task group, because a task group waits for all
    its tasks. There, a call that can't be cancelled would keep the server from ending.

    Args:
        authenticate: The function.
        answer: Called with the token, whether the login is allowed, and what the function raised.
        timeout: Seconds after which a call is cancelled.
    """

    def __init__(
        self,
        authenticate: Callable[[LoginRequest], Awaitable[bool]],
        answer: Callable[[int, bool, BaseException | None], None],
        timeout: float,
    ) -> None:
        self._authenticate = authenticate
        self._answer = answer
        self.timeout: float = timeout
        """Seconds after which a call that begins from now on is cancelled."""
        self._calls: set[anyio.CancelScope] = set()

    @property
    def pending(self) -> int:
        """The number of calls that have not returned."""
        return len(self._calls)

    def ask(self, token: int, request: LoginRequest) -> None:
        """Start a call of the function for a login, and return at once."""
        scope = anyio.CancelScope(deadline=anyio.current_time() + self.timeout)
        self._calls.add(scope)
        _start(self._decide(scope, token, request))

    def cancel(self) -> None:
        """Cancel all calls. Some may go on, because they shield themselves."""
        for scope in self._calls:
            scope.cancel()

    async def _decide(self, scope: anyio.CancelScope, token: int, request: LoginRequest) -> None:
        allowed = False
        failure: BaseException | None = None
        try:
            with scope:
                try:
                    allowed = await self._authenticate(request) is True
                except (Exception, SystemExit, anyio.get_cancelled_exc_class()) as error:  # noqa: BLE001 - logged
                    if not isinstance(error, Exception):
                        # Raises only if this call was cancelled, not a task that it waited for.
                        await checkpoint_if_cancelled()
                    # A bug in the function refuses this login only.
                    failure = error
        finally:
            self._calls.discard(scope)
            self._answer(token, allowed, failure)


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
