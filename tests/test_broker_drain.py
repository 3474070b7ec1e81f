"""chatproto._broker: how a whole server ends."""

from chatproto import (
    ChatBroker,
    Limits,
)

from .brokers import TIGHT, broker_of, heard, leaves, say


def test_drain_tells_everybody_and_writes_what_is_queued() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "SEND bob hi")
    broker.drain()
    bye = "*server* ERR SHUTTING_DOWN - the server is shutting down"
    assert not leaves(broker, 1)
    assert not leaves(broker, 2)
    assert broker.take_ready() == [2, 1]
    assert heard(broker, 1) == [bye]
    assert heard(broker, 2) == ["alice hi", bye]
    for cid in (1, 2):
        assert leaves(broker, cid)
        broker.disconnect(cid)
    assert broker.connections == 0
    assert broker.snapshot().closes == {"shutting down": 2}


def test_drain_leaves_those_that_are_ending_alone() -> None:
    broker = broker_of("alice")
    say(broker, 1, "LOGOUT")
    broker.drain()
    assert heard(broker, 1) == []
    broker.disconnect(1)
    assert broker.snapshot().closes == {"logged out": 1}


def test_who_comes_while_draining_is_sent_away() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.drain()
    broker.connect(1, "peer-1")
    assert broker.take_ready() == [1]
    assert heard(broker, 1) == ["*server* ERR SHUTTING_DOWN - the server is shutting down"]
    assert leaves(broker, 1)


def test_drain_does_not_wait_for_ever() -> None:
    broker = broker_of("alice", limits=Limits(linger=3.0))
    broker.drain()
    broker.take_ready()
    broker.tick(2.9)
    assert not broker.finished(1)
    broker.tick(3.0)
    assert broker.finished(1)
    assert broker.take_ready() == [1]


def test_abandon_waits_for_nobody() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "SEND bob hi")
    broker.drain()
    broker.take_ready()
    broker.abandon()
    assert broker.take_ready() == [1, 2]
    assert broker.finished(1)
    assert broker.finished(2)
    assert bytes(broker.outgoing(2)) == b""


def test_last_words_do_not_cost_a_connection_what_was_accepted_for_it() -> None:
    """A queue that is full to the brim is still written (protocol.md, section 2: no holes)."""
    broker = broker_of("alice", "bob", limits=TIGHT)
    say(broker, 1, "SEND bob " + "x" * 480)
    broker.drain()
    assert heard(broker, 2)[:1] == ["alice " + "x" * 480]


def test_deadlines_that_pass_together_pass_once_each() -> None:
    broker = broker_of(*(f"user{number}" for number in range(200)))
    broker.drain()
    broker.tick(broker_linger := Limits().linger)
    assert broker.take_ready() == list(range(1, 201))
    assert all(broker.finished(cid) for cid in range(1, 201))
    broker.tick(2 * broker_linger)
    assert broker.take_ready() == []
