"""chatproto.server.dispatcher: who says too much is read later, and loses nothing."""

import pytest

from chatproto import ChatBroker, CloseReason, Limits

from .brokers import (
    answer,
    broker_of,
    close_reason,
    fill,
    flush,
    login,
    received,
    send,
    wants_close,
)

# Four lines at once, of which LOGIN is one.
LIMITS = Limits(rate=4.0, max_line=512, high_water=1000, queue_bytes=5000)


def lines(*numbers: int) -> bytes:
    return b"".join(f"CHAT/1.0 SEND bob {number}\n".encode() for number in numbers)


def rated_broker(*, limits: Limits = LIMITS, ask: bool = False) -> ChatBroker[int]:
    """Alice has all her rate, and bob is there."""
    broker = broker_of("alice", "bob", limits=limits, ask=ask)
    broker.tick(100.0)
    return broker


def test_so_many_lines_go_at_once_and_then_one_at_a_time() -> None:
    broker = rated_broker()
    broker.receive(1, lines(*range(6)))
    assert received(broker, 2) == ["alice 0", "alice 1", "alice 2", "alice 3"]
    assert not broker.next_step(1).read
    assert 1 in broker.take_ready()
    broker.tick(100.2)
    assert received(broker, 2) == []
    broker.tick(100.25)
    assert received(broker, 2) == ["alice 4"]
    assert not broker.next_step(1).read
    broker.tick(100.5)
    assert received(broker, 2) == ["alice 5"]
    assert broker.next_step(1).read
    assert 1 in broker.take_ready()
    assert broker.snapshot().paused == 2


def test_who_keeps_to_the_rate_never_waits() -> None:
    broker = rated_broker()
    for number in range(100):
        broker.tick(100.0 + number / 4)
        broker.receive(1, lines(number))
        assert broker.next_step(1).read
        assert received(broker, 2) == [f"alice {number}"]


@pytest.mark.parametrize("rate", [0.5, 1.5, 4.0, 20.0, 1000.0])
def test_nothing_is_lost_and_the_rate_is_kept(rate: float) -> None:
    broker = rated_broker(limits=Limits(rate=rate))
    broker.receive(1, lines(*range(100)))
    got: list[str] = []
    now = 100.0
    while len(got) < 100:
        got += received(broker, 2)
        # A second's worth at once, rounded up, and as much for each second since.
        burst = max(1, round(rate + 0.5)) if rate % 1 else rate
        assert len(got) <= burst + (now - 100.0) * rate + 0.01
        now += 0.25
        broker.tick(now)
    assert got == [f"alice {number}" for number in range(100)]
    assert now - 100.0 <= 100 / rate + 0.5


@pytest.mark.parametrize("line", ["junk", "SEND nobody x", "SEND *server* x", "LEAVE g"])
def test_every_line_counts(line: str) -> None:
    broker = rated_broker()
    send(broker, 1, *[line] * 4, "SEND bob hi")
    assert not broker.next_step(1).read
    assert received(broker, 2) == []


def test_nobody_else_waits() -> None:
    broker = rated_broker()
    broker.receive(1, lines(*range(10)))
    send(broker, 2, *["SEND alice hi"] * 4)
    assert received(broker, 1) == ["bob hi"] * 4
    assert broker.next_step(2).read


def test_what_comes_behind_waits_in_order() -> None:
    broker = rated_broker()
    broker.receive(1, lines(0, 1, 2, 3, 4) + b"CHAT/1.0 SEND bob ha")
    broker.receive(1, b"lf\nCHAT/1.0 LOGOUT\n")
    broker.receive_eof(1)
    received(broker, 2)
    for now, got in ((100.25, ["alice 4"]), (100.5, ["alice half"]), (100.75, [])):
        assert not broker.next_step(1).close
        broker.tick(now)
        assert received(broker, 2) == got
    assert close_reason(broker, 1) is CloseReason.LOGGED_OUT


def test_the_end_of_a_stream_behind_it() -> None:
    broker = rated_broker()
    broker.receive(1, lines(0, 1, 2, 3, 4) + b"CHAT/1.0 SEND bob half")
    broker.receive_eof(1)
    for now in (100.25, 100.5, 100.75):
        broker.tick(now)
    assert len(received(broker, 2)) == 5
    assert "ERR TRUNCATED SEND" in received(broker, 1)[0]
    assert close_reason(broker, 1) is CloseReason.EOF


def test_who_is_gone_does_not_come_back() -> None:
    broker = rated_broker()
    broker.receive(1, lines(*range(5)))
    broker.disconnect(1)
    broker.tick(200.0)
    assert len(received(broker, 2)) == 4
    assert broker.snapshot().queued == 0


def test_who_pauses_can_be_closed() -> None:
    broker = rated_broker()
    broker.receive(1, lines(*range(9)))
    broker.drain()
    broker.tick(101.0)
    assert len(received(broker, 2)) == 5
    received(broker, 1)
    assert wants_close(broker, 1)


def test_before_login_too() -> None:
    broker = rated_broker()
    login(broker, 3, "carol")
    send(broker, 3, "junk", "junk", "junk", "SEND bob hi")
    assert received(broker, 2) == []
    broker.tick(100.25)
    assert received(broker, 2) == ["carol hi"]


def test_a_message_that_waits_for_a_queue_is_paid_for_once() -> None:
    """Otherwise who waits often enough would never have anything left to say it with."""
    broker = rated_broker()
    for now, size in ((200.0, 400), (300.0, 400), (400.0, 300)):
        broker.tick(now)
        fill(broker, 2, "bob", "bob", size)
    broker.receive(1, lines(0, 1, 2, 3))
    assert broker.snapshot().waiting == 1
    flush(broker, slow=[2])
    assert not broker.next_step(1).read
    assert len(received(broker, 2)) == 11
    flush(broker, slow=[2])
    assert received(broker, 2) == ["alice 0", "alice 1", "alice 2", "alice 3"]


def test_a_login_that_was_asked_about_is_paid_for_once() -> None:
    broker = rated_broker(ask=True)
    send(broker, 1, "LOGIN ali", "SEND bob 1", "SEND bob 2", "SEND bob 3")
    assert answer(broker, True) == ["ali"]
    assert received(broker, 2) == ["ali 1", "ali 2", "ali 3"]
    assert broker.next_step(1).read


def test_a_login_behind_a_pause_is_asked_about_in_its_turn() -> None:
    broker = rated_broker(ask=True)
    broker.receive(1, lines(0, 1, 2, 3) + b"CHAT/1.0 LOGIN ali\n")
    assert broker.take_questions() == []
    broker.tick(100.25)
    assert answer(broker, True) == ["ali"]
    assert broker.next_step(1).read
    assert broker.snapshot().logins == 3


def test_without_a_rate_there_is_none() -> None:
    broker = rated_broker(limits=Limits())
    broker.receive(1, lines(*range(1000)))
    assert len(received(broker, 2)) == 1000
