"""`chatproto_sync.client.deadline` with a clock of its own; `chatproto_anyio.client.time_limit`."""

import math
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest

from chatproto import ChatTimeoutError
from chatproto_anyio.client.time_limit import time_limit
from chatproto_sync.client import deadline
from chatproto_sync.client.deadline import Deadline

from ..clients import each_backend


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of deadlines, as `now`."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_deadline_passes(clock: SimpleNamespace) -> None:
    limit = Deadline(2.5)
    assert (limit.left(), limit.passed) == (2.5, False)
    clock.now += 2
    assert (limit.left(), limit.passed) == (0.5, False)
    clock.now += 0.5
    assert limit.passed
    # In the last pass, what has arrived already is received.
    assert limit.left() == 0
    for _ in range(2):
        with pytest.raises(ChatTimeoutError, match=r"^it took longer than 2\.5 s$"):
            limit.left()


@pytest.mark.usefixtures("clock")
def test_even_a_deadline_of_zero_allows_one_pass() -> None:
    limit = Deadline(0)
    assert limit.left() == 0
    with pytest.raises(ChatTimeoutError, match="longer than 0 s"):
        limit.left()


def test_a_deadline_may_be_infinite_or_far_away(clock: SimpleNamespace) -> None:
    for seconds in (None, math.inf):
        assert Deadline(seconds).left() is None
    year = Deadline(365 * 86400)
    for _ in range(365):
        assert year.left() == 86400
        clock.now += 86400
    assert year.passed


def test_the_sooner_of_two_deadlines(clock: SimpleNamespace) -> None:
    limit = Deadline(2)
    clock.now += 1
    assert limit.at_most(0.5).left() == 0.5
    for seconds in (1, 3, None):
        assert limit.at_most(seconds) is limit
    assert Deadline(None).at_most(3).left() == 3


@each_backend
async def test_a_time_limit_cancels_its_block() -> None:
    with pytest.raises(ChatTimeoutError, match=r"^it took longer than 0\.01 s$"), time_limit(0.01):
        await anyio.sleep_forever()


@each_backend
async def test_a_time_limit_of_zero_lets_through_what_is_there() -> None:
    send, receive = anyio.create_memory_object_stream[str](1)
    with send, receive:
        send.send_nowait("hi")
        with time_limit(0):
            assert await receive.receive() == "hi"
        with pytest.raises(ChatTimeoutError, match="longer than 0 s"), time_limit(0):
            await receive.receive()


@each_backend
async def test_a_block_without_a_time_limit() -> None:
    with time_limit(None):
        await anyio.lowlevel.checkpoint()
