"""`chatproto_sync.testing`: locks and streams for threads that take turns."""

import pytest

from chatproto import ConnectionLostError
from chatproto.testing import MemoryServer
from chatproto_sync.client.runtime import Lock
from chatproto_sync.testing import scheduler
from chatproto_sync.testing.runtime import MemoryRuntime


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def runtime(server: MemoryServer) -> MemoryRuntime:
    return server._for_threads()


def test_a_lock_is_for_one_thread(server: MemoryServer, runtime: MemoryRuntime) -> None:
    lock: Lock = runtime.lock()
    held: list[bool] = []

    def hold() -> None:
        held.append(lock.acquire())
        runtime.scheduler.wait(lambda: False, 3.0)
        lock.release()

    with server.running(hold):
        assert held == [True]
        assert not lock.acquire(blocking=False)
        runtime.deadline(10)
        assert not lock.acquire(timeout=1.0)
        assert server.now == 1.0
        assert lock.acquire(timeout=5.0)
        assert server.now == 3.0
    lock.release()
    assert lock.acquire(blocking=False)


def test_a_condition_tells_whether_it_was_notified(
    server: MemoryServer, runtime: MemoryRuntime
) -> None:
    condition = runtime.condition()

    def notify() -> None:
        runtime.scheduler.wait(lambda: False, 3.0)
        with condition:
            condition.notify_all()

    with server.running(notify), condition:
        runtime.deadline(10)
        assert not condition.wait(1.0)
        assert condition.wait(5.0)
    assert server.now == 3.0


@pytest.mark.parametrize("other", ["ping", "pong"])
def test_bots_that_answer_without_end_fail_the_test(
    server: MemoryServer, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Two bots that answer each other, and one that answers itself."""
    monkeypatch.setattr(scheduler, "_CALLS_MAX", 200)

    def answer(name: str, first: str) -> None:
        with server.connect(name=name) as chat:
            chat.send(first, "hi")
            for message in chat:
                chat.reply(message, "hi")

    with (
        pytest.raises(RuntimeError, match="without end"),
        server.running(answer, other, "nobody"),
        server.running(answer, "pong", other),
    ):
        server.advance(1)
    assert server.names == []


def test_a_stream_that_is_not_open(runtime: MemoryRuntime) -> None:
    stream = runtime.stream()
    with pytest.raises(ConnectionLostError, match="the connection is closed"):
        stream.receive()
    stream.close()
    assert stream.closed
