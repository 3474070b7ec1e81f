"""chatproto.server.broker: the shutdown, with `drain` and `abort`."""

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


def test_drain_notifies_every_client_and_writes_all_queues() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob hi")
    broker.drain()
    notice = "*server* ERR SHUTTING_DOWN - the server is shutting down"
    assert not wants_close(broker, 1)
    assert not wants_close(broker, 2)
    assert broker.take_ready() == [2, 1]
    assert received(broker, 1) == [notice]
    assert received(broker, 2) == ["alice hi", notice]
    for cid in (1, 2):
        assert wants_close(broker, cid)
        broker.disconnect(cid)
    assert broker.connections == 0
    assert broker.snapshot().closes == {"shutting down": 2}


def test_drain_changes_nothing_for_a_connection_that_is_closing() -> None:
    broker = broker_of("alice")
    send(broker, 1, "LOGOUT")
    broker.drain()
    assert received(broker, 1) == []
    broker.disconnect(1)
    assert broker.snapshot().closes == {"logged out": 1}


def test_a_connection_made_while_draining_is_closed_with_a_notice() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.drain()
    broker.connect(1, "peer-1")
    assert broker.take_ready() == [1]
    assert received(broker, 1) == ["*server* ERR SHUTTING_DOWN - the server is shutting down"]
    assert wants_close(broker, 1)


def test_drain_waits_for_a_queue_as_long_as_linger() -> None:
    broker = broker_of("alice", limits=Limits(linger=3.0))
    broker.drain()
    broker.take_ready()
    broker.tick(2.9)
    assert not broker.next_step(1).close
    broker.tick(3.0)
    assert broker.next_step(1).close
    assert broker.take_ready() == [1]


def test_abort_waits_for_no_connection() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob hi")
    broker.drain()
    broker.take_ready()
    broker.abort()
    assert broker.take_ready() == [1, 2]
    assert broker.next_step(1).close
    assert broker.next_step(2).close
    assert bytes(broker.next_step(2).write) == b""


def test_a_full_queue_is_written_before_the_notice() -> None:
    """The notice may exceed the queue's bound, so that no message is lost."""
    broker = broker_of("alice", "bob", limits=TIGHT)
    send(broker, 1, message("alice", "bob", 512))
    broker.drain()
    assert len(received(broker, 2)[0]) == 512 - len("CHAT/1.0 RECEIVE \n")


def test_connections_whose_deadlines_pass_together_are_ready_once_each() -> None:
    broker = broker_of(*(f"user{number}" for number in range(200)), limits=Limits(linger=3.0))
    broker.drain()
    broker.tick(3.0)
    assert broker.take_ready() == list(range(1, 201))
    assert all(broker.next_step(cid).close for cid in range(1, 201))
    broker.tick(6.0)
    assert broker.take_ready() == []


def test_the_grace_overrides_linger_and_the_close_timeout() -> None:
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


def test_a_connection_made_while_draining_gets_no_longer_grace() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(linger=60.0, grace=10.0))
    broker.drain()
    broker.tick(9.0)
    broker.connect(1, "peer-1")
    broker.tick(10.0)
    assert broker.next_step(1).close


def test_drain_closes_a_sender_that_waits_for_a_queue() -> None:
    broker = broker_of("alice", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 2000)
    assert broker.snapshot().waiting == 1
    broker.drain()
    flush(broker)
    assert broker.snapshot().deliveries == 11
    assert (broker.snapshot().waiting, broker.snapshot().queued) == (0, 0)
    assert wants_close(broker, 1)


def test_drain_closes_a_connection_that_waits_for_an_answer() -> None:
    broker = broker_of("alice", ask=True)
    send(broker, 1, "LOGIN ali", "SEND ali hi")
    [question] = broker.take_questions()
    broker.drain()
    broker.answer(question.token, allowed=True)
    assert received(broker, 1) == ["*server* ERR SHUTTING_DOWN - the server is shutting down"]
    assert wants_close(broker, 1)


def test_an_abort_alone_is_a_shutdown_too() -> None:
    broker = broker_of("alice", "bob")
    broker.abort()
    for cid in (1, 2):
        assert close_reason(broker, cid) is CloseReason.SHUTTING_DOWN
    assert broker.connections == 0
