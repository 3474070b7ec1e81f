"""chatproto.server.dispatcher: a message to several connections, some with full queues."""

from chatproto import ChatBroker, CloseReason, Limits
from chatproto.server.flow_control import WINDOW

from .brokers import NARROW, broker_of, close_reason, fill, flush, message, received, send


def group_broker(*names: str, limits: Limits = NARROW) -> ChatBroker[int]:
    """All of these are members of g, and the last one has 1,100 bytes queued."""
    broker = broker_of(*names, limits=limits)
    send(broker, 1, f"GROUP g {' '.join(names)}")
    fill(broker, 1, names[0], names[-1], 1100)
    return broker


def test_a_broadcast_waits_for_a_full_queue_and_reaches_the_others_at_once() -> None:
    broker = group_broker("alice", "bob", "carol", "dave")
    send(broker, 1, "BROADCAST g hi", "BROADCAST g again")
    assert received(broker, 2) == received(broker, 3) == ["alice hi"]
    assert len(broker.next_step(4).write) == 1100
    assert not broker.next_step(1).read
    assert len(received(broker, 4)) == 11
    flush(broker, slow=[2, 3, 4])
    assert received(broker, 2) == received(broker, 3) == ["alice again"]
    assert received(broker, 4) == ["alice hi", "alice again"]
    assert broker.next_step(1).read


def test_a_broadcast_that_waits_is_counted_once() -> None:
    broker = group_broker("alice", "bob", "carol")
    before = broker.snapshot()
    send(broker, 1, "BROADCAST g hi")
    flush(broker)
    after = broker.snapshot()
    assert (after.messages - before.messages, after.deliveries - before.deliveries) == (1, 2)


def test_a_sender_waits_for_one_full_queue_after_another() -> None:
    broker = group_broker("alice", "bob", "carol", "dave")
    fill(broker, 1, "alice", "carol", 1100)
    send(broker, 1, "BROADCAST g hi")
    assert received(broker, 2) == ["alice hi"]
    assert len(received(broker, 4)) == 11
    broker.take_ready()
    # Not yet: the sender waits for carol first.
    assert received(broker, 4) == []
    assert len(received(broker, 3)) == 11
    broker.take_ready()
    assert received(broker, 3) == received(broker, 4) == ["alice hi"]
    assert broker.next_step(1).read


def test_a_broadcast_needs_no_moment_in_which_all_queues_have_room() -> None:
    """Each member has a sender of its own, so its queue is full again at once."""
    broker = group_broker("alice", "bob", "carol", "dave", "erin")
    send(broker, 1, "GROUP h bob carol")
    for sender, name, to in ((4, "dave", "bob"), (5, "erin", "carol")):
        fill(broker, sender, name, to, 10_000)
    send(broker, 1, "BROADCAST h hi")
    lines: list[str] = []
    for cid in (2, 3) * 6:
        lines += [line for line in received(broker, cid) if line == "alice hi"]
        # The queue that was written is full again before the other one is written.
        broker.take_ready()
        assert broker.snapshot().waiting >= 2
    assert lines == ["alice hi"] * 2
    assert broker.next_step(1).read


def test_a_send_to_two_connections_waits_for_the_full_one() -> None:
    broker = broker_of("alice", "bob", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1100)
    received(broker, 2)
    send(broker, 1, "SEND bob hi")
    assert received(broker, 2) == ["alice hi"]
    assert not broker.next_step(1).read
    assert len(received(broker, 3)) == 11
    flush(broker, slow=[2, 3])
    assert (received(broker, 2), received(broker, 3)) == ([], ["alice hi"])


def test_a_connection_made_while_a_message_waits_does_not_receive_it() -> None:
    """Others have received it already, so it is older than the connection."""
    broker = group_broker("alice", "bob", "carol")
    send(broker, 1, "BROADCAST g hi")
    assert received(broker, 2) == ["alice hi"]
    broker.connect(4, "peer-4")
    send(broker, 4, "LOGIN bob")
    flush(broker, slow=[2, 4])
    assert (received(broker, 2), received(broker, 4)) == ([], [])


def test_a_member_that_leaves_while_a_broadcast_waits_does_not_receive_it() -> None:
    broker = group_broker("alice", "bob", "carol")
    send(broker, 1, "BROADCAST g hi")
    send(broker, 3, "LEAVE g")
    assert len(received(broker, 3)) == 11
    flush(broker, slow=[3])
    assert received(broker, 3) == []
    assert broker.next_step(1).read


def test_a_sender_resumes_when_the_slow_member_is_lost() -> None:
    broker = group_broker("alice", "bob", "carol")
    send(broker, 1, "BROADCAST g hi", "SEND bob then")
    broker.disconnect(3)
    flush(broker, slow=[2])
    assert received(broker, 2) == ["alice hi", "alice then"]
    assert broker.snapshot().refusals == {}


