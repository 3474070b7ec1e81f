"""Asking the application who may log in, on threads of its own."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from chatproto import LoginRequest

THREADS: Final = 8
"""The most questions that are being answered at once."""

logger: Final = logging.getLogger("chatproto.server")


class Authenticator:
    """Asks a plain function.

    Args:
        authenticate: The function; it may take its time.
        answer: Called on some thread with what the driver's question had as its token, and whether
            the login is allowed.
    """

    def __init__(
        self,
        authenticate: Callable[[LoginRequest], bool],
        answer: Callable[[int, bool], None],
    ) -> None:
        self._authenticate = authenticate
        self._answer = answer
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="chatproto-authenticate")

    def ask(self, token: int, request: LoginRequest) -> None:
        """Have a question answered, some time."""
        self._threads.submit(self._decide, token, request)

    def close(self) -> None:
        """Ask no more. What is being answered is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _decide(self, token: int, request: LoginRequest) -> None:
        try:
            allowed = self._authenticate(request) is True
        except Exception:
            # A bug there costs this login, and nobody else anything.
            logger.exception("authenticate failed for %r", request.name)
            allowed = False
        self._answer(token, allowed)
