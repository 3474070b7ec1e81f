"""A chat server from the standard library alone."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from ssl import SSLContext
from types import FrameType

from chatproto import Limits, LoginRequest, Policy

from ..sockets.addresses import DEFAULT_PORT
from ..sockets.driver import TICK, open_driver
from .authenticator import Authenticator


class Server:
    """A chat server on one thread.

    It listens as soon as it is made; nobody is answered before `run`.

    Args:
        host: The name or address to listen on.
        port: The TCP port; 0 for one that is free.
        unix: The path of a Unix socket to listen on instead.
        unix_mode: That socket's file mode; None for what the umask makes of it.
        sockets: Sockets that listen already, instead of all that; closed in the end.
        ssl: What to do TLS with; None for none. A context that asks for certificates binds LOGIN to
            them: a connection may have the DNS names and mail addresses among the subject's
            alternative names, or the common name if there are none of these.
        authenticate: Called, on a thread of its own, for each LOGIN: only True allows it. What it
            raises is logged and refuses that login, and so does `Limits.auth_timeout`.
        policy: The matters of taste.
        limits: What one connection may take, and all of them together.
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
        unix_mode: int | None = None,
        sockets: Sequence[socket.socket] = (),
        ssl: SSLContext | None = None,
        authenticate: Callable[[LoginRequest], bool] | None = None,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        notices: bool = True,
    ) -> None:
        self._driver = open_driver(
            host,
            port,
            unix=unix,
            unix_mode=unix_mode,
            sockets=sockets,
            ssl=ssl,
            policy=policy,
            limits=limits,
            notices=notices,
            ask=authenticate is not None,
        )
        self._authenticator = None
        if authenticate is not None:
            self._authenticator = Authenticator(
                authenticate, self._driver.answer, limits.auth_timeout
            )
            self._driver.ask = self._authenticator.ask
        self._stopping = False
        self.addresses = self._driver.addresses
        """Where it listens: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`."""

    def run(self) -> None:
        """Serve until `shutdown`, then end: tell everybody, write what is queued, close.

        The end takes `Limits.grace` and a second at the most.

        Raises:
            RuntimeError: It has run already, or is closed.
        """
        driver = self._driver
        driver.listen()
        try:
            while not self._stopping:
                driver.step(TICK)
            driver.drain()
            while driver.broker.connections:
                driver.step(TICK)
        finally:
            self.close()

    def shutdown(self) -> None:
        """Have `run` end. For other threads and for signal handlers; returns at once.

        A second call has the end wait for nobody.
        """
        if self._stopping:
            self._driver.abort()
        self._stopping = True
        self._driver.wake()

    def close(self) -> None:
        """Stop listening, if it never came to `run`, which does that itself."""
        self._driver.close()
        if self._authenticator is not None:
            self._authenticator.close()


def serve(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    unix: str | os.PathLike[str] | None = None,
    unix_mode: int | None = None,
    sockets: Sequence[socket.socket] = (),
    ssl: SSLContext | None = None,
    authenticate: Callable[[LoginRequest], bool] | None = None,
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
        unix_mode: That socket's file mode; None for what the umask makes of it.
        sockets: Sockets that listen already, instead of all that; closed in the end.
        ssl: What to do TLS with; None for none. A context that asks for certificates binds LOGIN to
            them: a connection may have the DNS names and mail addresses among the subject's
            alternative names, or the common name if there are none of these.
        authenticate: Called, on a thread of its own, for each LOGIN: only True allows it. What it
            raises is logged and refuses that login, and so does `Limits.auth_timeout`.
        policy: The matters of taste.
        limits: What one connection may take, and all of them together.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).

    Raises:
        OSError: It can't listen there.
        ValueError: There is no such port, or the path is empty.
    """
    server = Server(
        host,
        port,
        unix=unix,
        unix_mode=unix_mode,
        sockets=sockets,
        ssl=ssl,
        authenticate=authenticate,
        policy=policy,
        limits=limits,
        notices=notices,
    )
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
