"""Clients over everything that carries bytes: TCP, Unix sockets, TLS, what is connected already."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute, SocketStream, TaskStatus
from anyio.from_thread import start_blocking_portal
from anyio.streams.tls import TLSListener, TLSStream

import chatproto_anyio
import chatproto_sync
from chatproto import ChatTimeoutError, ConnectionLostError, Limits, LocalProtocolError, Message

from ..clients import BlockingClient, Connect, each_backend, each_client, played, where
from ..server.test_streams import memory_pair, serving
from ..servers import KINDS, TIMEOUT, Start, run_sync


@each_client
@pytest.mark.parametrize("start", KINDS.values(), ids=KINDS)
def test_every_client_chats_on_every_server(start: Start, connect: Connect) -> None:
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
def test_a_full_queue_holds_back_the_rest(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect, max_queue=5, timeout=1.0) as (alice, peer):
        peer.write(b"".join(b"CHAT/1.0 RECEIVE bob %d\n" % number for number in range(10)))
        assert alice.receive(TIMEOUT).text == "0"
        answered = pool.submit(peer.echo)
        # The answer is there, but nothing is read beyond what was read at once.
        with pytest.raises(ChatTimeoutError):
            alice.flush()
        answered.result()
        flushing = pool.submit(alice.flush)
        peer.echo()
        assert [alice.receive(TIMEOUT).text for _ in range(5)] == ["1", "2", "3", "4", "5"]
        flushing.result(TIMEOUT)
        assert [alice.receive(TIMEOUT).text for _ in range(4)] == ["6", "7", "8", "9"]


@pytest.mark.parametrize("connect", [chatproto_sync.connect, chatproto_anyio.connect])
@pytest.mark.parametrize(
    ("error", "options"),
    [
        (LocalProtocolError, {"name": "a b"}),
        (LocalProtocolError, {"name": "*server*"}),
        (ValueError, {"port": 65536}),
        (ValueError, {"port": -1}),
        (ValueError, {"max_queue": 0}),
        (ValueError, {"unix": ""}),
        (ValueError, {"server_hostname": "chat.example"}),
        (ValueError, {"unix": "/x", "ssl": True}),
        # An ellipsis stands for a transport: its repr, the test's id, is the same in every process.
        (ValueError, {"unix": "/x", "transport": ...}),
        (ValueError, {"reconnect": True, "transport": ...}),
    ],
    ids=repr,
)
def test_bad_arguments_are_refused_at_the_call(
    connect: Callable[..., object], error: type[Exception], options: dict[str, Any]
) -> None:
    with pytest.raises(error):
        connect(**{"name": "alice", **options})


def refuses(connect: Connect, **options: Any) -> ConnectionLostError:
    """What connecting fails with."""
    with pytest.raises(ConnectionLostError) as caught, connect(**options, name="alice"):
        pytest.fail("connected")
    assert caught.value.code == ""
    return caught.value


@each_client
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nobody_listens(connect: Connect, host: str) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        error = refuses(connect, host=host, port=port)
    assert str(error) == f"can't connect to {host}:{port}: Connection refused"
    assert isinstance(error.__cause__, ConnectionRefusedError)


@each_client
def test_there_is_no_such_host(connect: Connect) -> None:
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo("chat.invalid", 3333, type=socket.SOCK_STREAM)
    error = refuses(connect, host="chat.invalid")
    assert str(error) == f"can't connect to chat.invalid:3333: {caught.value.strerror}"
    assert isinstance(error.__cause__, socket.gaierror)


@each_client
@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_no_host_has_such_a_name(connect: Connect, host: str) -> None:
    error = refuses(connect, host=host)
    assert str(error).startswith(f"can't connect to {host}:3333: ")
    assert isinstance(error.__cause__, OSError)


@each_client
def test_there_is_no_such_path(tmp_path: Path, connect: Connect) -> None:
    error = refuses(connect, unix=tmp_path / "none")
    assert str(error) == f"can't connect to unix:{tmp_path}/none: No such file or directory"
    assert isinstance(error.__cause__, FileNotFoundError)


@each_client
def test_a_socket_without_a_peer(connect: Connect) -> None:
    with socket.socket() as sock:
        assert isinstance(refuses(connect, transport=sock).__cause__, OSError)
        assert sock.fileno() == -1


@each_client
def test_a_connected_socket_becomes_the_clients(connect: Connect) -> None:
    with run_sync(port=0) as server:
        sock = socket.create_connection(tuple(where(server).values()))
        with connect(transport=sock, name="alice") as alice:
            alice.send("alice", "hello")
            assert alice.receive(TIMEOUT) == Message("alice", b"hello")
        assert sock.fileno() == -1


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A TLS server's context and a client's."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    client = ssl.create_default_context()
    authority = trustme.CA()
    authority.issue_cert("chat.example", "127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def serve_tls(context: ssl.SSLContext, *, task_status: TaskStatus[int]) -> None:
    async with serving(limits=Limits(queue_bytes=1 << 24)) as (server, _):
        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with TLSListener(tcp, context, standard_compatible=False) as listener:
            task_status.started(tcp.extra(SocketAttribute.local_port))
            await listener.serve(server.serve_stream)


@pytest.fixture
def secure(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[dict[str, Any]]:
    """The parameters of `connect` for a server that speaks TLS."""
    with start_blocking_portal() as portal:
        future, port = portal.start_task(serve_tls, contexts[0])
        yield {"host": "127.0.0.1", "port": port, "ssl": contexts[1]}
        future.cancel()


@each_client
@pytest.mark.parametrize("hostname", [None, "chat.example"])
def test_tls(connect: Connect, secure: dict[str, Any], hostname: str | None) -> None:
    join = partial(connect, **secure, server_hostname=hostname)
    with join(name="alice") as alice, join(name="bob") as bob:
        alice.send("bob", "hello")
        assert bob.receive(TIMEOUT) == Message("alice", b"hello")
        bob.send("nobody", "?")
        assert bob.ping() > 0
        assert len(bob.take_notices()) == 1


@each_client
def test_tls_on_a_given_socket(connect: Connect, secure: dict[str, Any]) -> None:
    sock = socket.create_connection((secure["host"], secure["port"]))
    options = {"ssl": secure["ssl"], "server_hostname": "chat.example"}
    with connect(transport=sock, **options, name="alice") as alice:
        alice.send("alice", "hello")
        assert alice.receive(TIMEOUT) == Message("alice", b"hello")


@each_client
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"server_hostname": "other.example"}, "Hostname mismatch"),
        ({"ssl": True}, "unable to get local issuer certificate"),
    ],
    ids=["hostname", "authority"],
)
def test_a_certificate_that_does_not_do(
    connect: Connect, secure: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    error = refuses(connect, **{**secure, **options})
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    start = f"can't connect to 127.0.0.1:{secure['port']}: "
    assert str(error) == f"{start}{error.__cause__.strerror}"
    assert reason in str(error)


@each_client
def test_much_traffic_both_ways_over_tls(connect: Connect, secure: dict[str, Any]) -> None:
    lines = [b"%d %b" % (number, b"x" * 3000) for number in range(1000)]

    def send(client: BlockingClient, to: str) -> None:
        for line in lines:
            client.send(to, line)

    def receive(client: BlockingClient) -> None:
        assert [client.receive(TIMEOUT).data for _ in lines] == lines

    join = partial(connect, **secure)
    with join(name="alice") as alice, join(name="bob") as bob, ThreadPoolExecutor() as pool:
        working = [pool.submit(receive, client) for client in (alice, bob)]
        working += [pool.submit(send, alice, "bob"), pool.submit(send, bob, "alice")]
        for work in working:
            work.result()


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
async def tls_stream(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[ByteStream]:
    """A client's end of TLS that says goodbye, as it does unless told otherwise."""
    here, there = socket.socketpair()
    async with serving() as (server, tasks):

        async def serve() -> None:
            plain = await SocketStream.from_socket(there)
            stream = await TLSStream.wrap(plain, server_side=True, ssl_context=contexts[0])
            await server.serve_stream(stream)

        tasks.start_soon(serve)
        plain = await SocketStream.from_socket(here)
        yield await TLSStream.wrap(plain, hostname="chat.example", ssl_context=contexts[1])


@each_backend
async def test_a_stream_over_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with (
        tls_stream(contexts) as stream,
        chatproto_anyio.connect(transport=stream, name="alice") as alice,
    ):
        await alice.send("alice", "hello")
        assert await alice.receive() == Message("alice", b"hello")


@each_backend
async def test_a_stream_over_tls_is_closed_while_a_task_receives(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with (
        tls_stream(contexts) as stream,
        chatproto_anyio.connect(transport=stream, name="alice") as alice,
    ):

        async def listen() -> None:
            with pytest.raises(LocalProtocolError):
                await alice.receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            await alice.close()
