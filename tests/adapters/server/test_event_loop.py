"""How an event loop waits for a server's sockets."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

import chatproto_anyio
from chatproto_anyio.server.event_loop import TaskPoller
from chatproto_sync.sockets import driver as driver_module
from chatproto_sync.sockets.driver import Driver
from chatproto_sync.sockets.poller import READ, WRITE

from ..servers import KINDS, TIMEOUT, Running, clients, without_descriptor
from ..sockets.insides import Clock, wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture(params=["descriptor", "tasks"])
def _each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tasks":
        monkeypatch.setattr(driver_module, "new_poller", without_descriptor)


def driver_of(server: Running) -> Driver:
    assert isinstance(server, chatproto_anyio.Server)
    return server._driver


def test_asyncio_takes_the_descriptor_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time costs Linux a look at every socket behind it."""
    added: Counter[int] = Counter()
    add_reader = asyncio.SelectorEventLoop.add_reader

    def add(loop: asyncio.SelectorEventLoop, fd: Any, *args: Any) -> None:
        added[fd] += 1
        add_reader(loop, fd, *args)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", add)
    with KINDS["asyncio"](port=0) as server, clients(server.addresses[0], "alice") as (alice,):
        for _ in range(10):
            alice.flush("alice")
        fd = driver_of(server).fileno()
        assert fd is not None
        assert added[fd] == 1


@pytest.mark.usefixtures("_each_way")
@pytest.mark.parametrize("ending", [False, True])
async def test_a_bug_ends_the_server(monkeypatch: pytest.MonkeyPatch, *, ending: bool) -> None:
    """And is told; also when it is ending already, and would wait for somebody."""
    server = chatproto_anyio.Server(port=0)
    driver = driver_of(server)

    def step(_timeout: float) -> None:
        raise ZeroDivisionError

    async def run() -> None:
        host, _, port = server.addresses[0].rpartition(":")
        async with (
            await anyio.connect_tcp(host, int(port)) as alice,
            anyio.create_task_group() as tasks,
        ):
            await tasks.start(server.run)
            await alice.send(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hi\n")
            await alice.receive()
            monkeypatch.setattr(driver, "step", step)
            if ending:
                tasks.cancel_scope.cancel()
            else:
                driver.wake()
            await anyio.sleep_forever()

    with anyio.fail_after(TIMEOUT), pytest.raises(ExceptionGroup) as caught:
        await run()
    assert caught.group_contains(ZeroDivisionError)
    assert driver.closed


# Waiting in tasks


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end, not blocking, and the other one."""
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        yield here, there


@asynccontextmanager
async def open_poller() -> AsyncIterator[TaskPoller[str]]:
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            poller: TaskPoller[str] = TaskPoller(tasks)
            try:
                yield poller
            finally:
                poller.close()


async def poll(poller: TaskPoller[str]) -> list[tuple[str, int]]:
    """What is ready, once something is: for whom, and what."""
    await poller.wait()
    return [(poller.targets[fd], events) for fd, events in poller.poll(0)]


async def test_what_is_ready_is_said_until_it_is_done(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    async with open_poller() as poller:
        poller.register(here, READ, "alice")
        there.send(b"x")
        for _ in range(3):
            assert await poll(poller) == [("alice", READ)]
        poller.modify(here, READ | WRITE, "bob")
        found = {event for _ in range(10) for data, event in await poll(poller)}
        assert found <= {READ, WRITE, READ | WRITE}
        assert READ | WRITE in {sum(found), *found}
        here.recv(1)
        poller.modify(here, WRITE, "bob")
        assert await poll(poller) == [("bob", WRITE)]


async def test_what_nobody_wants_to_know_is_not_said(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    async with open_poller() as poller:
        poller.register(here, READ, "alice")
        there.send(b"x")
        await poller.wait()
        # It is ready already when that ceases to be of interest.
        poller.modify(here, WRITE, "alice")
        assert poller.poll(0) == []
        assert await poll(poller) == [("alice", WRITE)]
        poller.modify(here, READ, "alice")
        while (ready := await poll(poller)) == []:
            pass
        assert ready == [("alice", READ)]


async def test_the_same_socket_again(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    async with open_poller() as poller:
        poller.register(here, READ, "alice")
        await anyio.wait_all_tasks_blocked()
        poller.unregister(here)
        poller.register(here, READ, "bob")
        await anyio.wait_all_tasks_blocked()
        there.send(b"x")
        assert await poll(poller) == [("bob", READ)]


async def test_another_socket_with_the_same_number(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    async with open_poller() as poller:
        poller.register(here, READ, "alice")
        await anyio.wait_all_tasks_blocked()
        poller.unregister(here)
        number = here.fileno()
        here.close()
        here, far = socket.socketpair()
        with here, far:
            assert here.fileno() == number
            poller.register(here, READ, "bob")
            await anyio.wait_all_tasks_blocked()
            there.close()
            far.send(b"x")
            assert await poll(poller) == [("bob", READ)]
            poller.unregister(here)


async def test_cancellation_ends_no_connection(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    with anyio.CancelScope() as scope:
        async with open_poller() as poller:
            poller.register(here, READ, "alice")
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                there.send(b"x")
                assert await poll(poller) == [("alice", READ)]


async def test_close(pair: tuple[socket.socket, socket.socket]) -> None:
    """The tasks end; whom they waited for is still known, for they want to be closed too."""
    async with open_poller() as poller:
        poller.register(pair[0], READ, "alice")
        await anyio.wait_all_tasks_blocked()
        poller.close()
    assert list(poller.targets.values()) == ["alice"]
    poller.close()


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_lag_counts_what_other_tasks_take(kind: str) -> None:
    with KINDS[kind](port=0) as server, clients(server.addresses[0], "alice") as (alice,):
        clock = Clock(server)
        clock.skip(5.0)
        wait_until(lambda: driver_of(server).take_lag() > 4.0, alice, "alice")
