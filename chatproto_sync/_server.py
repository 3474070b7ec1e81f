"""A chat server from the standard library alone."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

from chatproto import ChatBroker, Limits, Policy

from ._driver import TICK, Carrier, Driver, logger
from ._listeners import close_listeners, describe, open_listeners

DEFAULT_PORT: Final = 3333
"""Where CHAT servers listen."""


class Server:
    """A chat server on one thread.

    It listens as soon as it is made; nobody is answered before `run`.

    Args:
        host: The name or address to listen on.
        port: The TCP port; 0 for one that is free.
        unix: The path of a Unix socket to listen on instead.
        policy: The matters of taste.
        limits: What one connection may take.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).

    Raises:
        OSError: It can't listen there.
        ValueError: There is no such port, or the path is empty.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        unix: str | os.PathLike[str] | None = None,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        notices: bool = True,
    ) -> None:
        self._listeners = open_listeners(host, port, unix)
        self._broker: ChatBroker[Carrier] = ChatBroker(
            policy=policy, limits=limits, notices=notices
        )
        self._driver = Driver(self._broker)
        self._stopping = False
        self._abandoning = False
        self._closed = False

        self.addresses = [describe(each.getsockname(), each.family) for each in self._listeners]
        """Where it listens: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`."""

    def run(self) -> None:
        """Serve until `shutdown`, then end: tell everybody, write what is queued, close.

        The end takes `Limits.linger`, `Limits.goodbye` and a second at the most.

        Raises:
            RuntimeError: It has run already, or is closed.
        """
        if self._closed:
            raise RuntimeError("a server runs once")
        driver, broker = self._driver, self._broker
        try:
            driver.listen(self._listeners)
            logger.info("listening on %s", ", ".join(self.addresses))
            while not self._stopping:
                driver.step(TICK)
            driver.drain()
            while broker.connections:
                if self._abandoning:
                    broker.abandon()
                    driver.settle()
                driver.step(TICK)
        finally:
            self.close()

    def shutdown(self) -> None:
        """Have `run` end. For other threads and for signal handlers; returns at once.

        A second call has the end wait for nobody.
        """
        self._abandoning = self._stopping
        self._stopping = True
        self._driver.wake()

    def close(self) -> None:
        """Stop listening and drop every connection. `run` does it at its end; otherwise call it."""
        if not self._closed:
            self._closed = True
            self._driver.close()
            close_listeners(self._listeners)


def serve(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    unix: str | os.PathLike[str] | None = None,
    policy: Policy = Policy(),
    limits: Limits = Limits(),
    notices: bool = True,
) -> None:
    """Run a chat server until SIGINT or SIGTERM, and end it in good order.

    In the main thread it takes these two signals for as long as it runs; elsewhere there are no
    signals to be had, and a `Server` with its `shutdown` is what you want.

    Args:
        host: The name or address to listen on.
        port: The TCP port; 0 for one that is free, which the log tells.
        unix: The path of a Unix socket to listen on instead.
        policy: The matters of taste.
        limits: What one connection may take.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).

    Raises:
        OSError: It can't listen there.
        ValueError: There is no such port, or the path is empty.
    """
    server = Server(host, port, unix=unix, policy=policy, limits=limits, notices=notices)
    with shutdown_on_signals(server):
        server.run()


@contextlib.contextmanager
def shutdown_on_signals(server: Server) -> Iterator[None]:
    """Have SIGINT and SIGTERM shut a server down. Does nothing outside the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.shutdown()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None stands for one that was not set from Python, which can't be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
