"""Asking the application who may log in, on threads of its own."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from chatproto import LoginRequest

THREADS: Final = 8
"""The most questions that are being answered at once."""

_PendingLogin: TypeAlias = tuple[float, int, LoginRequest]
"""The time after which nobody waits for the answer, the driver's token, and the request."""

logger: Final = logging.getLogger("chatproto.server")


class Authenticator:
    """Asks a plain function.

    Args:
        authenticate: The function; it may take its time.
        answer: Called on some thread with what the driver's question had as its token, and whether
            the login is allowed.
        timeout: Seconds after which nobody waits for the answer any more.
    """

    def __init__(
        self,
        authenticate: Callable[[LoginRequest], bool],
        answer: Callable[[int, bool], None],
        timeout: float,
    ) -> None:
        self._authenticate = authenticate
        self._answer = answer
        self._timeout = timeout
        # None has a thread end.
        self._pending: queue.SimpleQueue[_PendingLogin | None] = queue.SimpleQueue()
        self._threads = 0
        # Threads that wait for a question.
        self._idle = threading.Semaphore(0)

    def ask(self, token: int, request: LoginRequest) -> None:
        """Have a question answered, some time."""
        self._pending.put((time.monotonic() + self._timeout, token, request))
        if not self._idle.acquire(blocking=False) and self._threads < THREADS:
            self._threads += 1
            # A process does not wait for such a one to end, nor for a function that hangs.
            threading.Thread(target=self._run, name="chatproto-authenticate", daemon=True).start()

    def close(self) -> None:
        """Ask no more. What is being answered is not waited for."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._pending.get_nowait()
        for _ in range(self._threads):
            self._pending.put(None)

    def _run(self) -> None:
        while (login := self._pending.get()) is not None:
            until, token, request = login
            if time.monotonic() < until:
                self._answer(token, self._decide(request))
            self._idle.release()

    def _decide(self, request: LoginRequest) -> bool:
        try:
            return self._authenticate(request) is True
        except BaseException:
            # A bug there costs this login, and nobody else anything; an exit there no thread.
            logger.exception("authenticate failed for %r", request.name)
            return False
