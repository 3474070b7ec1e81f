"""Clients that can't connect at once: what they try, what they say of it, what wakes them."""

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
from chatproto import Backoff, ConnectionLostError, LocalProtocolError, Message, Reconnected
from chatproto_sync.client import connection, stream
from chatproto_sync.client.deadline import Deadline
from chatproto_sync.sockets.addresses import prepare

from ..clients import Connect, Peer, each_client, played, where
from ..servers import TIMEOUT, Running
from .test_client_transports import refuses

PROMPTLY = 5.0
"""Seconds; far more than is needed, and far less than what is waited for."""

on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems refuse where this one keeps silent"
)


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
def no_descriptors(module: ModuleType, name: str) -> Iterator[OSError]:
    """Something that takes a descriptor finds none; how it says so."""
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def fail(*_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, fail)
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
        with no_descriptors(module, name) as error:
            caught = refuses(chatproto_sync.connect, host=host, port=port)
    assert caught.__cause__ is error
    assert str(caught).endswith(os.strerror(errno.EMFILE))
    assert [sock.fileno() for sock in made] == [-1] * count


def test_no_descriptor_to_receive_with(made: list[socket.socket]) -> None:
    with played(chatproto_sync.connect) as (alice, peer):
        with (
            no_descriptors(selectors, "DefaultSelector") as error,
            pytest.raises(ConnectionLostError) as caught,
        ):
            alice.receive(TIMEOUT)
        assert caught.value.__cause__ is error
        assert [sock.fileno() for sock in made] == [-1]
        assert peer.read_line() == b""


@contextlib.contextmanager
def let_in(
    listener: socket.socket,
) -> Iterator[tuple[chatproto_sync.Client[Message | Reconnected], Peer]]:
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
            host, port, name="alice", timeout=TIMEOUT, reconnect=Backoff(first=0.001)
        ) as client:
            with accepting.result() as peer:
                yield client, peer
            client.close()


@contextlib.contextmanager
def no_room(listener: socket.socket) -> Iterator[None]:
    """Who connects to this listener, which has a backlog of zero, hears nothing."""
    address = listener.getsockname()
    with contextlib.ExitStack() as stack:
        # That is one more than zero already.
        stack.enter_context(socket.create_connection(address, TIMEOUT))
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(address)
        yield


@on_linux
def test_closing_wakes_who_connects_to_somebody_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting = threading.Event()
    wait = stream._wait

    def note(sock: socket.socket, events: int, deadline: Deadline) -> None:
        if events == selectors.EVENT_WRITE:
            connecting.set()
        wait(sock, events, deadline)

    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        ThreadPoolExecutor() as pool,
        let_in(listener) as (alice, peer),
        no_room(listener),
    ):
        monkeypatch.setattr(stream, "_wait", note)
        peer.close()
        receiving = pool.submit(alice.receive)
        assert connecting.wait(TIMEOUT)
        pool.submit(alice.close).result(PROMPTLY)
        with pytest.raises(LocalProtocolError, match="logged out"):
            receiving.result(PROMPTLY)


@pytest.mark.parametrize(
    ("module", "step"),
    [(connection, "SocketStream"), (stream, "resolve")],
    ids=["before anything", "before there is a socket"],
)
def test_closing_just_as_an_attempt_begins_ends_it(
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
        # Whoever connects waits there for an answer.
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
            receiving.result(PROMPTLY)
        assert {sock.fileno() for sock in made} == {-1}
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@on_linux
def test_a_unix_socket_has_no_room(tmp_path: Path, made: list[socket.socket]) -> None:
    """Nothing says when there is, so asking again and again would be all that is left."""
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
        # Who waits for room would get another error than this one.
        with no_descriptors(selectors, "DefaultSelector"):
            caught = refuses(chatproto_sync.connect, unix=path, timeout=PROMPTLY)
    assert isinstance(caught.__cause__, BlockingIOError)
    assert caught.__cause__.errno == errno.EAGAIN
    assert str(caught) == f"can't connect to unix:{path}: {os.strerror(errno.EAGAIN)}"
    assert [sock.fileno() for sock in made] == [-1]


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what addresses every host has."""

    def resolve_to(*hosts: str) -> None:
        def resolve(_: object, port: int, *_args: object, **_options: object) -> list[Any]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
                for host in hosts
            ]

        # Event loops ask it too.
        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    return resolve_to


@on_linux
@each_client
def test_the_first_of_two_addresses_is_silent(
    connect: Connect, server: Running, resolve_to: Callable[..., None]
) -> None:
    port = where(server)["port"]
    with (
        socket.create_server(("127.0.0.2", port), backlog=0) as listener,
        no_room(listener),
    ):
        resolve_to("127.0.0.2", "127.0.0.1")
        # The first one gets half of it at the most.
        with connect(host="chat.example", port=port, name="alice", timeout=3.0) as alice:
            alice.send("alice", "hello")
            assert alice.receive(TIMEOUT) == Message("alice", b"hello")


@on_linux
@each_client
def test_both_of_two_addresses_refuse(connect: Connect, resolve_to: Callable[..., None]) -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        other.bind(("127.0.0.2", port))
        resolve_to("127.0.0.1", "127.0.0.2")
        error = refuses(connect, host="chat.example", port=port)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert str(error) == f"can't connect to chat.example:{port}: Connection refused"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_client_is_made_before_there_is_an_event_loop(server: Running, backend: str) -> None:
    context = chatproto_anyio.connect(**where(server), name="alice")

    async def chat() -> None:
        async with context as alice:
            await alice.send("alice", "hello")
            assert await alice.receive(TIMEOUT) == Message("alice", b"hello")

    anyio.run(chat, backend=backend)
