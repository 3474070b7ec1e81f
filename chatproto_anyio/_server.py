"""A chat server for asyncio and trio."""

import os
import socket
from functools import partial

import anyio
from anyio.abc import ByteStream, SocketStream, TaskGroup, TaskStatus

from chatproto import ChatBroker, Limits, Policy
from chatproto_sync._addresses import DEFAULT_PORT, prepare
from chatproto_sync._carrier import Carrier
from chatproto_sync._driver import PAUSE, TICK, Driver, logger
from chatproto_sync._listeners import open_listeners

from ._driver import StreamCarrier


class Server:
    """A chat server on an event loop.

    It listens as soon as it is made; nobody is answered before `run`. Making one looks up `host`
    and waits for that, so inside a running loop use `serve`.

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
        broker: ChatBroker[Carrier] = ChatBroker(policy=policy, limits=limits, notices=notices)
        self._driver = Driver(broker, open_listeners(host, port, unix))
        self.addresses = self._driver.addresses
        """Where it listens: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`."""

    async def run(self, *, task_status: TaskStatus["Server"] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, then end: tell everybody, write what is queued, close.

        The end takes `Limits.linger`, `Limits.goodbye` and a second at the most, shielded from the
        cancellation that causes it.

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
                if not driver.takes_sockets:
                    for listener in driver.listeners:
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
            stream = await SocketStream.from_socket(sock)
        except (OSError, ValueError):
            # The peer has gone again; AnyIO's word for that is ValueError.
            sock.close()
            return
        # Cancelling the server ends its connections by draining them.
        with anyio.CancelScope(shield=True):
            await self.serve_stream(stream)


async def serve(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    unix: str | os.PathLike[str] | None = None,
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
        policy: The matters of taste.
        limits: What one connection may take.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).
        task_status: Told the `Server` when it accepts connections:
            `server = await task_group.start(serve)`.

    Raises:
        OSError: It can't listen there.
        ValueError: There is no such port, or the path is empty.
    """
    make = partial(Server, host, port, unix=unix, policy=policy, limits=limits, notices=notices)
    server = await anyio.to_thread.run_sync(make)
    await server.run(task_status=task_status)
