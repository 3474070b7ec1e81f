"""A chat server for asyncio and trio."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ssl import SSLContext

import anyio
from anyio.abc import ByteStream, TaskStatus
from anyio.lowlevel import checkpoint_if_cancelled, current_token

from chatproto import Limits, LoginRequest, Policy
from chatproto_sync.sockets.addresses import DEFAULT_PORT
from chatproto_sync.sockets.driver import TICK, Driver, logger, open_driver

from .stream_transport import StreamTransport


class Server:
    """A chat server on an event loop.

    It listens as soon as it is made; nobody is answered before `run`. Making one looks up `host`
    and waits for that, so inside a running loop use `serve`.

    Args:
        host: The name or address to listen on.
        port: The TCP port; 0 for one that is free.
        unix: The path of a Unix socket to listen on instead.
        unix_mode: That socket's file mode; None for what the umask makes of it.
        sockets: Sockets that listen already, instead of all that; closed in the end.
        ssl: What to do TLS with; None for none. A context that asks for certificates binds LOGIN to
            them: a connection may have the DNS names and mail addresses among the subject's
            alternative names, or the common name if there are none of these.
        authenticate: Awaited for each LOGIN: only True allows it. What it raises is
            logged and refuses that login, and so does `Limits.auth_timeout`.
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
        authenticate: Callable[[LoginRequest], Awaitable[bool]] | None = None,
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
        self._authenticate = authenticate
        self._limits = limits
        self.addresses = self._driver.addresses
        """Where it listens: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`."""

    async def run(self, *, task_status: TaskStatus["Server"] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, then end: tell everybody, write what is queued, close.

        The end takes `Limits.grace` and a second at the most, shielded from the cancellation that
        causes it.

        Args:
            task_status: Told this server when it accepts connections.

        Raises:
            RuntimeError: It has run already, or is closed.
        """
        driver = self._driver
        driver.listen()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tick)

                def ask(token: int, request: LoginRequest) -> None:
                    tasks.start_soon(self._decide, token, request)

                driver.ask = ask
                task_status.started(self)
                try:
                    await _drive(driver, until=lambda: False)
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._drain()
        finally:
            driver.close()

    def abort(self) -> None:
        """Have the end wait for nobody, once `run` is cancelled."""
        self._driver.abort()

    def close(self) -> None:
        """Stop listening, if it never came to `run`, which does that itself."""
        self._driver.close()

    async def serve_stream(self, stream: ByteStream) -> None:
        """Serve one connection that somebody else has made, while `run` runs.

        It chats with those on the server's own sockets. Returns when the connection has ended;
        the stream is closed then.

        Args:
            stream: TLS, a WebSocket's adapter, memory: anything that carries bytes.

        Raises:
            RuntimeError: The server has ended.
        """
        if self._driver.closed:
            raise RuntimeError("the server has ended")
        await StreamTransport(self._driver, stream).run()

    async def _decide(self, token: int, request: LoginRequest) -> None:
        assert self._authenticate is not None  # noqa: S101 - or nobody would be asked
        allowed = False
        with anyio.move_on_after(self._limits.auth_timeout):
            try:
                allowed = await self._authenticate(request) is True
            except (Exception, anyio.get_cancelled_exc_class()) as error:  # noqa: BLE001 - logged
                if not isinstance(error, Exception):
                    # Goes on if it was not this task that was cancelled, but one it waited for.
                    await checkpoint_if_cancelled()
                # A bug there costs this login, and nobody else anything.
                logger.exception("authenticate failed for %r", request.name)
        self._driver.answer(token, allowed)

    async def _tick(self) -> None:
        driver = self._driver
        while True:
            before = driver.now()
            await anyio.sleep(TICK)
            driver.note_lag(driver.now() - before - TICK)
            driver.wake()

    async def _drain(self) -> None:
        driver = self._driver
        driver.drain()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tick)
            await _drive(driver, until=lambda: not driver.broker.connections)
            tasks.cancel_scope.cancel()


async def serve(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    unix: str | os.PathLike[str] | None = None,
    unix_mode: int | None = None,
    sockets: Sequence[socket.socket] = (),
    ssl: SSLContext | None = None,
    authenticate: Callable[[LoginRequest], Awaitable[bool]] | None = None,
    policy: Policy = Policy(),
    limits: Limits = Limits(),
    notices: bool = True,
    task_status: TaskStatus[Server] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Run a chat server until cancelled, and end it in good order.

    Signals are the application's: cancel the scope around this when one comes. The command
    `chatproto serve` does that for SIGINT and SIGTERM.

    Args:
        host: The name or address to listen on.
        port: The TCP port; 0 for one that is free, which the log tells.
        unix: The path of a Unix socket to listen on instead.
        unix_mode: That socket's file mode; None for what the umask makes of it.
        sockets: Sockets that listen already, instead of all that; closed in the end.
        ssl: What to do TLS with; None for none. A context that asks for certificates binds LOGIN to
            them: a connection may have the DNS names and mail addresses among the subject's
            alternative names, or the common name if there are none of these.
        authenticate: Awaited for each LOGIN: only True allows it. What it raises is
            logged and refuses that login, and so does `Limits.auth_timeout`.
        policy: The matters of taste.
        limits: What one connection may take, and all of them together.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).
        task_status: Told the `Server` when it accepts connections:
            `server = await task_group.start(serve)`.

    Raises:
        OSError: It can't listen there.
        ValueError: There is no such port, or the path is empty.
    """
    make = partial(
        Server,
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
    server = await anyio.to_thread.run_sync(make)
    await server.run(task_status=task_status)


async def _drive(driver: Driver, until: Callable[[], bool]) -> None:
    """Call `step` whenever the driver's descriptor is readable.

    Args:
        driver: The driver.
        until: Says whether to return; called first, and after each `step`.
    """
    loop = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        await _drive_by_callback(driver, until, loop)
        return
    while not until():
        await anyio.wait_readable(driver.fileno())
        driver.step(0)


async def _drive_by_callback(
    driver: Driver, until: Callable[[], bool], loop: asyncio.AbstractEventLoop
) -> None:
    """The same for asyncio.

    There, AnyIO's `wait_readable` adds the descriptor to the loop and removes it each time, and for
    that Linux looks at every socket behind the descriptor.
    """
    if until():
        return
    over = loop.create_future()

    def step() -> None:
        if over.done():
            # The task that waits for `over` has not run yet.
            return
        try:
            driver.step(0)
            if until():
                over.set_result(None)
        except Exception as error:  # noqa: BLE001 - the waiting task raises it
            over.set_exception(error)

    fd = driver.fileno()
    loop.add_reader(fd, step)
    try:
        await over
    finally:
        loop.remove_reader(fd)
