"""chatproto.server.broker: how a whole server ends."""

from chatproto import ChatBroker, CloseReason, Limits

from .brokers import (
    NARROW,
    TIGHT,
    broker_of,
    close_reason,
    fill,
    flush,
    half_close,
    message,
    received,
    send,
    wants_close,
)


def test_drain_tells_everybody_and_writes_what_is_queued() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob hi")
    broker.drain()
    bye = "*server* ERR SHUTTING_DOWN - the server is shutting down"
    assert not wants_close(broker, 1)
    assert not wants_close(broker, 2)
    assert broker.take_ready() == [2, 1]
    assert received(broker, 1) == [bye]
    assert received(broker, 2) == ["alice hi", bye]
    for cid in (1, 2):
        assert wants_close(broker, cid)
        broker.disconnect(cid)
    assert broker.connections == 0
    assert broker.snapshot().closes == {"shutting down": 2}


def test_drain_leaves_those_that_are_ending_alone() -> None:
    broker = broker_of("alice")
    send(broker, 1, "LOGOUT")
    broker.drain()
    assert received(broker, 1) == []
    broker.disconnect(1)
    assert broker.snapshot().closes == {"logged out": 1}


def test_who_comes_while_draining_is_sent_away() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.drain()
    broker.connect(1, "peer-1")
    assert broker.take_ready() == [1]
    assert received(broker, 1) == ["*server* ERR SHUTTING_DOWN - the server is shutting down"]
    assert wants_close(broker, 1)


def test_drain_does_not_wait_for_ever() -> None:
    broker = broker_of("alice", limits=Limits(linger=3.0))
    broker.drain()
    broker.take_ready()
    broker.tick(2.9)
    assert not broker.next_step(1).close
    broker.tick(3.0)
    assert broker.next_step(1).close
    assert broker.take_ready() == [1]


def test_abandon_waits_for_nobody() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob hi")
    broker.drain()
    broker.take_ready()
    broker.abort()
    assert broker.take_ready() == [1, 2]
    assert broker.next_step(1).close
    assert broker.next_step(2).close
    assert bytes(broker.next_step(2).write) == b""


def test_last_words_do_not_cost_a_connection_what_was_accepted_for_it() -> None:
    """A queue that is full to the brim is still written (protocol.md, section 2: no holes)."""
    broker = broker_of("alice", "bob", limits=TIGHT)
    send(broker, 1, message("alice", "bob", 512))
    broker.drain()
    assert len(received(broker, 2)[0]) == 512 - len("CHAT/1.0 RECEIVE \n")


def test_deadlines_that_pass_together_pass_once_each() -> None:
    broker = broker_of(*(f"user{number}" for number in range(200)), limits=Limits(linger=3.0))
    broker.drain()
    broker.tick(3.0)
    assert broker.take_ready() == list(range(1, 201))
    assert all(broker.next_step(cid).close for cid in range(1, 201))
    broker.tick(6.0)
    assert broker.take_ready() == []


def test_it_is_over_within_the_grace() -> None:
    """Whatever else has more time: those that linger, and those that only have to close."""
    broker = broker_of("alice", "bob", limits=Limits(linger=60.0, close_timeout=60.0, grace=10.0))
    broker.tick(100.0)
    send(broker, 1, "SEND bob hi")
    broker.drain()
    received(broker, 1)
    assert half_close(broker, 1)
    broker.take_ready()
    broker.tick(109.9)
    assert not any(broker.next_step(cid).close for cid in (1, 2))
    broker.tick(110.0)
    assert broker.take_ready() == [1, 2]
    assert (close_reason(broker, 1), close_reason(broker, 2)) == (CloseReason.SHUTTING_DOWN,) * 2
    assert broker.connections == 0


def test_who_comes_while_draining_has_no_more_time() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(linger=60.0, grace=10.0))
    broker.drain()
    broker.tick(9.0)
    broker.connect(1, "peer-1")
    broker.tick(10.0)
    assert broker.next_step(1).close


def test_who_waits_for_a_queue_is_told_too_and_says_no_more() -> None:
    broker = broker_of("alice", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 2000)
    assert broker.snapshot().waiting == 1
    broker.drain()
    flush(broker)
    assert broker.snapshot().deliveries == 11
    assert (broker.snapshot().waiting, broker.snapshot().queued) == (0, 0)
    assert wants_close(broker, 1)


def test_who_waits_for_an_answer_is_told_too() -> None:
    broker = broker_of("alice", ask=True)
    send(broker, 1, "LOGIN ali", "SEND ali hi")
    [question] = broker.take_questions()
    broker.drain()
    broker.answer(question.token, allowed=True)
    assert received(broker, 1) == ["*server* ERR SHUTTING_DOWN - the server is shutting down"]
    assert wants_close(broker, 1)
