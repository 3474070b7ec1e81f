"""`Server.kick`: ending the connections of a name, from wherever a program calls it."""

import threading
from contextlib import ExitStack
from typing import cast

import anyio
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import LocalProtocolError
from chatproto_sync.sockets.driver import Driver

from ..servers import TIMEOUT, SocketClient, Start, clients, in_thread

KICKED = b"CHAT/1.0 RECEIVE *server* ERR REFUSED - be nice\n"

Kicking = chatproto_sync.Server | chatproto_anyio.Server


def test_another_thread(start: Start) -> None:
    with start(port=0) as running, clients(running.addresses[0], "alice", "bob") as found:
        server = cast(Kicking, running)
        alice, bob = found
        assert server.kick("carol") == 0
        with pytest.raises(LocalProtocolError):
            server.kick("alice", "two\nlines")
        assert server.kick("bob", "be nice") == 1
        assert (bob.read_line(), bob.read_line()) == (KICKED, b"")
        alice.flush("alice")


def test_the_thread_that_serves(start: Start) -> None:
    """As in a hook, where waiting for the loop would take for ever."""
    counts: list[int] = []
    with ExitStack() as stack:
        running = stack.enter_context(start(port=0))
        [bob] = stack.enter_context(clients(running.addresses[0], "bob"))
        server = cast(Kicking, running)
        running.on_tick(lambda: counts.append(server.kick("bob", "be nice")))
        assert (bob.read_line(), bob.read_line()) == (KICKED, b"")
    assert counts[:2] == [1, 0]


def test_nobody_serves(start: Start) -> None:
    with start(port=0) as running:
        server = cast(Kicking, running)
    assert server.kick("bob") == 0
    new = chatproto_sync.Server(port=0)
    assert new.kick("bob") == 0
    new.close()


def test_threads_that_wait_when_the_server_ends() -> None:
    """It ends after their calls were put in the queue, and before a round has made them."""
    server = chatproto_sync.Server(port=0)
    driver: Driver = server._driver
    driver.listen()
    woken = threading.Event()
    driver.wake = woken.set  # type: ignore[method-assign]
    results: list[int] = []
    thread = in_thread(lambda: results.append(server.kick("bob")))
    assert woken.wait(TIMEOUT)
    # As `run` does at its end.
    driver.close()
    thread.join()
    assert results == [0]


@pytest.mark.anyio
async def test_another_task() -> None:
    async with anyio.create_task_group() as tasks:
        server = await tasks.start(chatproto_anyio.serve, None, 0)

        async def kick() -> int:
            return cast(int, server.kick("bob", "be nice"))

        def chat() -> tuple[bytes, bytes]:
            with SocketClient(server.addresses[0]) as bob:
                bob.login("bob")
                assert anyio.from_thread.run(kick) == 1
                return bob.read_line(), bob.read_line()

        assert await anyio.to_thread.run_sync(chat) == (KICKED, b"")
        tasks.cancel_scope.cancel()
