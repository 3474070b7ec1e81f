"""Clients with a heartbeat (`connection` in both packages), and clients of a server that is gone.

`tests/client/test_heartbeat.py` tests what is decided, with a clock of its own.
"""

import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import (
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    Disconnected,
    Message,
    Reconnected,
)
from chatproto_anyio.client import runtime
from chatproto_anyio.client.runtime import LoopRuntime
from chatproto_sync.client import runtime as sync_runtime
from chatproto_sync.client.connection import ClientConnection
from chatproto_sync.client.deadline import Deadline
from chatproto_sync.client.runtime import SystemRuntime
from chatproto_sync.client.stream import SocketStream

from ..clients import (
    SHORT,
    BlockingClient,
    Connect,
    each_backend,
    each_client,
    played,
    send_for_ever,
    set_timeout,
    where,
)
from ..processes import COMMANDS, Process, spawn
from ..server.test_streams import MemoryStream, memory_pair
from ..servers import TIMEOUT
from .scripted import Player, ScriptedServer, Step, contexts, tell
from .test_losses import USES
from .test_reconnect import QUICK

SILENCE = 0.05
"""A heartbeat in seconds, for a server that never answers one."""

AMPLE = 30.0
"""A heartbeat in seconds, for a client whose `Clock` stands still while a server answers."""


class Clock:
    """The clock of heartbeats. It stands still, but for `skip`."""

    def __init__(self) -> None:
        self.now = 0.0

    def skip(self) -> None:
        """Advance it until a heartbeat is due."""
        self.now += AMPLE


class ClockedSystem(SystemRuntime):
    """Gives it to sync clients."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def monotonic(self) -> float:
        return self._clock.now


class ClockedLoop(LoopRuntime):
    """Gives it to clients on event loops."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def current_time(self) -> float:
        return self._clock.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with sync_runtime.installed(ClockedSystem(clock)), runtime.installed(ClockedLoop(clock)):
        yield clock


@pytest.fixture(params=["plain", "TLS"])
def secure(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "TLS")


def first_steps(secure: bool) -> list[Step]:
    return [*([Player.start_tls] if secure else []), Player.login]


@each_client
def test_a_server_that_hangs(connect: Connect, secure: bool) -> None:
    options = {"ssl": contexts()[1]} if secure else {}
    with (
        ScriptedServer([*first_steps(secure), Player.wait, Player.drain]) as server,
        connect(name="alice", heartbeat=SILENCE, **options, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError, match="does not answer: nothing has come for"):
            chat.receive(TIMEOUT)
        with pytest.raises(ConnectionLostError, match="does not answer"):
            chat.send("bob", "hi")
        server.go.set()
        lines = server.over(0).lines
        assert lines[-1].startswith(b"SEND alice \0chatproto echo ")
        # The login has the first one.
        assert len(lines) == 3


@each_client
def test_a_server_that_answers(connect: Connect, secure: bool, clock: Clock) -> None:
    """It says something each time it is asked."""
    options = {"ssl": contexts()[1]} if secure else {}
    steps = [*first_steps(secure), *[Player.echo, tell(b"bob hi")] * 3, Player.serve]
    with (
        ScriptedServer(steps) as server,
        connect(name="alice", heartbeat=AMPLE, **options, **where(server)) as chat,
    ):
        for _ in range(3):
            # A look at the clock: it notes when it has heard something last.
            with pytest.raises(ChatTimeoutError):
                chat.receive(0)
            clock.skip()
            assert chat.receive() == Message("bob", b"hi")
        chat.flush()


@each_client
def test_each_waiting_call_learns_that_the_server_hangs(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.login, Player.wait]) as server,
        connect(name="alice", heartbeat=SILENCE, **where(server)) as chat,
    ):
        uses = [USES[name] for name in ("receive", "flush", "notice", "ping", "iterate")]
        for future in [pool.submit(use, chat) for use in uses]:
            with pytest.raises(ConnectionLostError, match="does not answer"):
                future.result(TIMEOUT)


@each_client
def test_a_client_that_only_looks_now_and_then(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login, Player.wait]) as server,
        connect(name="alice", heartbeat=SILENCE, **where(server)) as chat,
    ):
        error: ChatProtocolError = ChatTimeoutError()
        while isinstance(error, ChatTimeoutError):
            with pytest.raises(ChatProtocolError) as caught:
                chat.receive(0)
            error = caught.value
        assert "does not answer" in str(error)


