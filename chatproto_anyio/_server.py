"""A chat server for asyncio and trio."""

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ssl import SSLContext

import anyio
from anyio.abc import ByteStream, SocketStream, TaskGroup, TaskStatus
from anyio.streams.tls import TLSStream

from chatproto import Limits, LoginRequest, Policy
from chatproto_sync._addresses import DEFAULT_PORT, prepare
from chatproto_sync._driver import PAUSE, TICK, logger, open_driver

from ._driver import StreamCarrier
from ._streams import GONE


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
        self._ssl = ssl
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
        driver.listen(accept=driver.takes_sockets)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tick)

                def ask(token: int, request: LoginRequest) -> None:
                    tasks.start_soon(self._decide, token, request)

                driver.ask = ask
                if not driver.takes_sockets:
                    for listener in driver.listeners.sockets:
                        tasks.start_soon(self._accept, listener, tasks)
                task_status.started(self)
                try:
                    while True:
                        await anyio.wait_readable(driver)
                        driver.step(0)
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._drain()
        finally:
            driver.close()

    def abandon(self) -> None:
        """Have the end wait for nobody, once `run` is cancelled."""
        self._driver.abandon()

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
        await StreamCarrier(self._driver, stream).run()

    async def _decide(self, token: int, request: LoginRequest) -> None:
        assert self._authenticate is not None  # noqa: S101 - or nobody would be asked
        allowed = False
        with anyio.move_on_after(self._limits.auth_timeout):
            try:
                allowed = await self._authenticate(request) is True
            except Exception:  # noqa: BLE001 - it is logged
                # A bug there costs this login, and nobody else anything.
                logger.exception("authenticate failed for %r", request.name)
        self._driver.answer(token, allowed)

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(TICK)
            self._driver.tick()
            self._driver.settle()

    async def _drain(self) -> None:
        self._driver.drain()
        while self._driver.broker.connections:
            with anyio.move_on_after(TICK):
                await anyio.wait_readable(self._driver)
            self._driver.step(0)

    async def _accept(self, listener: socket.socket, tasks: TaskGroup) -> None:
        """Where the selector has no descriptor: a task for each connection instead."""
        failing = False
        while True:
            await anyio.wait_readable(listener)
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                # That one is gone; the next may not be.
                continue
            except OSError as error:
                if not failing:
                    logger.warning("can't accept connections, will go on trying: %s", error)
                failing = True
                await anyio.sleep(PAUSE)
            else:
                failing = False
                tasks.start_soon(self._serve_socket, sock)

    async def _serve_socket(self, sock: socket.socket) -> None:
        try:
            prepare(sock)
            stream: ByteStream = await SocketStream.from_socket(sock)
        except (OSError, ValueError):
            # The peer has gone again; AnyIO's word for that is ValueError.
            sock.close()
            return
        if self._ssl is not None:
            secured = await self._shake_hands(stream, self._ssl)
            if secured is None:
                return
            stream = secured
        # Cancelling the server ends its connections by draining them.
        with anyio.CancelScope(shield=True):
            await self.serve_stream(stream)

    async def _shake_hands(self, stream: ByteStream, context: SSLContext) -> ByteStream | None:
        with anyio.move_on_after(self._limits.handshake_timeout):
            try:
                return await TLSStream.wrap(
                    stream, server_side=True, ssl_context=context, standard_compatible=False
                )
            except (*GONE, anyio.EndOfStream):
                # As with any connection that comes and goes.
                pass
        await anyio.aclose_forcefully(stream)
        return None


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
