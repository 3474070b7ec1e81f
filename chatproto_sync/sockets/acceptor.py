"""Taking connections on, and backing off when that fails."""

import logging
import socket
from typing import TYPE_CHECKING, Final

from .poller import READ

if TYPE_CHECKING:
    from .driver import Driver

ACCEPT_BATCH: Final = 64
"""The most connections taken on before those that are there have their turn."""

ACCEPT_PAUSE: Final = 1.0
"""Seconds without accepting after that has failed for want of something."""

logger: Final = logging.getLogger("chatproto.server")


class Acceptor:
    """A socket that connections come from.

    Args:
        driver: Who takes them on.
        listener: The socket, non-blocking.
    """

    def __init__(self, driver: "Driver", listener: socket.socket) -> None:
        self._driver = driver
        self._socket = listener
        self._paused_until: float | None = None
        self._failing = False
        self.watch()

    def ready(self, _events: int) -> None:
        """Take on those that have come."""
        for _ in range(ACCEPT_BATCH):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                # That one is gone; the next may not be.
                continue
            except OSError as error:
                # Out of descriptors or memory, most likely. The connection is still waiting, so
                # asking again at once would be a busy loop.
                self._pause(error)
                return
            self._failing = False
            self._driver.take_on(sock, address)

    def tick(self, now: float) -> None:
        """Go on after a pause."""
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self.watch()

    def close(self) -> None:
        """Accept no more."""
        if self._paused_until is None:
            self._driver.poller.unregister(self._socket)

    def watch(self) -> None:
        """Have the driver's poller tell of connections."""
        self._driver.poller.register(self._socket, READ, self)

    def _pause(self, error: OSError) -> None:
        self._driver.poller.unregister(self._socket)
        self._paused_until = self._driver.now() + ACCEPT_PAUSE
        if not self._failing:
            # Once, not once a second: a full disk of logs would be the next failure.
            logger.warning("can't accept connections, will go on trying: %s", error)
        self._failing = True
