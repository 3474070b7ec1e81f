"""Clients over each kind of transport: `stream` in chatproto_sync, `streams` in chatproto_anyio.

TLS has a file of its own.
"""

import os
import socket
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream

import chatproto_anyio
from chatproto import LocalProtocolError, Message
from chatproto_anyio.streams import SendRoom

from ..clients import Connect, each_backend, each_client, played, times_out, where
from ..server.test_streams import memory_pair, serving
from ..servers import KINDS, TIMEOUT, Start, run_sync
from .scripted import contexts


@each_client
@pytest.mark.parametrize("start", KINDS.values(), ids=KINDS)
def test_each_client_chats_on_each_server(start: Start, connect: Connect) -> None:
    with (
        start(port=0) as server,
        connect(**where(server), name="alice") as alice,
        connect(**where(server), name="bob") as bob,
    ):
        alice.send("bob", "hello")
        assert bob.receive(TIMEOUT) == Message("alice", b"hello")
        bob.send("nobody", "")
        bob.flush()
        assert [notice.code for notice in bob.take_notices()] == ["NO_SUCH_USER"]


@each_client
def test_unix_sockets(tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "chat"
    with (
        run_sync(unix=path) as server,
        connect(unix=path, name="alice") as alice,
        connect(**where(server), name="bob") as bob,
    ):
        alice.send("bob", "hello")
        assert bob.receive(TIMEOUT) == Message("alice", b"hello")


@each_client
def test_a_connected_socket_becomes_the_clients(connect: Connect) -> None:
    with run_sync(port=0) as server:
        sock = socket.create_connection(tuple(where(server).values()))
        with connect(transport=sock, name="alice") as alice:
            alice.send("alice", "hello")
            assert alice.receive(TIMEOUT) == Message("alice", b"hello")
        assert sock.fileno() == -1


@each_client
def test_nothing_is_read_while_the_queue_is_full(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect, max_queue=5) as (alice, peer):
        peer.write(b"".join(b"CHAT/1.0 RECEIVE bob %d\n" % number for number in range(10)))
        assert alice.receive(TIMEOUT).text == "0"
        # The echo arrives, but the client reads no more than it has read at once.
        times_out(alice, alice.flush, peer.echo)
        flushing = pool.submit(alice.flush)
        peer.echo()
        assert [alice.receive(TIMEOUT).text for _ in range(5)] == ["1", "2", "3", "4", "5"]
        flushing.result(TIMEOUT)
        assert [alice.receive(TIMEOUT).text for _ in range(4)] == ["6", "7", "8", "9"]


# AnyIO byte streams


@each_backend
async def test_a_stream_in_memory() -> None:
    with memory_pair() as (here, there):
        async with serving() as (server, tasks):
            tasks.start_soon(server.serve_stream, there)
            async with chatproto_anyio.connect(transport=here, name="alice") as alice:
                await alice.send("alice", "hello")
                assert await alice.receive() == Message("alice", b"hello")
            assert await there.read_line() == b""


@asynccontextmanager
async def tls_stream() -> AsyncIterator[ByteStream]:
    """A client's end of a TLS stream that exchanges close_notify, which is AnyIO's default."""
    here, there = socket.socketpair()
    async with serving() as (server, tasks):

        async def serve() -> None:
            plain = await SocketStream.from_socket(there)
            stream = await TLSStream.wrap(plain, server_side=True, ssl_context=contexts()[0])
            await server.serve_stream(stream)

        tasks.start_soon(serve)
        plain = await SocketStream.from_socket(here)
        yield await TLSStream.wrap(plain, hostname="chat.example", ssl_context=contexts()[1])


@each_backend
async def test_a_tls_stream() -> None:
    async with (
        tls_stream() as stream,
        chatproto_anyio.connect(transport=stream, name="alice") as alice,
    ):
        await alice.send("alice", "hello")
        assert await alice.receive() == Message("alice", b"hello")


@each_backend
async def test_a_tls_stream_is_closed_while_a_task_receives() -> None:
    async with (
        tls_stream() as stream,
        chatproto_anyio.connect(transport=stream, name="alice") as alice,
    ):

        async def receive() -> None:
            with pytest.raises(LocalProtocolError):
                await alice.receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await alice.close()


# Whether there is room to send


def connected(family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets with small buffers."""
    if family == socket.AF_UNIX:
        here, there = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            here = socket.create_connection(listener.getsockname())
            there, _ = listener.accept()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return here, there


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is never known")
@each_backend
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["TCP", "Unix"])
async def test_a_whole_line_is_taken_when_there_is_room(family: socket.AddressFamily) -> None:
    here, there = connected(family)
    with there:
        async with await SocketStream.from_socket(here) as stream:
            room = SendRoom(stream)
            assert not room.takes(1 << 20)
            for _ in range(100):
                while room.takes(4096):
                    assert os.write(here.fileno(), bytes(4096)) == 4096
                assert there.recv(1000)


@each_backend
async def test_whether_there_is_room_is_not_known() -> None:
    with memory_pair() as (memory, _):
        assert not SendRoom(memory).takes(1)
    here, there = socket.socketpair()
    with there:
        stream = await SocketStream.from_socket(here)
        await stream.aclose()
        assert not SendRoom(stream).takes(1)
