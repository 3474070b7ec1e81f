"""Accepting connections, and pausing when that fails."""

import logging
import socket
from collections.abc import Callable
from math import inf
from typing import Any, Final

from .poller import READ, Poller

ACCEPT_BATCH: Final = 16
"""Most connections accepted at once, before the existing ones are served."""

ACCEPT_PAUSE: Final = 1.0
"""Seconds without accepting after that failed for lack of a resource."""

WARNING_PAUSE: Final = 60.0
"""Seconds between two warnings about that, at least."""

logger: Final = logging.getLogger("chatproto.server")


class Acceptor:
    """Accepts the connections of one listening socket.

    Args:
        listener: The socket, non-blocking. The caller closes it.
        poller: What waits for connections.
        clock: Returns seconds that do not run backwards.
        take_on: Called with each new socket and its peer's address.
    """

    def __init__(
        self,
        listener: socket.socket,
        poller: Poller[Any],
        clock: Callable[[], float],
        take_on: Callable[[socket.socket, Any], None],
    ) -> None:
        self._listener = listener
        self._poller = poller
        self._clock = clock
        self._take_on = take_on
        self._paused_until: float | None = None
        self._warn_at = -inf
        _keep_urgent_data(listener)
        self._watch()

    def ready(self, _events: int) -> None:
        """Accept the connections that have arrived."""
        for _ in range(ACCEPT_BATCH):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                # This connection is gone; the next one may not be.
                continue
            except OSError as error:
                # Probably out of descriptors or memory. The connection still waits, so trying
                # again at once would be a busy loop.
                self._pause(error)
                return
            if sock.family == socket.AF_UNIX:
                # Sockets of other families have inherited the option from the listener.
                _keep_urgent_data(sock)
            self._take_on(sock, address)

    def tick(self, now: float) -> None:
        """Accept again if a pause is over."""
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self._watch()

    def close(self) -> None:
        """Accept no more."""
        if self._paused_until is None:
            self._poller.unregister(self._listener)

    def _watch(self) -> None:
        self._poller.register(self._listener, READ, self)

    def _pause(self, error: OSError) -> None:
        self._poller.unregister(self._listener)
        now = self._clock()
        self._paused_until = now + ACCEPT_PAUSE
        if now >= self._warn_at:
            # Not each time: the log must not fill a disk.
            self._warn_at = now + WARNING_PAUSE
            logger.warning("can't accept connections, trying again every second: %s", error)


def _keep_urgent_data(sock: socket.socket) -> None:
    """Keep urgent data at their place in the stream (RFC 6093, section 3.4).

    Otherwise a read skips one byte of them, and so changes the line that the byte is in.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
