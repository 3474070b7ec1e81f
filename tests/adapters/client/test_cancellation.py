"""chatproto_anyio.client: tasks that are cancelled while a client waits, on asyncio and trio."""

import socket
from functools import partial

import anyio
import anyio.to_thread
import pytest

import chatproto_anyio
from chatproto import ConnectionLostError, Message

from ..clients import (
    DATA,
    LINE,
    Peer,
    assert_no_line_follows_half_a_one,
    cancel,
    each_backend,
    playing,
)

Client = chatproto_anyio.Client


async def fill_in_tasks(client: Client, enough: anyio.Event) -> None:
    while not enough.is_set():
        await client.send("bob", DATA)


@each_backend
@pytest.mark.parametrize("method", ["receive", "receive_notice", "flush", "ping", "groups"])
async def test_cancelled_while_it_waits_it_changes_nothing(method: str) -> None:
    async with playing() as (alice, peer):
        await cancel(getattr(alice, method))
        # An answer that comes too late is no message, and nor is a ping.
        if method == "groups":
            assert peer.read_line() == b"SEND *groups* list\n"
            peer.say("*groups*", b"list tea")
            peer.echo()
        if method in ("flush", "ping"):
            peer.echo()
        await alice.send("bob", "hi")
        assert peer.read_line() == b"SEND bob hi\n"
        peer.say("bob", b"hello")
        assert await alice.receive() == Message("bob", b"hello")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(alice.flush)
            await anyio.to_thread.run_sync(peer.echo)
        assert alice.take_notices() == []


@each_backend
async def test_cancelled_while_a_login_is_undecided_it_is_closed() -> None:
    async with playing() as (alice, peer):
        await cancel(alice.login, "alicia")
        with pytest.raises(ConnectionLostError, match="who this client is"):
            await alice.send("bob", "hi")
        assert alice.name == "alice"
        assert peer.read_line() == b"LOGIN alicia\n"
        assert peer.read_line().startswith(b"SEND alicia ")
        assert peer.read_line() == b""


@each_backend
async def test_cancelled_while_it_reads_another_task_reads_on() -> None:
    scopes = anyio.CancelScope(), anyio.CancelScope()
    messages: list[Message] = []

    async def receive(alice: Client, scope: anyio.CancelScope) -> None:
        with scope:
            messages.append(await alice.receive())

    async with playing() as (alice, peer), anyio.create_task_group() as tasks:
        for scope in scopes:
            tasks.start_soon(receive, alice, scope)
            await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        peer.say("bob", b"hi")
    assert messages == [Message("bob", b"hi")]


@each_backend
async def test_cancelled_while_it_writes_it_is_closed() -> None:
    async with playing() as (alice, peer):
        await cancel(fill_in_tasks, alice, anyio.Event())
        for use in (alice.flush, alice.receive, partial(alice.send, "bob", "hi")):
            with pytest.raises(ConnectionLostError, match="could not be finished"):
                await use()
        await anyio.to_thread.run_sync(assert_no_line_follows_half_a_one, peer)


@each_backend
async def test_cancelled_while_it_waits_for_the_write_lock_it_has_sent_nothing() -> None:
    async with playing() as (alice, peer), anyio.create_task_group() as tasks:
        enough = anyio.Event()
        tasks.start_soon(fill_in_tasks, alice, enough)
        await anyio.wait_all_tasks_blocked()
        for call in (partial(alice.send, "bob", "hi"), alice.flush, partial(alice.login, "bob")):
            await cancel(call)
        tasks.start_soon(alice.send, "bob", "hello")
        enough.set()
        lines = iter(peer.read_line, b"SEND bob hello\n")
        assert set(await anyio.to_thread.run_sync(list, lines)) == {LINE}


@each_backend
@pytest.mark.parametrize("tls", [False, True], ids=["login", "handshake"])
async def test_cancelled_while_it_connects_it_is_closed(tls: bool) -> None:
    here, there = socket.socketpair()
    context = chatproto_anyio.connect(
        transport=here, name="alice", ssl=tls, server_hostname="chat.example" if tls else None
    )
    with Peer(there):
        await cancel(context.__aenter__)
        assert here.fileno() == -1


@each_backend
async def test_cancelled_while_it_logs_out_it_is_closed() -> None:
    here, there = socket.socketpair()
    with Peer(there) as peer:
        context = chatproto_anyio.connect(transport=here, name="alice")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, peer.let_in)
            await context.__aenter__()
        await cancel(context.__aexit__, None, None, None)
        assert peer.read_line() == b"LOGOUT\n"
        assert here.fileno() == -1