def send_small_lines(chat: BlockingClient) -> None:
    while True:
        chat.send("bob", "hi")


@each_client
def test_a_client_that_only_sends(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login, Player.wait]) as server,
        connect(name="alice", heartbeat=SILENCE, **where(server)) as chat,
        pytest.raises(ConnectionLostError, match="does not answer"),
    ):
        send_small_lines(chat)


@each_client
def test_a_server_that_takes_nothing(connect: Connect) -> None:
    """The heartbeat can't be written, because a line is not finished."""
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.login, Player.wait]) as server,
        connect(name="alice", timeout=None, heartbeat=0.5, **where(server)) as chat,
    ):
        uses = [send_for_ever, send_for_ever, USES["receive"]]
        for future in [pool.submit(use, chat) for use in uses]:
            with pytest.raises(ConnectionLostError, match="does not answer"):
                future.result(TIMEOUT)


@each_client
def test_it_connects_again(connect: Connect) -> None:
    good = [Player.login, Player.read_line, tell(b"bob hi"), Player.serve]
    with (
        ScriptedServer([Player.login, Player.wait], *[good] * 9) as server,
        connect(name="alice", heartbeat=SILENCE, reconnect=QUICK, **where(server)) as chat,
    ):
        item = chat.receive_item(TIMEOUT)
        assert isinstance(item, Disconnected)
        assert "does not answer" in str(item.error)
        assert isinstance(chat.receive_item(TIMEOUT), Reconnected)
        assert chat.receive(TIMEOUT) == Message("bob", b"hi")


@each_client
def test_silence_proves_nothing_while_the_client_does_not_read(
    connect: Connect, clock: Clock
) -> None:
    with played(connect, heartbeat=AMPLE, max_queue=1) as (alice, peer):
        peer.say("bob", b"1")
        alice.receive(TIMEOUT)
        peer.say("bob", b"2")
        set_timeout(alice, SHORT)
        # It reads the message, and then there is no room.
        for _ in range(3):
            with pytest.raises(ChatTimeoutError):
                alice.flush()
            clock.skip()
        peer.say("bob", b"3")
        assert [alice.receive(TIMEOUT).data for _ in range(2)] == [b"2", b"3"]


