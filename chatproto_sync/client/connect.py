"""Making a client."""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from chatproto import Backoff, ChatSession, LineLimits
from chatproto.client.reconnect import backoff_of

from ..sockets.addresses import DEFAULT_PORT, Endpoint, make_endpoint
from .client import Client
from .connection import ClientConnection
from .runtime import Runtime, current_runtime


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
    groups: bool = True,
    reconnect: Backoff | bool = False,
    heartbeat: float | None = None,
) -> AbstractContextManager[Client]:
    """Connect to a chat server and log in.

    Use it as `with connect("localhost", name="alice") as chat:`. The end of the block logs out; an
    exception in the block closes the connection at once. After that, another `with` for the same
    object makes a new client.

    Args:
        host: The server's name or address. Or a URL: `chat://chat.example:3333`, or
            `chats://chat.example` for TLS with the system's trusted CAs.
        port: Its TCP port, if the URL has none.
        name: The name to log in under.
        unix: The path of the server's Unix socket, instead of `host` and `port`.
        transport: A connected socket, instead of either. The client closes it.
        ssl: True for TLS with the system's trusted CAs, or a context.
        server_hostname: The name that the server's certificate must be for; `host` by default.
        timeout: The most seconds for connecting, login included, and later for each method except
            those that receive. None for no limit. It does not limit how long the system
            takes to resolve the host's name.
        max_queue: When this many messages wait to be received, nothing more is read until one is
            taken. One read of up to 64 KiB may exceed it.
        limits: Bounds on lines.
        groups: Whether to ask the server to say which group each message was sent to. Servers that
            do not know this request ignore it.
        reconnect: Whether, or how, to connect and log in again when the connection is lost. The
            methods that are called after the loss do that. The first connection is tried only once,
            unless `Backoff.at_start` is set. An error that further attempts cannot mend ends the
            attempts: see `Backoff`. Lines that were written just before a loss may be lost too.
        heartbeat: After this many seconds without anything from the server, the client sends itself
            a message. If nothing comes for as long again, the connection is lost. The client checks
            this while a method waits, and in each method that sends. None for no heartbeat: then
            the client does not notice a server that hangs.

    Returns:
        A context manager for the client. Entering it raises `ConnectionLostError` when no
        connection can be made, `LoginRefusedError`, `RemoteProtocolError` when the peer is not a
        chat server, `ChatTimeoutError`, or RuntimeError when it is entered already.

    Raises:
        LocalProtocolError: The name is not valid, or is reserved.
        TypeError: One of the arguments is of another type.
        ValueError: The arguments contradict each other.
    """
    endpoint = make_endpoint(host, port, unix, transport, ssl, server_hostname)
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
        endpoint: Endpoint[socket.socket],
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
        # Held from entering to the end of the block.
        self._entered = threading.Lock()
        self._is_used = False

    def __enter__(self) -> Client:
        if not self._entered.acquire(blocking=False):
            raise RuntimeError("this connection is in use: call connect again for a second one")
        try:
            if self._is_used and self._endpoint.transport is not None:
                raise RuntimeError("its transport is used up: call connect again with a new one")
            self._is_used = True
            session = self._make_session()
            connection = ClientConnection(
                session, self._endpoint, self._timeout, self._backoff, self._runtime
            )
            connection.open()
            self._client = Client(session, connection, self._timeout)
        except BaseException:
            self._entered.release()
            raise
        return self._client

    def __exit__(
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
                client.logout()
            else:
                client.close()
        finally:
            self._entered.release()

    if not TYPE_CHECKING:  # pragma: no branch - it is always true here
        # Type checkers find these mistakes without help.

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"there is no {name}, because connect() has not made a client yet:"
                " use `with connect(...) as chat`"
            )

        def __iter__(self) -> NoReturn:
            raise TypeError("there is no client yet: use `with connect(...) as chat`")

        def __aenter__(self) -> NoReturn:
            raise TypeError("use `with`, not `async with`; chatproto_anyio has an async client")

        __aexit__ = __aenter__
