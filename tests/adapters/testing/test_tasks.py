"""`MemoryServer` with clients on asyncio and trio."""

import math

import anyio
import anyio.lowlevel
import pytest

import chatproto_anyio
from chatproto import (
    Backoff,
    ChatTimeoutError,
    CloseReason,
    ConnectionLostError,
    ErrorCode,
    Limits,
    LocalProtocolError,
    LoginRefusedError,
    Message,
    Reconnected,
)
from chatproto.testing import MemoryServer
from chatproto_anyio import Client
from chatproto_anyio.testing import clock
from chatproto_sync.sockets.addresses import make_endpoint

from ..clients import each_backend


async def echo(chat: Client) -> None:
    """A bot."""
    async for message in chat:
        if message.sender != chat.name:
            await chat.reply(message, message.data)


async def fill(chat: Client) -> None:
    """Send more to bob than all buffers hold."""
    for _ in range(100):
        await chat.send("bob", "x" * 3000)


@each_backend
async def test_clients_chat() -> None:
    server = MemoryServer()
    async with (
        server.connect_async(name="alice") as alice,
        server.connect_async("chat://chat.example", name="bob") as bob,
    ):
        assert server.names == ["alice", "bob"]
        await alice.group("tea", ["alice", "bob"])
        await alice.broadcast("tea", "hi")
        assert await bob.receive() == Message("alice", b"hi", group="tea")
        assert await alice.ping() == 0.0
    assert (server.names, server.now) == ([], 0.0)


@each_backend
async def test_a_timeout_takes_no_time() -> None:
    server = MemoryServer()
    async with server.connect_async(name="alice") as alice:
        for seconds in (0.0, 7.3):
            with pytest.raises(ChatTimeoutError, match=rf"^it took longer than {seconds:g} s$"):
                await alice.receive(timeout=seconds)
        assert server.now == 7.3
        await alice.send("alice", "hi")
        assert (await alice.receive(timeout=0)).text == "hi"
        await alice.send("alice", "hi")
        assert (await alice.receive(timeout=math.inf)).text == "hi"
        assert server.now == 7.3


@each_backend
async def test_bots_go_on_as_the_clock_moves() -> None:
    async def remind(chat: Client) -> None:
        while True:
            with pytest.raises(ChatTimeoutError):
                await chat.receive(timeout=60)
            await chat.send("alice", f"{chat.name}: it is {server.now:g}")

    server = MemoryServer()
    async with (
        anyio.create_task_group() as tasks,
        server.connect_async(name="alice") as alice,
        server.connect_async(name="bob") as bob,
        server.connect_async(name="carol") as carol,
    ):
        tasks.start_soon(remind, bob)
        await server.advance_async(10)
        tasks.start_soon(remind, carol)
        await server.advance_async(130)
        assert [(await alice.receive(timeout=0)).text for _ in range(4)] == [
            "bob: it is 60",
            "carol: it is 70",
            "bob: it is 120",
            "carol: it is 130",
        ]
        tasks.cancel_scope.cancel()


@each_backend
async def test_a_bot_sleeps_on_the_clock_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    server = MemoryServer()
    monkeypatch.setattr(anyio, "sleep", server.advance_async)

    async def remind(chat: Client) -> None:
        while True:
            await anyio.sleep(60)
            await chat.send("alice", f"it is {server.now:g}")

    async with (
        anyio.create_task_group() as tasks,
        server.connect_async(name="alice") as alice,
        server.connect_async(name="bot") as bot,
    ):
        tasks.start_soon(remind, bot)
        assert [(await alice.receive()).text for _ in range(2)] == ["it is 60", "it is 120"]
        with pytest.raises(ChatTimeoutError):
            await alice.receive(timeout=59)
        assert (await alice.receive(timeout=2)).text == "it is 180"
        tasks.cancel_scope.cancel()


@each_backend
async def test_a_bot_comes_back_after_a_restart() -> None:
    async def main() -> None:
        async with chatproto_anyio.connect("chat.example", name="echo", reconnect=True) as chat:
            await echo(chat)

    server = MemoryServer()
    with server.installed():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(main)
            await server.advance_async(0)
            assert server.names == ["echo"]
            for text in ("one", "two"):
                async with server.connect_async(name="alice") as alice:
                    await alice.send("echo", text)
                    assert (await alice.receive(timeout=5)).text == text
                server.restart()
                assert server.names == []
                await server.advance_async(1)
            tasks.cancel_scope.cancel()
    assert server.now == 2.0