@each_client
def test_no_heartbeat_by_default(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login, Player.wait, Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            chat.receive(SHORT)
        chat.close()
        server.go.set()
        assert len(server.over(0).lines) == 2


@each_client
@pytest.mark.parametrize("heartbeat", [0, -1.0])
def test_a_heartbeat_that_makes_no_sense(connect: Connect, heartbeat: float) -> None:
    with (
        pytest.raises(ValueError, match="heartbeat is more than 0 seconds"),
        connect(name="alice", heartbeat=heartbeat),
    ):
        pass


@contextlib.asynccontextmanager
async def beside(serve: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run a task beside the block."""
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            yield


async def let_in(theirs: MemoryStream) -> None:
    """Accept the login: send the first ping back."""
    assert (await theirs.read_line()).startswith(b"CHAT/1.0 LOGIN ")
    line = await theirs.read_line()
    await theirs.send(line.replace(b" SEND ", b" RECEIVE "))


@each_backend
async def test_over_a_stream_of_which_nothing_is_known(clock: Clock) -> None:
    """It may have no room, so writing a heartbeat may have to wait."""
    with memory_pair(0) as (ours, theirs):

        async def serve() -> None:
            await let_in(theirs)
            line = await theirs.read_line()
            await theirs.send(line.replace(b" SEND ", b" RECEIVE "))
            await theirs.send(b"CHAT/1.0 RECEIVE bob hi\n")

        async with (
            beside(serve),
            chatproto_anyio.connect(
                name="alice", transport=ours, groups=False, heartbeat=AMPLE
            ) as chat,
        ):
            clock.skip()
            assert await chat.receive() == Message("bob", b"hi")
            await chat.close()


@each_backend
async def test_a_stream_that_takes_no_heartbeat() -> None:
    with memory_pair(0) as (ours, theirs):
        async with (
            beside(partial(let_in, theirs)),
            chatproto_anyio.connect(
                name="alice", transport=ours, groups=False, heartbeat=SILENCE
            ) as chat,
        ):
            with pytest.raises(ConnectionLostError, match="does not answer"):
                await chat.receive()


@each_backend
async def test_cancelled_while_it_writes_a_heartbeat(clock: Clock) -> None:
    """Half a line may be written."""
    with memory_pair(0) as (ours, theirs):
        async with (
            beside(partial(let_in, theirs)),
            chatproto_anyio.connect(
                name="alice", transport=ours, groups=False, heartbeat=AMPLE
            ) as chat,
        ):
            clock.skip()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(chat.receive)
                while not ours.halves[0].statistics().tasks_waiting_send:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            with pytest.raises(ConnectionLostError, match="not be finished"):
                await chat.receive()


def test_out_of_time_while_it_writes_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    send = ClientConnection._send

    def send_no_heartbeat(
        self: ClientConnection, stream: SocketStream, data: bytes, deadline: Deadline
    ) -> None:
        if data.startswith(b"CHAT/1.0 SEND alice \0"):
            raise ChatTimeoutError
        send(self, stream, data, deadline)

    with (
        ScriptedServer([Player.login, Player.wait]) as server,
        chatproto_sync.connect(name="alice", heartbeat=SILENCE, **where(server)) as chat,
    ):
        monkeypatch.setattr(ClientConnection, "_send", send_no_heartbeat)
        with pytest.raises(ChatTimeoutError):
            chat.receive()
        with pytest.raises(ConnectionLostError, match="could not be finished"):
            chat.receive()


@each_client
def test_a_connection_that_fails_under_a_heartbeat(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login, Player.reset]) as server,
        connect(name="alice", heartbeat=SILENCE, **where(server)) as chat,
        pytest.raises(ConnectionLostError),
    ):
        chat.receive()


# A server that is killed


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Process]:
    with spawn([*COMMANDS["sync"], "--port", "0"], tmp_path / "log") as process:
        yield process


def address(process: Process) -> dict[str, object]:
    host, _, port = process.address.rpartition(":")
    return {"host": host, "port": int(port)}


@each_client
def test_who_waits_learns_at_once_that_the_server_is_gone(
    connect: Connect, killed: Process
) -> None:
    with (
        ThreadPoolExecutor() as pool,
        connect(name="alice", **address(killed)) as chat,
        connect(name="bob", reconnect=True, **address(killed)) as bob,
    ):
        receiving, news = pool.submit(chat.receive), pool.submit(bob.receive_item)
        killed.end(signal.SIGKILL)
        with pytest.raises(ConnectionLostError):
            receiving.result(TIMEOUT)
        assert isinstance(news.result(TIMEOUT), Disconnected)
        bob.close()


@each_client
def test_who_sends_learns_at_once_that_the_server_is_gone(
    connect: Connect, killed: Process
) -> None:
    """Nothing is written to a connection that is over."""
    with connect(name="alice", **address(killed)) as chat:
        chat.send("alice", "hi")
        chat.flush()
        killed.end(signal.SIGKILL)
        with pytest.raises(ConnectionLostError):
            chat.send("bob", "hi")


@each_client
def test_a_line_is_sent_on_the_next_connection_when_the_server_is_gone(connect: Connect) -> None:
    gone = [Player.login, Player.end, Player.drain]
    with (
        ScriptedServer(gone, [Player.login, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        assert isinstance(chat.receive_item(TIMEOUT), Disconnected)
        chat.send("bob", "hi")
        chat.flush()
        assert server.player(1).lines[2] == b"SEND bob hi"


@each_client
def test_a_heartbeat_goes_in_front_of_the_line_that_is_sent_with_it(
    connect: Connect, clock: Clock
) -> None:
    """A line is written again if it was not finished. So nothing may stand behind it."""
    with (
        ScriptedServer([Player.login, *[Player.read_line] * 3]) as server,
        connect(name="alice", heartbeat=AMPLE, **where(server)) as chat,
    ):
        chat.send("bob", "1")
        clock.skip()
        chat.send("bob", "2")
        first, heartbeat, second = server.over(0).lines[2:]
        assert (first, second) == (b"SEND bob 1", b"SEND bob 2")
        assert heartbeat.startswith(b"SEND alice \0chatproto echo ")
        chat.close()
