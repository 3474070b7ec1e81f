"""Making a client."""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from ssl import SSLContext
from typing import Any, Literal, overload

from chatproto import Backoff, ChatSession, LineLimits, Message, Reconnected

from ..sockets.addresses import DEFAULT_PORT, make_endpoint
from .client import Client
from .connection import ClientConnection
from .deadline import Deadline


@overload
def connect(
    host: str = ...,
    port: int = ...,
    *,
    name: str,
    unix: str | os.PathLike[str] | None = ...,
    transport: socket.socket | None = ...,
    ssl: SSLContext | bool = ...,
    server_hostname: str | None = ...,
    timeout: float | None = ...,
    max_queue: int = ...,
    limits: LineLimits = ...,
    reconnect: Literal[False] = ...,
) -> AbstractContextManager[Client[Message]]: ...


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
) -> AbstractContextManager[Client[Message | Reconnected]]: ...


def connect(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    name: str,
    unix: str | os.PathLike[str] | None = None,
    transport: socket.socket | None = None,
    ssl: SSLContext | bool = False,
    server_hostname: str | None = None,
    timeout: float | None = 30.0,
    max_queue: int = 1024,
    limits: LineLimits = LineLimits(),
    reconnect: Backoff | bool = False,
) -> AbstractContextManager[Client[Any]]:
    """Connect to a chat server and log in.

    Use it as `with connect("localhost", name="alice") as chat:`. The end of the block logs out; an
    exception in the block closes the connection at once.

    Args:
        host: The server's name or address.
        port: Its TCP port.
        name: The name to log in under.
        unix: The path of the server's Unix socket, instead of `host` and `port`.
        transport: A connected socket, instead of either. The client closes it.
        ssl: True for TLS with the system's trusted CAs, or a context.
        server_hostname: The name that the server's certificate must be for; `host` by default.
        timeout: Seconds that connecting may take, login included, and then each method that does
            not receive. None for no limit. It does not limit how long the system takes to resolve
            the host's name.
        max_queue: When this many messages wait to be received, nothing more is read until one is
            taken. One read of up to 64 KiB may exceed it.
        limits: Bounds on lines.
        reconnect: Whether, or how, to connect and log in again when the connection is lost. The
            methods that are called then do that. The first connection is tried only once, and what
            can't get better ends it: see `Backoff`. What was written just before a loss may be lost
            too.

    Returns:
        A context manager for the client. Entering it raises `ConnectionLostError` when no
        connection can be made, `LoginRefusedError`, `RemoteProtocolError` when what answers is not
        a chat server, or `ChatTimeoutError`.

    Raises:
        LocalProtocolError: The name is not valid, or is reserved.
        ValueError: The arguments contradict each other.
    """
    endpoint = make_endpoint(host, port, unix, transport, ssl, server_hostname)
    if reconnect and transport is not None:
        raise ValueError("a transport can't be connected again")
    session = ChatSession(name, _new_token, limits=limits, max_queue=max_queue)
    backoff = Backoff() if reconnect is True else reconnect or None
    connection = ClientConnection(session, endpoint, timeout, backoff)
    return _connected(connection, Client(session, connection, timeout), timeout)


def _new_token() -> bytes:
    return secrets.token_hex(16).encode()


@contextlib.contextmanager
def _connected(
    connection: ClientConnection, client: Client[Any], timeout: float | None
) -> Iterator[Client[Any]]:
    connection.log_in(Deadline(timeout))
    try:
        yield client
    except BaseException:
        client.close()
        raise
    client.logout()
