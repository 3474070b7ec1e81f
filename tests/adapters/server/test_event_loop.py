"""`chatproto_anyio.Server`: how an event loop waits for the sockets of a server."""

import asyncio
from collections import Counter
from typing import Any

import anyio
import pytest

import chatproto_anyio

from ..servers import KINDS, TIMEOUT, clients
from ..sockets.insides import Clock, driver_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


def test_asyncio_adds_the_descriptor_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time, Linux looks at all sockets behind it."""
    added: Counter[int] = Counter()
    add_reader = asyncio.SelectorEventLoop.add_reader

    def add(loop: asyncio.SelectorEventLoop, fd: Any, *args: Any) -> None:
        added[fd] += 1
        add_reader(loop, fd, *args)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", add)
    with KINDS["asyncio"](port=0) as server, clients(server.addresses[0], "alice") as (alice,):
        for _ in range(10):
            alice.flush("alice")
        assert added[driver_of(server).fileno()] == 1


@pytest.mark.parametrize("draining", [False, True])
async def test_a_bug_ends_the_server(monkeypatch: pytest.MonkeyPatch, *, draining: bool) -> None:
    """`run` raises it, also while it waits for a client to close."""
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
            if draining:
                tasks.cancel_scope.cancel()
            else:
                driver.wake()
            await anyio.sleep_forever()

    with anyio.fail_after(TIMEOUT), pytest.raises(ExceptionGroup) as caught:
        await run()
    assert caught.group_contains(ZeroDivisionError)
    assert driver.closed


async def test_lag_counts_what_other_tasks_take(monkeypatch: pytest.MonkeyPatch) -> None:
    server = chatproto_anyio.Server(port=0)
    driver, clock, noted = driver_of(server), Clock(server), anyio.Event()
    note_lag = driver.broker.note_lag

    def note(seconds: float) -> None:
        note_lag(seconds)
        if seconds > 4.0:
            noted.set()

    monkeypatch.setattr(driver.broker, "note_lag", note)
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.run)
            # Now the server measures how long it sleeps.
            await anyio.wait_all_tasks_blocked()
            clock.skip(5.0)
            await noted.wait()
            assert server.snapshot().lag.total > 4.0
            tasks.cancel_scope.cancel()
