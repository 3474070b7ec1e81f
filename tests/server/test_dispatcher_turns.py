"""chatproto.server.dispatcher: turns of connections, and rounds of all together."""

import pytest

from chatproto import ChatBroker, CloseReason, DuplicateLogin, ErrorCode, Limits, Policy
from chatproto.server.dispatcher import SLICE
from chatproto.server.work import ROUND, TURN

from .brokers import broker_of, close_reason, flush, login, received, send, wants_close


def test_a_turn_ends_after_so_many_lines() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LEAVE g\n" * 2 * TURN)
    assert broker.busy
    assert not broker.next_step(1).read
    assert broker.snapshot().refusals.total() == TURN
    assert broker.snapshot().waiting == 0
    send(broker, 2, "SEND alice hi")
    assert received(broker, 1)[-1] == "bob hi"


def test_the_next_turn_comes_with_the_next_tick() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LEAVE g\n" * (2 * TURN + 1))
    broker.tick(0.0)
    assert broker.snapshot().refusals.total() == 2 * TURN
    assert broker.busy
    broker.tick(0.0)
    assert broker.snapshot().refusals.total() == 2 * TURN + 1
    assert not broker.busy
    assert broker.next_step(1).read
    assert broker.take_ready() == [1]
    assert broker.snapshot().queued == len(broker.next_step(1).write)


def test_a_connection_whose_turn_was_just_enough_does_not_wait() -> None:
    broker = broker_of("alice")
    broker.receive(1, b"CHAT/1.0 LEAVE g\n" * TURN)
    assert not broker.busy
    assert broker.next_step(1).read


def test_each_connection_has_its_own_turns() -> None:
    broker = broker_of("alice", "bob")
    for cid in (1, 2):
        broker.receive(cid, b"CHAT/1.0 LEAVE g\n" * 2 * TURN)
    assert broker.snapshot().refusals.total() == 2 * TURN
    broker.tick(0.0)
    assert broker.snapshot().refusals.total() == 4 * TURN
    assert not broker.busy


@pytest.mark.parametrize("between", [b"", b"CHAT/1.0 LEAVE g\n"], ids=["runs", "line by line"])
def test_deliveries_are_work(between: bytes) -> None:
    names = [f"user{number}" for number in range(101)]
    broker = broker_of(*names)
    send(broker, 1, "GROUP g " + " ".join(names))
    line = b"CHAT/1.0 BROADCAST g " + b"x" * 3000 + b"\n" + between
    broker.receive(1, line * 15)
    # Each costs 101 look-ups and 100 deliveries. The line between them costs 1 more.
    for turn in (1, 2, 3):
        assert broker.snapshot().messages == 5 * turn
        assert broker.busy is (turn < 3 or between != b"")
        broker.tick(0.0)
    assert not broker.busy


def test_members_of_a_new_group_are_work() -> None:
    broker = broker_of("alice")
    send(broker, 1, *[f"GROUP g{number} " + "m " * 98 + "m" for number in range(5)])
    assert broker.snapshot().groups == 5
    lines = [f"CHAT/1.0 GROUP h{number} " + "m " * 98 + "m\n" for number in range(20)]
    broker.receive(1, "".join(lines).encode())
    # Each costs 100.
    assert broker.snapshot().groups == 15
    broker.tick(0.0)
    assert broker.snapshot().groups == 25


@pytest.mark.parametrize("between", [b"", b"CHAT/1.0 LEAVE h\n"], ids=["runs", "line by line"])
def test_members_who_are_offline_are_work(between: bytes) -> None:
    broker = broker_of("alice")
    send(broker, 1, "GROUP g " + " ".join(f"m{number}" for number in range(499)) + " alice")
    lines = b"CHAT/1.0 BROADCAST g hi\n" + between
    broker.receive(1, lines * 400)
    assert broker.busy


def test_a_run_of_messages_is_little_work() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 SEND bob hi\n" * 2 * TURN)
    assert not broker.busy
    assert broker.snapshot().messages == 2 * TURN


def test_what_arrives_between_turns_is_executed_in_order() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LEAVE g\n" * TURN + b"CHAT/1.0 SEND bob 1\n")
    broker.receive(1, b"CHAT/1.0 SEND bob 2\nCHAT/1.0 SEND bob 3")
    broker.receive_eof(1)
    assert not broker.next_step(1).close
    broker.tick(0.0)
    assert received(broker, 2) == ["alice 1", "alice 2"]
    assert broker.snapshot().refusals[ErrorCode.TRUNCATED] == 1
    received(broker, 1)
    assert close_reason(broker, 1) is CloseReason.EOF
    assert not broker.busy


def test_a_connection_that_is_closed_waits_for_no_turn() -> None:
    for end in (ChatBroker.drain, lambda broker: broker.disconnect(1)):
        broker = broker_of("alice")
        broker.receive(1, b"CHAT/1.0 LEAVE g\n" * 2 * TURN)
        end(broker)
        assert not broker.busy
        broker.tick(0.0)
        assert broker.snapshot().refusals.total() == TURN


def test_a_full_turn_and_a_full_queue() -> None:
    """A sender that has waited for a queue begins a new turn."""
    broker = broker_of("alice", "bob")
    lines = b"CHAT/1.0 LEAVE g\n" * (TURN - 1)
    broker.receive(1, b"CHAT/1.0 SEND bob " + b"x" * 3000 + b"\n")
    broker.receive(1, (b"CHAT/1.0 SEND bob " + b"x" * 3000 + b"\n") * 21)
    broker.receive(1, lines + b"CHAT/1.0 SEND bob " + b"x" * 3000 + b"\n" + lines * 2)
    assert not broker.next_step(1).read
    flush(broker)
    while broker.busy:
        broker.tick(0.0)
        flush(broker)
    assert broker.next_step(1).read
    assert broker.snapshot().refusals.total() == 3 * (TURN - 1)
    assert broker.snapshot().messages == 23


