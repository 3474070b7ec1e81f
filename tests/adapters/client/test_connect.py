"""`connect` in both packages: its arguments, and what it tries and raises when it can't connect."""

import contextlib
import errno
import os
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import (
    Backoff,
    ChatTimeoutError,
    ConnectionLostError,
    LocalProtocolError,
    Message,
)
from chatproto_sync.client import runtime, stream
from chatproto_sync.client.stream import SocketStream
from chatproto_sync.sockets.addresses import prepare

from ..clients import LONG, Connect, Listening, Peer, each_client, played, where
from ..servers import TIMEOUT

on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems refuse a connection where Linux is silent"
)


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
        (ValueError, {"host": "http://chat.example"}),
        (ValueError, {"host": "chat://chat.example", "unix": "/x"}),
        (ValueError, {"host": "chat://chat.example", "transport": ...}),
        (ValueError, {"host": "chat://chat.example:3334", "port": 3335}),
        (ValueError, {"host": "chat://chat.example", "ssl": True}),
    ],
    ids=repr,
)
def test_bad_arguments_are_refused_at_the_call(
    connect: Callable[..., object], error: type[Exception], options: dict[str, Any]
) -> None:
    with pytest.raises(error):
        connect(**{"name": "alice", **options})


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client_is_made_before_there_is_an_event_loop(
    server: Listening, backend: str
) -> None:
    context = chatproto_anyio.connect(**where(server), name="alice")

    async def chat() -> None:
        async with context as alice:
            await alice.send("alice", "hello")
            assert await alice.receive(TIMEOUT) == Message("alice", b"hello")

    anyio.run(chat, backend=backend)


# No connection


def refused(connect: Connect, **options: Any) -> ConnectionLostError:
    """The error of a `connect` that fails."""
    with pytest.raises(ConnectionLostError) as caught, connect(**options, name="alice"):
        pytest.fail("connected")
    assert caught.value.code == ""
    return caught.value


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what addresses each host has."""

    def resolve_to(*hosts: str) -> None:
        def resolve(_: object, port: int, *_args: object, **_options: object) -> list[Any]:
            if not hosts:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [
                (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
                for host in hosts
            ]

        # Event loops call it too.
        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    return resolve_to


@each_client
def test_no_server_listens(connect: Connect) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        error = refused(connect, host="127.0.0.1", port=port)
    assert str(error) == f"can't connect to 127.0.0.1:{port}: Connection refused"
    assert isinstance(error.__cause__, ConnectionRefusedError)


@each_client
def test_the_host_does_not_exist(connect: Connect, resolve_to: Callable[..., None]) -> None:
    resolve_to()
    error = refused(connect, host="chat.example")
    assert str(error) == "can't connect to chat.example:3333: Name or service not known"
    assert isinstance(error.__cause__, socket.gaierror)


@each_client
@pytest.mark.parametrize("host", ["a..b", "a" * 64], ids=["empty label", "long label"])
def test_the_host_cannot_exist(connect: Connect, host: str) -> None:
    error = refused(connect, host=host)
    assert str(error).startswith(f"can't connect to {host}:3333: ")
    assert isinstance(error.__cause__, OSError)


@each_client
def test_the_path_does_not_exist(tmp_path: Path, connect: Connect) -> None:
    error = refused(connect, unix=tmp_path / "none")
    assert str(error) == f"can't connect to unix:{tmp_path}/none: No such file or directory"
    assert isinstance(error.__cause__, FileNotFoundError)


@each_client
def test_the_given_socket_is_not_connected(connect: Connect) -> None:
    with socket.socket() as sock:
        assert isinstance(refused(connect, transport=sock).__cause__, OSError)
        assert sock.fileno() == -1


@on_linux
@each_client
def test_both_of_two_addresses_refuse(connect: Connect, resolve_to: Callable[..., None]) -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        other.bind(("127.0.0.2", port))
        resolve_to("127.0.0.1", "127.0.0.2")
        error = refused(connect, host="chat.example", port=port)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert str(error) == f"can't connect to chat.example:{port}: Connection refused"


@contextlib.contextmanager
def no_room(listener: socket.socket) -> Iterator[None]:
    """Fill the backlog of a listener, which is zero: it does not answer further connections."""
    address = listener.getsockname()
    with contextlib.ExitStack() as stack:
        # Linux takes one more than the backlog.
        stack.enter_context(socket.create_connection(address, TIMEOUT))
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(address)
        yield


@on_linux
@each_client
def test_the_first_of_two_addresses_is_silent(
    connect: Connect,
    server: Listening,
    resolve_to: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = SocketStream.wait
    limits: list[float | None] = []

    def wait_less(self: SocketStream, seconds: float | None) -> None:
        if not limits:
            # The test does not wait for as long as the sync client would.
            limits.append(seconds)
            raise ChatTimeoutError
        wait(self, seconds)

    port = where(server)["port"]
    with (
        socket.create_server(("127.0.0.2", port), backlog=0) as listener,
        no_room(listener),
    ):
        resolve_to("127.0.0.2", "127.0.0.1")
        monkeypatch.setattr(SocketStream, "wait", wait_less)
        with connect(host="chat.example", port=port, name="alice", timeout=TIMEOUT) as alice:
            alice.send("alice", "hello")
            assert alice.receive(TIMEOUT) == Message("alice", b"hello")
    # Half of the time is for the second address. AnyIO tries both at once, in its own way.
    if connect is chatproto_sync.connect:
        [limit] = limits
        assert limit is not None
        assert TIMEOUT / 2 - 5 < limit <= TIMEOUT / 2


@on_linux
def test_a_unix_socket_has_no_room(tmp_path: Path, made: list[socket.socket]) -> None:
    """The system does not report when there is room, so a client does not wait for it."""
    path = tmp_path / "chat"
    with (
        contextlib.ExitStack() as stack,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(str(path))
        listener.listen(0)
        error = 0
        while not error:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.setblocking(False)
            error = sock.connect_ex(str(path))
        assert error == errno.EAGAIN
        # A client that waits would get another error.
        with failing(SocketStream, "wait"):
            caught = refused(chatproto_sync.connect, unix=path, timeout=TIMEOUT)
    assert isinstance(caught.__cause__, BlockingIOError)
    assert caught.__cause__.errno == errno.EAGAIN
    assert str(caught) == f"can't connect to unix:{path}: {os.strerror(errno.EAGAIN)}"
    assert [sock.fileno() for sock in made] == [-1]


# No descriptors


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that sync clients use."""
    sockets: list[socket.socket] = []

    def note(sock: socket.socket) -> None:
        sockets.append(sock)
        prepare(sock)

    monkeypatch.setattr(stream, "prepare", note)
    return sockets


