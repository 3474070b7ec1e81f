"""`chatproto_anyio.Server.serve_stream`, with the transports of byte streams."""

import math
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import anyio
import pytest
import trustme
from anyio.abc import ByteStream, SocketStream, TaskGroup, UNIXSocketStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from anyio.streams.tls import TLSStream

import chatproto_anyio
from chatproto import Limits, LoginRequest

from ..servers import TIMEOUT
from ..sockets.insides import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


class MemoryStream(ByteStream):
    """One end of a connection without a socket."""

    def __init__(
        self, send: MemoryObjectSendStream[bytes], receive: MemoryObjectReceiveStream[bytes]
    ) -> None:
        self.halves = send, receive
        self._send, self._receive = send, receive
        self._buffer = b""

    async def send(self, item: bytes) -> None:
        await self._send.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._buffer:
            self._buffer = await self._receive.receive()
        data, self._buffer = self._buffer[:max_bytes], self._buffer[max_bytes:]
        return data

    async def read_line(self) -> bytes:
        """The next line; nothing at the end."""
        line = b""
        while not line.endswith(b"\n"):
            try:
                line += await self.receive(1)
            except anyio.EndOfStream:
                break
        return line

    async def send_eof(self) -> None:
        self._send.close()

    async def aclose(self) -> None:
        self._send.close()
        self._receive.close()


@contextmanager
def memory_pair(capacity: float = math.inf) -> Iterator[tuple[MemoryStream, MemoryStream]]:
    """Both ends of a connection.

    Args:
        capacity: Chunks that it holds before `send` waits.
    """
    there, here = anyio.create_memory_object_stream[bytes](capacity)
    back, forth = anyio.create_memory_object_stream[bytes](capacity)
    with there, here, back, forth:
        yield MemoryStream(there, forth), MemoryStream(back, here)


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[tuple[chatproto_anyio.Server, TaskGroup]]:
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            server = await tasks.start(partial(chatproto_anyio.serve, port=0, **options))  # type: ignore[arg-type]
            yield server, tasks
            tasks.cancel_scope.cancel()


