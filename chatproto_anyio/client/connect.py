"""Making a client."""

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ssl import SSLContext
from typing import Any, Literal, overload

from anyio.abc import ByteStream

from chatproto import Backoff, ChatSession, LineLimits, Message, Reconnected
from chatproto_sync.sockets.addresses import DEFAULT_PORT, Endpoint, make_endpoint

from .client import Client
from .connection import ClientConnection
from .time_limit import time_limit


@overload
def connect(
    host: str = ...,
    port: int = ...,
    *,
    name: str,
    unix: str | os.PathLike[str] | None = ...,
    transport: socket.socket | ByteStream | None = ...,
    ssl: SSLContext | bool = ...,
    server_hostname: str | None = ...,
    timeout: float | None = ...,
    max_queue: int = ...,
    limits: LineLimits = ...,
    reconnect: Literal[False] = ...,
) -> AbstractAsyncContextManager[Client[Message]]: ...


@overload
def connect(
    host: str = ...,
    port: int = ...,
    *,
    name: str,
    unix: str | os.PathLike[str] | None = ...,
    transport: None = ...,
    ssl: SSLContext | bool = ...,
    server_hostname: str | None = ...,
    timeout: float | None = ...,
    max_queue: int = ...,
    limits: LineLimits = ...,
    reconnect: Backoff | bool,
) -> AbstractAsyncContextManager[Client[Message | Reconnected]]: ...


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
    reconnect: Backoff | bool = False,
) -> AbstractAsyncContextManager[Client[Any]]:
    """Connect to a chat server and log in.

    Use it as `async with connect("localhost", name="alice") as chat:`. The end of the block logs
    out; an exception in the block, or its cancellation, closes the connection at once.

    The parameters, the result and the exceptions are those of `chatproto_sync.connect`, with two
    differences: `transport` may also be an AnyIO byte stream, and `timeout` also limits how long it
    takes to resolve the host's name.
    """
    endpoint: Endpoint[socket.socket | ByteStream] = make_endpoint(
        host, port, unix, transport, ssl, server_hostname
    )
    if reconnect and transport is not None:
        raise ValueError("a transport can't be connected again")
    session = ChatSession(name, _new_token, limits=limits, max_queue=max_queue)
    backoff = Backoff() if reconnect is True else reconnect or None
    connection = ClientConnection(session, endpoint, timeout, backoff)
    return _connected(connection, Client(session, connection, timeout), timeout)


def _new_token() -> bytes:
    return secrets.token_hex(16).encode()


@asynccontextmanager
async def _connected(
    connection: ClientConnection, client: Client[Any], timeout: float | None
) -> AsyncIterator[Client[Any]]:
    with time_limit(timeout):
        await connection.log_in()
    try:
        yield client
    except BaseException:
        await client.close()
        raise
    await client.logout()
