"""chatproto_anyio.client: tasks that are cancelled while a client connects again."""

from typing import Any

import anyio
import pytest

import chatproto_anyio
from chatproto import Backoff, Disconnected, Item, Message, Reconnected

from ..clients import each_backend, where
from ..servers import TIMEOUT
from .scripted import Player, Script, ScriptedServer, contexts, tell
from .test_reconnect import QUICK

Client = chatproto_anyio.Client


class Task:
    """A use of a client that can be cancelled."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.items: list[Item] = []
        self.over = anyio.Event()

    async def receive(self, chat: Client) -> None:
        with self.scope:
            self.items.append(await chat.receive_item())
        self.over.set()

    async def send(self, chat: Client, data: bytes) -> None:
        with self.scope:
            await chat.send("bob", data)
        self.over.set()


async def arrived(server: ScriptedServer, number: int) -> None:
    await anyio.to_thread.run_sync(server.player, number)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@each_backend
async def test_another_task_takes_over(tls: bool) -> None:
    """The task that connects is cancelled in the middle of the login, or of the handshake."""
    secure: Script = [Player.start_tls] if tls else []
    good: Script = [*secure, Player.login, Player.read_line, tell(b"bob hi"), Player.serve]
    stalled: Script = [Player.wait] if tls else [Player.drain]
    options: dict[str, Any] = {"ssl": contexts()[1]} if tls else {}
    with (
        ScriptedServer([*secure, Player.login], stalled, good) as server,
        anyio.fail_after(TIMEOUT),
    ):
        async with (
            chatproto_anyio.connect(
                name="alice", reconnect=QUICK, **options, **where(server)
            ) as chat,
            anyio.create_task_group() as tasks,
        ):
            first, second, third = Task(), Task(), Task()
            assert isinstance(await chat.receive_item(), Disconnected)
            tasks.start_soon(first.receive, chat)
            await arrived(server, 1)
            tasks.start_soon(second.receive, chat)
            tasks.start_soon(third.send, chat, b"now")
            await anyio.wait_all_tasks_blocked()
            first.scope.cancel()
            await second.over.wait()
            assert first.items == []
            assert isinstance(second.items[0], Reconnected)
            assert await chat.receive() == Message("bob", b"hi")
            assert third.over.is_set()
            await chat.flush()
            assert server.players[2].lines.count(b"SEND bob now") == 1
            assert len(server.players) == 3


@each_backend
async def test_cancelled_before_the_next_attempt() -> None:
    """The next task waits for the rest of the time."""
    backoff = Backoff(first=1000, cap=1000, give_up=1000)
    with ScriptedServer([Player.login], [Player.login, Player.serve]) as server:
        async with (
            chatproto_anyio.connect(name="alice", reconnect=backoff, **where(server)) as chat,
            anyio.create_task_group() as tasks,
        ):
            first, second, third = Task(), Task(), Task()
            assert isinstance(await chat.receive_item(), Disconnected)
            tasks.start_soon(first.receive, chat)
            for task in (second, third):
                tasks.start_soon(task.send, chat, b"hi")
            for task in (first, second, third):
                await anyio.wait_all_tasks_blocked()
                task.scope.cancel()
                await task.over.wait()
            assert len(server.players) == 1
            await chat.close()


@each_backend
async def test_the_block_is_cancelled() -> None:
    """The end of the block does not wait, and raises no group of exceptions."""
    with ScriptedServer([Player.login], [Player.drain], [Player.login, Player.serve]) as server:
        with anyio.CancelScope() as scope:
            async with (
                chatproto_anyio.connect(name="alice", reconnect=QUICK, **where(server)) as chat,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(chat.receive)
                await arrived(server, 1)
                scope.cancel()
        assert scope.cancelled_caught
        await anyio.to_thread.run_sync(server.over, 1)
        assert len(server.players) == 2