@each_backend
async def test_a_server_that_is_down() -> None:
    server = MemoryServer()
    async with server.connect_async(name="alice", reconnect=Backoff(first=2)) as alice:
        server.stop()
        with pytest.raises(ConnectionLostError) as caught:
            async with server.connect_async(name="bob"):
                pass
        assert str(caught.value) == "can't connect to 127.0.0.1:3333: Connection refused"
        with pytest.raises(ChatTimeoutError):
            await alice.receive(timeout=20)
        assert alice.take_notices()[0].code == ErrorCode.SHUTTING_DOWN
        server.start()
        server.refuse("bob")
        with pytest.raises(LoginRefusedError):
            async with server.connect_async(name="bob"):
                pass
        # The wait for the next attempt moves the clock too, because the send has a timeout.
        await alice.send("alice", "again")
        while not isinstance(await alice.receive_item(), Reconnected):
            pass
        assert (await alice.receive()).text == "again"


@each_backend
async def test_a_connection_is_lost() -> None:
    server = MemoryServer()
    async with (
        server.connect_async(name="alice") as alice,
        server.connect_async(name="bob") as bob,
        anyio.create_task_group() as tasks,
    ):

        async def lose() -> None:
            await server.advance_async(3)
            server.lose("bob")

        tasks.start_soon(lose)
        with pytest.raises(
            ConnectionLostError, match=r"^the connection is lost: Connection reset by peer$"
        ):
            await bob.receive()
        await alice.flush()
        assert server.names == ["alice"]


@each_backend
async def test_clients_have_their_heartbeats() -> None:
    server = MemoryServer()
    async with server.connect_async(name="alice", heartbeat=10) as alice:
        with pytest.raises(ChatTimeoutError):
            await alice.receive(timeout=95)
        server.set_speed("alice", 0)
        with pytest.raises(ConnectionLostError, match="the server does not answer: nothing has"):
            await alice.receive(timeout=100)
        # After ten seconds of silence it has asked, and then it has waited ten more.
        assert server.now == 110.0


@each_backend
async def test_a_slow_client_holds_those_who_write_to_it() -> None:
    server = MemoryServer(limits=Limits(high_water=4096))
    async with (
        server.connect_async(name="alice", timeout=2) as alice,
        server.connect_async(name="bob"),
    ):
        server.set_speed("bob", 20_000)
        with pytest.raises(ChatTimeoutError):
            await fill(alice)
        assert 2 <= server.now < 10
        server.set_speed("bob", 0)
        await server.advance_async(30)
        assert server.log[-1].reason == CloseReason.SLOW_CONSUMER


@each_backend
async def test_a_client_is_closed_while_it_receives() -> None:
    server = MemoryServer()
    async with server.connect_async(name="alice") as alice, anyio.create_task_group() as tasks:

        async def close() -> None:
            await server.advance_async(3)
            await alice.close()

        tasks.start_soon(close)
        with pytest.raises(LocalProtocolError, match="logged out"):
            await alice.receive()
    assert server.names == []


@each_backend
@pytest.mark.parametrize("by_advance", [True, False])
async def test_bots_that_never_wait_end_the_test(
    monkeypatch: pytest.MonkeyPatch, by_advance: bool
) -> None:
    monkeypatch.setattr(clock, "_TURNS_MAX", 200)
    server = MemoryServer()
    async with (
        server.connect_async(name="alice", timeout=None) as alice,
        server.connect_async(name="ping", timeout=None) as ping,
        server.connect_async(name="pong", timeout=None) as pong,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(echo, ping)
        tasks.start_soon(echo, pong)
        await ping.send("pong", "hi")
        wait = server.advance_async(1) if by_advance else alice.receive(timeout=1)
        with pytest.raises(RuntimeError, match="without end"):
            await wait
        tasks.cancel_scope.cancel()


@each_backend
async def test_the_clock_stands_while_a_task_works() -> None:
    """A task that does not wait keeps the clock where it is, even if it does nothing with chat."""
    server = MemoryServer()
    async with server.connect_async(name="alice") as alice, anyio.create_task_group() as tasks:

        async def work() -> None:
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
            await alice.send("alice", "done")

        tasks.start_soon(work)
        assert (await alice.receive(timeout=5)).text == "done"
        assert server.now == 0.0


@each_backend
async def test_the_clock_has_no_task_while_nobody_needs_it() -> None:
    server = MemoryServer()
    tasks_before = anyio.get_running_tasks()
    async with server.connect_async(name="alice") as alice:
        with pytest.raises(ChatTimeoutError):
            await alice.receive(timeout=5)
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert len(anyio.get_running_tasks()) == len(tasks_before)
        with pytest.raises(ChatTimeoutError):
            await alice.receive(timeout=5)
    assert server.now == 10.0


@each_backend
async def test_a_stream_has_no_half_close() -> None:
    """AnyIO asks for the method; no client of CHAT/1.0 has a use for it."""
    server = MemoryServer()
    runtime = server._for_tasks()
    stream = await runtime.open_stream(make_endpoint("", 0, None, None, False, None))
    with pytest.raises(NotImplementedError):
        await stream.send_eof()
    await stream.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        await stream.receive()
