"""`Server.reconfigure`: another configuration while a server runs.

What it does to that which is there is in `tests/server/test_reconfigure.py`.
"""

import resource
import threading
from collections.abc import Iterator

import anyio
import pytest

import chatproto_anyio
from chatproto import Broadcasting, DuplicateLogin, Limits, LoginRequest, Policy

from ..servers import KINDS, TIMEOUT, SocketClient, Start, clients, run_async, run_sync

each_kind = pytest.mark.parametrize("start", KINDS.values(), ids=KINDS.keys())


@each_kind
def test_all_three(start: Start) -> None:
    with start(port=0) as server, clients(server.addresses[0], "alice", "bob") as (alice, bob):
        alice.write(b"CHAT/1.0 GROUP g alice\n")
        alice.flush("alice")
        server.reconfigure(
            policy=Policy(broadcasting=Broadcasting.ANYONE, duplicate_login=DuplicateLogin.REJECT),
            limits=Limits(max_line=512),
        )
        bob.write(b"CHAT/1.0 BROADCAST g hi\nCHAT/1.0 LOGIN alice\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE bob hi\n"
        assert b"ERR NAME_IN_USE" in bob.read_line()
        server.reconfigure(notices=False)
        bob.write(b"CHAT/1.0 SEND alice ".ljust(600, b"x") + b"\nCHAT/1.0 LOGIN alice\n")
        bob.flush("bob")


@each_kind
def test_connections_stay_bounded_by_descriptors(start: Start) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with start(port=0) as server:
        server.reconfigure(limits=Limits())
        with clients(server.addresses[0], "alice"):
            [connections] = {server._driver.broker._limits.max_connections}  # type: ignore[attr-defined, unused-ignore]
    assert most == resource.RLIM_INFINITY or 0 < connections < most


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a decision can wait for. Set at the end, so that no thread goes on waiting."""
    event = threading.Event()
    yield event
    event.set()


def test_a_decision_on_a_thread_has_another_time(gate: threading.Event) -> None:
    def decide(_: LoginRequest) -> bool:
        return gate.wait(TIMEOUT)

    with (
        run_sync(port=0, authenticate=decide) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        server.reconfigure(limits=Limits(auth_timeout=0.01))
        alice.write(b"CHAT/1.0 LOGIN alice\n")
        assert b"not decided in time" in alice.read_line()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_decision_in_a_task_has_another_time(backend: str) -> None:
    cancelled = threading.Event()

    async def decide(_: LoginRequest) -> bool:
        try:
            await anyio.sleep(TIMEOUT)
        finally:
            cancelled.set()
        return True

    with (
        run_async(backend, port=0, authenticate=decide) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        server.reconfigure(limits=Limits(auth_timeout=0.01))
        alice.write(b"CHAT/1.0 LOGIN alice\n")
        assert b"ERR AUTH_FAILED" in alice.read_line()
        assert cancelled.wait(TIMEOUT)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_end_has_another_time(backend: str) -> None:
    """It does not wait for a decision that nobody can cancel."""

    async def main() -> None:
        asked, ended = anyio.Event(), anyio.Event()

        async def decide(_: LoginRequest) -> bool:
            asked.set()
            with anyio.CancelScope(shield=True):
                await ended.wait()
            return True

        server = chatproto_anyio.Server(port=0, authenticate=decide, limits=Limits(grace=1e9))
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.run)
            host, _, port = server.addresses[0].rpartition(":")
            async with await anyio.connect_tcp(host, int(port)) as stream:
                await stream.send(b"CHAT/1.0 LOGIN alice\n")
                await asked.wait()
                server.reconfigure(limits=Limits(grace=0.05))
                tasks.cancel_scope.cancel()
        # Only now, so `run` has not waited for it.
        ended.set()

    anyio.run(main, backend=backend)