def test_a_broadcast_may_close_the_connection_its_sender_waits_for() -> None:
    """What it adds to other queues may exceed the bound of all."""
    limits = Limits(max_line=512, high_water=1000, queue_bytes=2000, total_queue_bytes=2000)
    broker = group_broker("alice", "bob", "carol", "dave", limits=limits)
    fill(broker, 1, "alice", "bob", 800)
    send(broker, 1, message("alice", "carol", 100))
    send(broker, 1, "BROADCAST g hi")
    assert close_reason(broker, 4) is CloseReason.FULL_QUEUES
    flush(broker, slow=[2, 3])
    assert received(broker, 2)[-1] == received(broker, 3)[-1] == "alice hi"
    assert broker.next_step(1).read


def test_a_message_that_has_reached_somebody_is_not_refused_when_the_others_are_gone() -> None:
    broker = broker_of("alice", "bob", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1100)
    received(broker, 2)
    before = broker.snapshot().messages
    send(broker, 1, "SEND bob hi")
    assert received(broker, 2) == ["alice hi"]
    for cid in 2, 3:
        send(broker, cid, "LOGOUT")
    flush(broker)
    assert broker.next_step(1).read
    assert broker.snapshot().refusals == {}
    assert broker.snapshot().messages == before + 1


def test_a_broadcast_that_was_begun_is_not_refused_when_its_sender_leaves() -> None:
    broker = broker_of("bob", "alice", "alice", "carol", limits=NARROW)
    send(broker, 1, "GROUP g alice bob carol")
    fill(broker, 1, "bob", "carol", 1100)
    send(broker, 2, "BROADCAST g hi")
    assert received(broker, 1) == received(broker, 3) == ["alice hi"]
    send(broker, 3, "LEAVE g")
    assert len(received(broker, 4)) == 11
    flush(broker, slow=[4])
    assert received(broker, 4) == ["alice hi"]
    assert broker.next_step(2).read
    assert broker.snapshot().refusals == {}


def test_a_broadcast_that_was_begun_is_not_refused_when_the_group_ends() -> None:
    broker = group_broker("alice", "bob", "carol")
    before = broker.snapshot().messages
    send(broker, 1, "BROADCAST g hi")
    assert received(broker, 2) == ["alice hi"]
    broker.connect(4, "peer-4")
    send(broker, 4, "LOGIN alice", "LEAVE g")
    send(broker, 2, "LEAVE g")
    send(broker, 3, "LEAVE g")
    assert len(received(broker, 3)) == 11
    flush(broker, slow=[3])
    assert received(broker, 3) == []
    assert broker.next_step(1).read
    assert (broker.snapshot().refusals, broker.snapshot().messages) == ({}, before + 1)


# Rule 3 of flow_control.py: a member that stops reading


def test_a_broadcast_does_not_wait_for_a_member_that_stops_reading() -> None:
    broker = group_broker("alice", "bob", "carol")
    send(broker, 1, "BROADCAST g 1", "BROADCAST g 2")
    assert not broker.next_step(1).read
    broker.tick(WINDOW)
    flush(broker, slow=[2, 3])
    assert broker.next_step(1).read
    assert received(broker, 2) == ["alice 1", "alice 2"]
    assert received(broker, 3)[-2:] == ["alice 1", "alice 2"]


def test_a_send_does_not_wait_either_for_a_member_that_stops_reading() -> None:
    broker = group_broker("alice", "bob", "carol", "dave")
    send(broker, 2, "SEND dave hi")
    assert not broker.next_step(2).read
    broker.tick(WINDOW)
    send(broker, 3, "SEND dave hi")
    broker.take_ready()
    assert all(broker.next_step(cid).read for cid in (1, 2, 3))


def test_a_member_that_stops_reading_is_closed_when_its_queue_is_too_long() -> None:
    broker = group_broker("alice", "bob", "carol")
    broker.tick(WINDOW)
    # 39 times 100 bytes more make 5,000.
    for number in range(39):
        send(broker, 1, "BROADCAST g ".ljust(100 - len("CHAT/1.0 RECEIVE alice \n") + 12, "x"))
        assert len(broker.next_step(3).write) == 1100 + 100 * (number + 1)
        received(broker, 2)
    assert broker.next_step(3).read
    send(broker, 1, "BROADCAST g hi")
    assert close_reason(broker, 3) is CloseReason.FULL_QUEUE
    assert received(broker, 2) == ["alice hi"]
    assert broker.next_step(1).read


def test_a_broadcast_waits_for_a_member_that_drains_however_long_that_takes() -> None:
    broker = group_broker("alice", "bob", "carol")
    send(broker, 1, *["BROADCAST g ".ljust(400, "x")] * 100)
    now = 0.0
    while broker.snapshot().queued:
        received(broker, 2)
        broker.sent(3, round(NARROW.drain_rate * WINDOW))
        now += WINDOW
        broker.tick(now)
        broker.take_ready()
        assert len(broker.next_step(3).write) <= 1000 + 512
    assert now > NARROW.queue_age
    assert broker.snapshot().deliveries == 211
    assert broker.snapshot().closes == {}


def test_a_broadcast_waits_for_another_connection_of_its_sender() -> None:
    broker = group_broker("bob", "alice", "alice")
    received(broker, 2)
    send(broker, 2, "BROADCAST g hi")
    assert not broker.next_step(2).read
    assert len(received(broker, 3)) == 11
    flush(broker, slow=[2, 3])
    assert (received(broker, 2), received(broker, 3)) == ([], ["alice hi"])