# Rounds


USERS = [f"user{number}" for number in range(10)]
MUCH = b"CHAT/1.0 LEAVE g\n" * TURN * 2


def test_a_round_ends_after_so_many_lines_of_all_together() -> None:
    broker = broker_of(*USERS, "alice", "bob")
    cids = range(1, len(USERS) + 1)
    broker.receive_all([*((cid, MUCH) for cid in cids), (11, b"CHAT/1.0 SEND bob hi\n")])
    assert broker.snapshot().refusals.total() == ROUND
    # One message on the fast path is executed all the same.
    assert received(broker, 12) == ["alice hi"]
    for rounds in range(2, len(USERS) * 2 * TURN // ROUND + 1):
        assert broker.busy
        assert not broker.next_step(len(USERS)).read
        broker.tick(0.0)
        assert broker.snapshot().refusals.total() == ROUND * rounds
    assert not broker.busy
    assert all(broker.next_step(cid).read for cid in cids)
    assert broker.snapshot().queued == sum(len(broker.next_step(cid).write) for cid in cids)


def test_what_waits_for_the_next_round_keeps_its_order() -> None:
    broker = broker_of(*USERS, "alice", "bob")
    broker.receive_all([(cid, MUCH) for cid in (1, 2)])
    broker.receive_all([(1, MUCH), (2, MUCH), (11, b"CHAT/1.0 SEND bob 1\r\nCHAT/1.0 SEND bo")])
    assert received(broker, 12) == ["alice 1"]
    broker.receive_all([(cid, MUCH) for cid in (3, 4)] + [(11, b"b 2\nCHAT/1.0 SEND bob 3\n")])
    broker.receive(11, b"CHAT/1.0 SEND bob 4\n")
    assert received(broker, 12) == []
    while broker.busy:
        broker.tick(0.0)
    assert received(broker, 12) == ["alice 2", "alice 3", "alice 4"]


def test_a_connection_may_be_replaced_while_it_waits_for_a_turn() -> None:
    broker = broker_of("alice", "bob", policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    line = b"CHAT/1.0 LEAVE g\n"
    broker.receive_all([(1, line * TURN + b"CHAT/1.0 LOGIN bob\n"), (2, line * (TURN + 1))])
    broker.tick(0.0)
    assert broker.snapshot().refusals.total() == 2 * TURN
    received(broker, 2)
    assert wants_close(broker, 2)
    assert close_reason(broker, 2) is CloseReason.REPLACED
    assert not broker.busy


def test_lines_cut_by_slices_are_executed_whole() -> None:
    """A slice may be shorter than a line."""
    broker = broker_of("alice", "bob")
    data = b"x" * (4000 - SLICE % 7)
    broker.receive(1, (b"CHAT/1.0 SEND bob %b\n\n" % data) * 3)
    assert received(broker, 2) == ["alice " + data.decode()] * 3
    assert broker.snapshot().refusals.total() == 3


def test_an_answer_after_the_round_is_executed_in_the_next_round() -> None:
    broker = broker_of("alice", "bob", ask=True)
    login(broker, 3, "carol")
    [question] = broker.take_questions()
    broker.receive_all([(1, MUCH), (2, MUCH)])
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().logins == 2
    broker.tick(0.0)
    broker.tick(0.0)
    assert broker.snapshot().logins == 3


@pytest.mark.parametrize("spaces", range(0, TURN, 7))
def test_no_end_of_a_turn_hides_that_there_are_too_many_bad_lines(spaces: int) -> None:
    broker = broker_of("alice")
    broker.receive(1, b"x".ljust(spaces, b" ") + b"\n" + b"x       \n" * 200)
    for _ in range(10):
        broker.tick(0.0)
    assert broker.snapshot().refusals.total() == 100
    assert wants_close(broker, 1) or broker.next_step(1).write
    assert broker.snapshot().users == 0


def test_groups_are_looked_for_at_a_cost() -> None:
    limits = Limits(max_groups=TURN, max_groups_per_connection=10**6)
    broker = broker_of("alice", limits=limits)
    for number in range(TURN):
        send(broker, 1, f"GROUP g{number} a b c")
    broker.tick(0.0)
    broker.receive(1, b"CHAT/1.0 GROUP new a\n" * TURN)
    assert broker.snapshot().refusals.total() < TURN / 10
    assert broker.busy


def test_a_broadcast_that_is_tried_once_more_is_work_each_time() -> None:
    members = " ".join(f"user{number}" for number in range(300))
    broker = broker_of("alice", "user0", limits=Limits(max_line=4096, high_water=100))
    send(broker, 1, f"GROUP g alice {members}", "BROADCAST g " + "x" * 200)
    broker.tick(0.0)
    send(broker, 1, "BROADCAST g hi")
    assert not broker.next_step(1).read
    assert broker._dispatcher.work.turn > 300


def test_what_expires_at_one_moment_is_dealt_with_in_rounds() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=1.0))
    for cid in range(ROUND + 5):
        broker.connect(cid, "somewhere")
    ends = []
    for _ in range(2):
        broker.tick(1.0)
        ends.append(sum(broker._by_id[cid].close_reason is not None for cid in range(ROUND + 5)))
    assert ends == [ROUND, ROUND + 5]