@contextlib.contextmanager
def failing(owner: object, name: str) -> Iterator[OSError]:
    """Make a function fail, as for want of descriptors; its error."""
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def fail(*_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, fail)
        yield error


@pytest.mark.parametrize(
    ("module", "name", "count"),
    [(socket, "socket", 0), (selectors, "DefaultSelector", 1)],
    ids=["socket", "selector"],
)
def test_no_descriptor_to_connect_with(
    made: list[socket.socket], module: ModuleType, name: str, count: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        with failing(module, name) as error:
            caught = refused(chatproto_sync.connect, host=host, port=port)
    assert caught.__cause__ is error
    assert str(caught).endswith(os.strerror(errno.EMFILE))
    assert [sock.fileno() for sock in made] == [-1] * count


def test_the_system_fails_to_wait(made: list[socket.socket]) -> None:
    with played(chatproto_sync.connect) as (alice, peer):
        with (
            failing(selectors.DefaultSelector, "select") as error,
            pytest.raises(ConnectionLostError) as caught,
        ):
            alice.receive(TIMEOUT)
        assert caught.value.__cause__ is error
        assert [sock.fileno() for sock in made] == [-1]
        assert peer.read_line() == b""


# Sync clients that are closed while they connect again


@contextlib.contextmanager
def let_in(
    listener: socket.socket,
) -> Iterator[tuple[chatproto_sync.Client, Peer]]:
    """A client that will connect again, and the server's end of its first connection."""
    listener.settimeout(TIMEOUT)
    host, port = listener.getsockname()

    def accept() -> Peer:
        peer = Peer(listener.accept()[0])
        peer.let_in()
        return peer

    with ThreadPoolExecutor() as pool:
        accepting = pool.submit(accept)
        with chatproto_sync.connect(
            host, port, name="alice", timeout=LONG, reconnect=Backoff(first=0.001)
        ) as client:
            with accepting.result() as peer:
                yield client, peer
            client.close()


@on_linux
def test_closing_ends_an_attempt_at_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting = threading.Event()
    watch = SocketStream.watch

    def note(self: SocketStream, events: int) -> None:
        watch(self, events)
        if events == selectors.EVENT_WRITE:
            connecting.set()

    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        ThreadPoolExecutor() as pool,
        let_in(listener) as (alice, peer),
        no_room(listener),
    ):
        monkeypatch.setattr(SocketStream, "watch", note)
        peer.close()
        receiving = pool.submit(alice.receive)
        assert connecting.wait(TIMEOUT)
        pool.submit(alice.close).result(TIMEOUT)
        with pytest.raises(LocalProtocolError, match="logged out"):
            receiving.result(TIMEOUT)


@pytest.mark.parametrize(
    ("module", "step"),
    [(runtime, "SocketStream"), (stream, "resolve")],
    ids=["before anything", "before there is a socket"],
)
def test_closing_as_an_attempt_begins_ends_it(
    monkeypatch: pytest.MonkeyPatch, made: list[socket.socket], module: ModuleType, step: str
) -> None:
    begun = threading.Event()
    closed = threading.Event()
    go_on = getattr(module, step)

    def linger(*args: object) -> Any:
        begun.set()
        assert closed.wait(TIMEOUT)
        return go_on(*args)

    with (
        # It does not answer, so a client that connects would wait.
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor() as pool,
        let_in(listener) as (alice, peer),
    ):
        monkeypatch.setattr(module, step, linger)
        peer.close()
        receiving = pool.submit(alice.receive)
        assert begun.wait(TIMEOUT)
        alice.close()
        closed.set()
        with pytest.raises(LocalProtocolError, match="logged out"):
            receiving.result(TIMEOUT)
        assert {sock.fileno() for sock in made} == {-1}
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