async def test_a_stream_chats_with_a_socket() -> None:
    with memory_pair() as (alice, theirs):
        async with serving() as (server, tasks):
            tasks.start_soon(server.serve_stream, theirs)
            host, _, port = server.addresses[0].rpartition(":")
            async with await anyio.connect_tcp(host, int(port)) as bob:
                await bob.send(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND bob ready\n")
                assert await bob.receive() == b"CHAT/1.0 RECEIVE bob ready\n"
                await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND bob hi\n")
                assert await bob.receive() == b"CHAT/1.0 RECEIVE alice hi\n"
                await bob.send(b"CHAT/1.0 SEND alice hello\n")
                assert await alice.read_line() == b"CHAT/1.0 RECEIVE bob hello\n"


async def test_returns_after_logout_with_the_stream_closed() -> None:
    with memory_pair() as (alice, theirs):
        async with serving() as (server, _):
            await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice bye\nCHAT/1.0 LOGOUT\n")
            await alice.send_eof()
            await server.serve_stream(theirs)
            assert await alice.read_line() == b"CHAT/1.0 RECEIVE alice bye\n"
            assert await alice.read_line() == b""


async def test_returns_after_the_end_of_the_stream() -> None:
    with memory_pair() as (alice, theirs):
        async with serving() as (server, _):
            await alice.send(b"half a line")
            await alice.send_eof()
            await server.serve_stream(theirs)
            assert b"ERR TRUNCATED" in await alice.read_line()
            assert await alice.read_line() == b""


async def alice_is_gone(server: chatproto_anyio.Server) -> bool:
    """Whether she is not logged in any more, and the server still serves others."""
    with memory_pair() as (bob, theirs):
        await bob.send(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND alice x\nCHAT/1.0 LOGOUT\n")
        await bob.send_eof()
        await server.serve_stream(theirs)
        return b"ERR NO_SUCH_USER" in await bob.read_line()


async def test_a_stream_that_breaks_ends_alone() -> None:
    with memory_pair() as (alice, theirs):
        async with serving() as (server, _):
            await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice x\n")
            await alice.aclose()
            await server.serve_stream(theirs)
            assert await alice_is_gone(server)


async def test_serve_stream_raises_the_exception_of_a_stream() -> None:
    """The server goes on."""

    class Buggy(MemoryStream):
        async def receive(self, max_bytes: int = 65536) -> bytes:
            if await super().receive(max_bytes) == b"bug":
                raise ZeroDivisionError
            return b"CHAT/1.0 LOGIN alice\n"

    with memory_pair() as (alice, theirs):
        async with serving() as (server, _):
            await alice.send(b"name")
            await alice.send(b"bug")
            with pytest.raises(ExceptionGroup) as caught:
                await server.serve_stream(Buggy(*theirs.halves))
            assert caught.group_contains(ZeroDivisionError)
            assert await alice_is_gone(server)


async def test_a_stalled_stream_is_closed_when_its_queue_is_too_old() -> None:
    """Until then, its senders wait; here alice sends to herself."""
    with memory_pair(0) as (alice, theirs):
        async with (
            serving(limits=Limits(queue_age=0.01)) as (server, _),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(server.serve_stream, theirs)
            await alice.send(b"CHAT/1.0 LOGIN alice\n")
            with pytest.raises(anyio.BrokenResourceError):
                await flood(alice)
        assert await alice.read_line() == b""


async def flood(stream: MemoryStream) -> None:
    while True:
        await stream.send(b"CHAT/1.0 SEND alice " + b"x" * 4000 + b"\n")


async def test_a_sender_waits_for_a_slow_stream_and_goes_on() -> None:
    lines = [b"%d %b\n" % (number, b"x" * 4000) for number in range(60)]
    with memory_pair() as (alice, theirs), memory_pair(0) as (bob, his):
        async with serving() as (server, tasks):
            tasks.start_soon(server.serve_stream, his)
            await bob.send(b"CHAT/1.0 LOGIN bob\n")
            tasks.start_soon(server.serve_stream, theirs)
            await alice.send(b"CHAT/1.0 LOGIN alice\n")
            # The server would let her go on after some time without a read.
            Clock(server)
            for line in lines:
                await alice.send(b"CHAT/1.0 SEND bob " + line)
            await anyio.wait_all_tasks_blocked()
            assert server.snapshot().waiting == 1
            for line in lines:
                assert await bob.read_line() == b"CHAT/1.0 RECEIVE alice " + line


async def test_the_credentials_of_a_unix_socket() -> None:
    requests: list[LoginRequest] = []

    async def authenticate(request: LoginRequest) -> bool:
        requests.append(request)
        return True

    here, there = socket.socketpair()
    async with (
        serving(authenticate=authenticate) as (server, _),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(server.serve_stream, await UNIXSocketStream.from_socket(there))
        async with await UNIXSocketStream.from_socket(here) as alice:
            await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice in\n")
            await alice.receive()
    [request] = requests
    assert request.credentials is not None
    assert request.credentials.pid == os.getpid()


async def test_cancelling_one_stream_ends_that_stream() -> None:
    with memory_pair() as (alice, theirs):
        async with serving() as (server, _):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.serve_stream, theirs)
                await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice x\n")
                await alice.read_line()
                tasks.cancel_scope.cancel()
            assert await alice.read_line() == b""
            assert await alice_is_gone(server)


async def test_the_shutdown_tells_streams() -> None:
    with memory_pair() as (alice, theirs):
        async with anyio.create_task_group() as tasks:
            async with serving(limits=Limits(close_timeout=0.01)) as (server, _):
                tasks.start_soon(server.serve_stream, theirs)
                await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice x\n")
                await alice.read_line()
            assert b"ERR SHUTTING_DOWN" in await alice.read_line()
            assert await alice.read_line() == b""


@pytest.mark.parametrize("error", [OSError, anyio.BrokenResourceError, anyio.ClosedResourceError])
async def test_a_stream_that_fails_to_close(error: type[Exception]) -> None:
    """TLS does when the connection is gone. `serve_stream` returns as usual."""

    class Rude(MemoryStream):
        async def aclose(self) -> None:
            await super().aclose()
            raise error

    with memory_pair() as (alice, theirs):
        async with serving() as (server, _):
            await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 LOGOUT\n")
            await alice.send_eof()
            await server.serve_stream(Rude(*theirs.halves))
            assert await alice_is_gone(server)


async def test_no_stream_is_served_after_the_end() -> None:
    with memory_pair() as (_, theirs):
        async with serving() as (server, _):
            pass
        with pytest.raises(RuntimeError, match="has ended"):
            await server.serve_stream(theirs)


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The context of a server, and that of a client."""
    authority = trustme.CA()
    server, client = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("chat.example").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@pytest.mark.parametrize("end", ["logout", "fin", "rst", "garbage"])
async def test_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext], end: str) -> None:
    """However a TLS connection ends, `serve_stream` returns as usual."""
    here, there = socket.socketpair()
    async with serving() as (server, _), anyio.create_task_group() as tasks:

        async def serve() -> None:
            plain = await SocketStream.from_socket(there)
            stream = await TLSStream.wrap(plain, server_side=True, ssl_context=tls[0])
            await server.serve_stream(stream)

        tasks.start_soon(serve)
        plain = await SocketStream.from_socket(here)
        alice = await TLSStream.wrap(plain, hostname="chat.example", ssl_context=tls[1])
        await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n")
        assert await alice.receive() == b"CHAT/1.0 RECEIVE alice hi\n"
        if end == "logout":
            await alice.send(b"CHAT/1.0 LOGOUT\n")
            with pytest.raises(anyio.EndOfStream):
                await alice.receive()
        elif end == "garbage":
            await plain.send(b"this is no TLS record")
        elif end == "rst":
            here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await plain.aclose()
