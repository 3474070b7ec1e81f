"""Asking a function of the application who may log in, on threads of its own."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from chatproto import LoginRequest

THREADS: Final = 8
"""Most calls of the function at the same time."""

_PendingLogin: TypeAlias = tuple[float, int, LoginRequest]
"""The time after which nobody waits for the answer, the driver's token, and the request."""


class Authenticator:
    """Calls a function for each login, on up to `THREADS` threads.

    Args:
        authenticate: The function. It may block.
        answer: Called on one of the threads, with the token, whether the login is allowed, and what
            the function raised.
        timeout: Seconds after which nobody waits for an answer.
    """

    def __init__(
        self,
        authenticate: Callable[[LoginRequest], bool],
        answer: Callable[[int, bool, BaseException | None], None],
        timeout: float,
    ) -> None:
        self._authenticate = authenticate
        self._answer = answer
        self.timeout: float = timeout
        """Seconds after which nobody waits for an answer to a question that is asked from now."""
        # None ends a thread.
        self._pending: queue.SimpleQueue[_PendingLogin | None] = queue.SimpleQueue()
        self._threads = 0
        # Counts the threads that wait for a login.
        self._idle = threading.Semaphore(0)

    def ask(self, token: int, request: LoginRequest) -> None:
        """Have the function called for a login. Returns at once."""
        self._pending.put((time.monotonic() + self.timeout, token, request))
        if not self._idle.acquire(blocking=False) and self._threads < THREADS:
            self._threads += 1
            # A daemon, so that the process can exit while the function hangs.
            threading.Thread(target=self._run, name="chatproto-authenticate", daemon=True).start()

    def close(self) -> None:
        """Drop all logins that wait. Calls that have begun go on, and nobody waits for them."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._pending.get_nowait()
        for _ in range(self._threads):
            self._pending.put(None)

    def _run(self) -> None:
        while (login := self._pending.get()) is not None:
            until, token, request = login
            if time.monotonic() < until:
                try:
                    self._answer(token, self._authenticate(request) is True, None)
                except BaseException as error:  # noqa: BLE001 - logged
                    # A bug in the function refuses this login only, and an exit in it ends no
                    # thread.
                    self._answer(token, False, error)
            self._idle.release()
