"""Making a client."""

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from anyio.abc import ByteStream

from chatproto import Backoff, ChatSession, LineLimits
from chatproto.client.reconnect import backoff_of
from chatproto_sync.sockets.addresses import DEFAULT_PORT, Endpoint, make_endpoint

from .client import Client
from .connection import ClientConnection
from .runtime import Runtime, current_runtime


def connect(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    name: str,
    unix: str | os.PathLike[str] | None = None,
    transport: socket.socket | ByteStream | None = None,
    ssl: SSLContext | bool = False,
    server_hostname: str | None = None,
    timeout: float | None = 30.0,
    max_queue: int = 1024,
    limits: LineLimits = LineLimits(),
    groups: bool = True,
    reconnect: Backoff | bool = False,
    heartbeat: float | None = None,
) -> AbstractAsyncContextManager[Client]:
    """Connect to a chat server and log in.

    Use it as `async with connect("localhost", name="alice") as chat:`. The end of the block logs
    out; an exception in the block, or its cancellation, closes the connection at once. After that,
    another `async with` for the same object makes a new client.

    The parameters, the result and the exceptions are those of `chatproto_sync.connect`, with two
    differences: `transport` may also be an AnyIO byte stream, and `timeout` also limits how long it
    takes to resolve the host's name.
    """
    endpoint: Endpoint[socket.socket | ByteStream] = make_endpoint(
        host, port, unix, transport, ssl, server_hostname
    )
    if reconnect and transport is not None:
        raise ValueError("a transport can't be connected again")
    make_session = partial(
        ChatSession,
        name,
        _new_token,
        limits=limits,
        max_queue=max_queue,
        groups=groups,
        heartbeat=heartbeat,
    )
    # Wrong arguments raise now, not when the block is entered.
    make_session()
    backoff = backoff_of(reconnect)
    return _Connecting(make_session, endpoint, timeout, backoff, current_runtime())


def _new_token() -> bytes:
    return secrets.token_hex(16).encode()


class _Connecting:
    """What `connect` returns: makes a client each time that it is entered."""

    def __init__(
        self,
        make_session: Callable[[], ChatSession],
        endpoint: Endpoint[socket.socket | ByteStream],
        timeout: float | None,
        backoff: Backoff | None,
        runtime: Runtime,
    ) -> None:
        self._make_session = make_session
        self._endpoint = endpoint
        self._timeout = timeout
        self._backoff = backoff
        self._runtime = runtime
        self._client: Client | None = None
        # True from entering to the end of the block.
        self._is_entered = False
        self._is_used = False

    async def __aenter__(self) -> Client:
        if self._is_entered:
            raise RuntimeError("this connection is in use: call connect again for a second one")
        self._is_entered = True
        try:
            if self._is_used and self._endpoint.transport is not None:
                raise RuntimeError("its transport is used up: call connect again with a new one")
            self._is_used = True
            session = self._make_session()
            connection = ClientConnection(
                session, self._endpoint, self._timeout, self._backoff, self._runtime
            )
            await connection.open()
            self._client = Client(session, connection, self._timeout)
        except BaseException:
            self._is_entered = False
            raise
        return self._client

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is None:
            raise RuntimeError("this connection was not entered")
        try:
            if exc_type is None:
                await client.logout()
            else:
                await client.close()
        finally:
            self._is_entered = False

    if not TYPE_CHECKING:  # pragma: no branch - it is always true here
        # Type checkers find these mistakes without help.

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"there is no {name}, because connect() has not made a client yet:"
                " use `async with connect(...) as chat`"
            )

        def __aiter__(self) -> NoReturn:
            raise TypeError("there is no client yet: use `async with connect(...) as chat`")

        def __enter__(self) -> NoReturn:
            raise TypeError("use `async with`, not `with`; chatproto_sync has a blocking client")

        __exit__ = __enter__
