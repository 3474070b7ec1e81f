"""Each kind of server, running beside the test, and a client that is only a socket."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any, Protocol, Self

from anyio.from_thread import start_blocking_portal

import chatproto_anyio
import chatproto_sync
from chatproto import Counters, Limits, Policy

TIMEOUT = 20.0
"""Seconds after which a test that waits for a server fails. None should take that long."""


class Running(Protocol):
    """What both `Server` classes have."""

    @property
    def addresses(self) -> list[str]: ...
    def snapshot(self) -> Counters: ...
    def reconfigure(
        self,
        *,
        policy: Policy | None = ...,
        limits: Limits | None = ...,
        notices: bool | None = ...,
    ) -> None: ...
    def on_tick(self, function: Callable[[], None]) -> None: ...


Start = Callable[..., AbstractContextManager[Running]]
"""Takes the parameters of `Server`. The server shuts down at the end of the context."""


@contextlib.contextmanager
def run_sync(**options: Any) -> Iterator[chatproto_sync.Server]:
    server = chatproto_sync.Server(**options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(TIMEOUT)
        assert not thread.is_alive()


@contextlib.contextmanager
def run_async(backend: str, **options: Any) -> Iterator[chatproto_anyio.Server]:
    with start_blocking_portal(backend) as portal:
        future, server = portal.start_task(partial(chatproto_anyio.serve, **options))
        try:
            yield server
        finally:
            future.cancel()


KINDS: dict[str, Start] = {
    "sync": run_sync,
    "asyncio": partial(run_async, "asyncio"),
    "trio": partial(run_async, "trio"),
}


class SocketClient:
    """A client that uses none of the code under test."""

    def __init__(self, address: str) -> None:
        kind, _, path = address.partition(":")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(TIMEOUT)
            self.socket.connect(path)
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host.strip("[]"), int(port)), TIMEOUT)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Write all. It may take long, but not without getting on."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.socket.send(rest) :]

    def end(self) -> None:
        """Write no more (FIN). The server may have closed already."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Cut the connection (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def read_line(self) -> bytes:
        """The next line with its LF; nothing at the end."""
        try:
            return self._reader.readline()
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def login(self, name: str) -> None:
        """Log in, and wait until the server has executed that."""
        self.write(b"CHAT/1.0 LOGIN %b\n" % name.encode())
        self.flush(name)

    def flush(self, name: str) -> None:
        """Wait until the server has executed all that was written. Nothing else may arrive."""
        line = b"%b flush\n" % name.encode()
        self.write(b"CHAT/1.0 SEND " + line)
        assert self.read_line() == b"CHAT/1.0 RECEIVE " + line


@contextlib.contextmanager
def clients(address: str, *names: str) -> Iterator[list[SocketClient]]:
    """Clients that have logged in."""
    with ExitStack() as stack:
        found = [stack.enter_context(SocketClient(address)) for _ in names]
        for client, name in zip(found, names, strict=True):
            client.login(name)
        yield found


def in_thread(function: Callable[..., object], *args: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def reserved_port() -> int:
    """A port that the system gives nobody for a while, unless it is asked for by number.

    Such is a port after the server has closed a connection on it (RFC 9293, TIME-WAIT).
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), TIMEOUT) as client,
    ):
        listener.accept()[0].close()
        assert client.recv(1) == b""
        port: int = listener.getsockname()[1]
        return port
