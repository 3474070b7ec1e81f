"""chatproto.server.dispatcher: how much is done before others have their turn."""

import pytest

from chatproto import ChatBroker, CloseReason, DuplicateLogin, ErrorCode, Policy
from chatproto.server.dispatcher import SLICE
from chatproto.server.work import ROUND, TURN

from .brokers import broker_of, close_reason, flush, login, received, send, wants_close


def test_who_says_much_waits_for_the_others() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LEAVE g\n" * 2 * TURN)
    assert broker.busy
    assert not broker.next_step(1).read
    assert broker.snapshot().refusals.total() == TURN
    assert broker.snapshot().waiting == 0
    send(broker, 2, "SEND alice hi")
    assert received(broker, 1)[-1] == "bob hi"


def test_its_turn_comes_with_the_next_tick() -> None:
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


def test_a_turn_that_is_just_enough() -> None:
    broker = broker_of("alice")
    broker.receive(1, b"CHAT/1.0 LEAVE g\n" * TURN)
    assert not broker.busy
    assert broker.next_step(1).read


def test_each_of_them_has_turns() -> None:
    broker = broker_of("alice", "bob")
    for cid in (1, 2):
        broker.receive(cid, b"CHAT/1.0 LEAVE g\n" * 2 * TURN)
    assert broker.snapshot().refusals.total() == 2 * TURN
    broker.tick(0.0)
    assert broker.snapshot().refusals.total() == 4 * TURN
    assert not broker.busy


@pytest.mark.parametrize("between", [b"", b"CHAT/1.0 LEAVE g\n"], ids=["runs", "line by line"])
def test_deliveries_count(between: bytes) -> None:
    names = [f"user{number}" for number in range(101)]
    broker = broker_of(*names)
    send(broker, 1, "GROUP g " + " ".join(names))
    line = b"CHAT/1.0 BROADCAST g " + b"x" * 3000 + b"\n" + between
    broker.receive(1, line * 15)
    # Each costs the look-up of 101 and a hundred deliveries, and 1 more with what is between.
    for turn in (1, 2, 3):
        assert broker.snapshot().messages == 5 * turn
        assert broker.busy is (turn < 3 or between != b"")
        broker.tick(0.0)
    assert not broker.busy


def test_members_of_groups_count() -> None:
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
def test_members_who_are_not_there_count(between: bytes) -> None:
    broker = broker_of("alice")
    send(broker, 1, "GROUP g " + " ".join(f"m{number}" for number in range(499)) + " alice")
    lines = b"CHAT/1.0 BROADCAST g hi\n" + between
    broker.receive(1, lines * 400)
    assert broker.busy


def test_runs_are_cheap() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 SEND bob hi\n" * 2 * TURN)
    assert not broker.busy
    assert broker.snapshot().messages == 2 * TURN


def test_what_arrives_meanwhile_and_the_end_keep_their_order() -> None:
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


def test_who_is_closed_waits_for_no_turn() -> None:
    for end in (ChatBroker.drain, lambda broker: broker.disconnect(1)):
        broker = broker_of("alice")
        broker.receive(1, b"CHAT/1.0 LEAVE g\n" * 2 * TURN)
        end(broker)
        assert not broker.busy
        broker.tick(0.0)
        assert broker.snapshot().refusals.total() == TURN


def test_a_full_turn_and_a_full_queue() -> None:
    """Waiting for a queue comes first; the turn after it is a new one."""
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


# All together


CROWD = [f"user{number}" for number in range(10)]
MUCH = b"CHAT/1.0 LEAVE g\n" * TURN * 2


def test_all_together_do_not_take_longer_than_a_round() -> None:
    broker = broker_of(*CROWD, "alice", "bob")
    news = [(cid, MUCH) for cid, _ in enumerate(CROWD, 1)]
    broker.receive_all([*news, (11, b"CHAT/1.0 SEND bob hi\n")])
    assert broker.snapshot().refusals.total() == ROUND
    # Who only has something to say waits for nobody who has much.
    assert received(broker, 12) == ["alice hi"]
    for rounds in range(2, len(CROWD) * 2 * TURN // ROUND + 1):
        assert broker.busy
        assert not broker.next_step(len(CROWD)).read
        broker.tick(0.0)
        assert broker.snapshot().refusals.total() == ROUND * rounds
    assert not broker.busy
    assert all(broker.next_step(cid).read for cid, _ in news)
    assert broker.snapshot().queued == sum(len(broker.next_step(cid).write) for cid, _ in news)


def test_what_had_to_wait_for_the_next_round_keeps_its_order() -> None:
    broker = broker_of(*CROWD, "alice", "bob")
    broker.receive_all([(cid, MUCH) for cid in (1, 2)])
    broker.receive_all([(1, MUCH), (2, MUCH), (11, b"CHAT/1.0 SEND bob 1\r\nCHAT/1.0 SEND bo")])
    assert received(broker, 12) == ["alice 1"]
    broker.receive_all([(cid, MUCH) for cid in (3, 4)] + [(11, b"b 2\nCHAT/1.0 SEND bob 3\n")])
    broker.receive(11, b"CHAT/1.0 SEND bob 4\n")
    assert received(broker, 12) == []
    while broker.busy:
        broker.tick(0.0)
    assert received(broker, 12) == ["alice 2", "alice 3", "alice 4"]


def test_who_is_replaced_while_waiting_for_a_turn() -> None:
    broker = broker_of("alice", "bob", policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    line = b"CHAT/1.0 LEAVE g\n"
    broker.receive_all([(1, line * TURN + b"CHAT/1.0 LOGIN bob\n"), (2, line * (TURN + 1))])
    broker.tick(0.0)
    assert broker.snapshot().refusals.total() == 2 * TURN
    received(broker, 2)
    assert reason_after_leaving(broker, 2) is CloseReason.REPLACED
    assert not broker.busy


def reason_after_leaving(broker: ChatBroker[int], cid: int) -> CloseReason:
    assert wants_close(broker, cid)
    return close_reason(broker, cid)


def test_a_slice_is_less_than_a_line_may_be() -> None:
    """Lines that are cut in pieces are put together again, whatever comes around them."""
    broker = broker_of("alice", "bob")
    data = b"x" * (4000 - SLICE % 7)
    broker.receive(1, (b"CHAT/1.0 SEND bob %b\n\n" % data) * 3)
    assert received(broker, 2) == ["alice " + data.decode()] * 3
    assert broker.snapshot().refusals.total() == 3


def test_an_answer_after_the_round_resumes_in_the_next_one() -> None:
    broker = broker_of("alice", "bob", ask=True)
    login(broker, 3, "carol")
    [question] = broker.take_questions()
    broker.receive_all([(1, MUCH), (2, MUCH)])
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().logins == 2
    broker.tick(0.0)
    broker.tick(0.0)
    assert broker.snapshot().logins == 3
