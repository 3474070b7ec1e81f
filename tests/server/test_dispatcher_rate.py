"""chatproto.server.dispatcher: `Limits.rate` delays lines and loses none."""

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

# Four lines at once; a LOGIN is one.
LIMITS = Limits(rate=4.0, max_line=512, high_water=1000, queue_bytes=5000)


def lines(*numbers: int) -> bytes:
    return b"".join(f"CHAT/1.0 SEND bob {number}\n".encode() for number in numbers)


def rated_broker(*, limits: Limits = LIMITS, ask: bool = False) -> ChatBroker[int]:
    """Alice, who may send four lines now, and bob."""
    broker = broker_of("alice", "bob", limits=limits, ask=ask)
    broker.tick(100.0)
    return broker


def test_a_burst_is_executed_at_once_and_the_rest_at_the_rate() -> None:
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


def test_a_sender_that_keeps_to_the_rate_never_waits() -> None:
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
    lines_received: list[str] = []
    now = 100.0
    while len(lines_received) < 100:
        lines_received += received(broker, 2)
        # What one second allows, rounded up, and the rate since then.
        burst = max(1, round(rate + 0.5)) if rate % 1 else rate
        assert len(lines_received) <= burst + (now - 100.0) * rate + 0.01
        now += 0.25
        broker.tick(now)
    assert lines_received == [f"alice {number}" for number in range(100)]
    assert now - 100.0 <= 100 / rate + 0.5


@pytest.mark.parametrize("line", ["junk", "SEND nobody x", "SEND *server* x", "LEAVE g"])
def test_every_line_counts_whatever_it_is(line: str) -> None:
    broker = rated_broker()
    send(broker, 1, *[line] * 4, "SEND bob hi")
    assert not broker.next_step(1).read
    assert received(broker, 2) == []


def test_other_senders_do_not_wait() -> None:
    broker = rated_broker()
    broker.receive(1, lines(*range(10)))
    send(broker, 2, *["SEND alice hi"] * 4)
    assert received(broker, 1) == ["bob hi"] * 4
    assert broker.next_step(2).read


def test_what_comes_later_is_executed_in_order() -> None:
    broker = rated_broker()
    broker.receive(1, lines(0, 1, 2, 3, 4) + b"CHAT/1.0 SEND bob ha")
    broker.receive(1, b"lf\nCHAT/1.0 LOGOUT\n")
    broker.receive_eof(1)
    received(broker, 2)
    for now, expected in ((100.25, ["alice 4"]), (100.5, ["alice half"]), (100.75, [])):
        assert not broker.next_step(1).close
        broker.tick(now)
        assert received(broker, 2) == expected
    assert close_reason(broker, 1) is CloseReason.LOGGED_OUT


def test_the_end_of_a_paused_senders_stream_is_executed_later() -> None:
    broker = rated_broker()
    broker.receive(1, lines(0, 1, 2, 3, 4) + b"CHAT/1.0 SEND bob half")
    broker.receive_eof(1)
    for now in (100.25, 100.5, 100.75):
        broker.tick(now)
    assert len(received(broker, 2)) == 5
    assert "ERR TRUNCATED SEND" in received(broker, 1)[0]
    assert close_reason(broker, 1) is CloseReason.EOF


def test_nothing_is_executed_for_a_paused_sender_that_is_lost() -> None:
    broker = rated_broker()
    broker.receive(1, lines(*range(5)))
    broker.disconnect(1)
    broker.tick(200.0)
    assert len(received(broker, 2)) == 4
    assert broker.snapshot().queued == 0


def test_a_paused_sender_can_be_closed() -> None:
    broker = rated_broker()
    broker.receive(1, lines(*range(9)))
    broker.drain()
    broker.tick(101.0)
    assert len(received(broker, 2)) == 5
    received(broker, 1)
    assert wants_close(broker, 1)


def test_lines_before_login_count() -> None:
    broker = rated_broker()
    login(broker, 3, "carol")
    send(broker, 3, "junk", "junk", "junk", "SEND bob hi")
    assert received(broker, 2) == []
    broker.tick(100.25)
    assert received(broker, 2) == ["carol hi"]


def test_a_message_that_waits_for_a_queue_counts_once() -> None:
    """Otherwise a sender that waits often might never get on."""
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


def test_a_login_that_waits_for_an_answer_counts_once() -> None:
    broker = rated_broker(ask=True)
    send(broker, 1, "LOGIN ali", "SEND bob 1", "SEND bob 2", "SEND bob 3")
    assert answer(broker, True) == ["ali"]
    assert received(broker, 2) == ["ali 1", "ali 2", "ali 3"]
    assert broker.next_step(1).read


def test_a_login_after_a_pause_causes_a_question_then() -> None:
    broker = rated_broker(ask=True)
    broker.receive(1, lines(0, 1, 2, 3) + b"CHAT/1.0 LOGIN ali\n")
    assert broker.take_questions() == []
    broker.tick(100.25)
    assert answer(broker, True) == ["ali"]
    assert broker.next_step(1).read
    assert broker.snapshot().logins == 3


def test_by_default_there_is_no_bound() -> None:
    broker = rated_broker(limits=Limits())
    broker.receive(1, lines(*range(1000)))
    assert len(received(broker, 2)) == 1000
