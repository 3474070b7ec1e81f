"""How a client is made."""

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from ssl import SSLContext
from typing import Any, Literal, overload

from chatproto import Backoff, ChatSession, Limits, Message, Reconnected

from ..sockets.addresses import DEFAULT_PORT, make_endpoint
from .client import Client
from .connection import Link
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
    limits: Limits = ...,
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
    limits: Limits = ...,
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
    limits: Limits = Limits(),
    reconnect: Backoff | bool = False,
) -> AbstractContextManager[Client[Any]]:
    """Connect to a chat server and log in.

    Use it as `with connect("localhost", name="alice") as chat:`. The end of the block logs out; an
    exception from it closes at once.

    Args:
        host: The server's name or address.
        port: Its TCP port.
        name: Who to log in as.
        unix: The path of the server's Unix socket, instead of `host` and `port`.
        transport: A socket that is connected already, instead of either. The client closes it.
        ssl: True for TLS as browsers do it, or a context that says how.
        server_hostname: Whose certificate to expect; the `host`, unless said.
        timeout: Seconds that connecting may take, login included, and then every method but those
            that receive. None for as long as it takes. How long it takes to resolve the host's name
            is up to the system.
        max_queue: When so many messages wait to be received, nothing more is read until one is.
            What is read at once, 64 KiB, comes on top.
        limits: `max_line` and `bad_lines` are the ones that count here.
        reconnect: Whether to connect and log in again when the connection is lost, and how. That
            happens when a method is called, the first connection is tried only once, and what can't
            get better ends it: see `Backoff`. What was written just before a loss may be lost too.

    Returns:
        A context manager for the client. Entering it raises `ConnectionLostError` when there is no
        connection to be had, `LoginRefusedError`, `RemoteProtocolError` when it is no chat server
        that answers, or `ChatTimeoutError`.

    Raises:
        LocalProtocolError: The name is none, or reserved.
        ValueError: The arguments contradict each other.
    """
    endpoint = make_endpoint(host, port, unix, transport, ssl, server_hostname)
    if reconnect and transport is not None:
        raise ValueError("a transport can't be connected again")
    session = ChatSession(name, limits=limits, max_queue=max_queue)
    backoff = Backoff() if reconnect is True else reconnect or None
    link = Link(session, endpoint, timeout, backoff)
    return _connected(link, Client(session, link, timeout), timeout)


@contextlib.contextmanager
def _connected(link: Link, client: Client[Any], timeout: float | None) -> Iterator[Client[Any]]:
    link.log_in(Deadline(timeout))
    try:
        yield client
    except BaseException:
        client.close()
        raise
    client.logout()
