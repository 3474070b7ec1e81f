"""chatproto.server.dispatcher: a SEND to a full queue, and what its sender sends after it."""

import pytest

from chatproto import ChatBroker, CloseReason, DuplicateLogin, Limits, Policy
from chatproto.server.dispatcher import SLICE
from chatproto.server.flow_control import WINDOW

from .brokers import (
    NARROW,
    TIGHT,
    answer,
    broker_of,
    close_reason,
    fill,
    flush,
    message,
    received,
    send,
    wants_close,
)

# With NARROW, a queue of 1,100 bytes is full until 600 of them are written.

BLOCKED = f"CHAT/1.0 {message('alice', 'bob', 100)}\n"
"""The line that `waiting_broker` waits with."""


def waiting_broker(*names: str, policy: Policy = Policy()) -> ChatBroker[int]:
    """The first of these waits with one line for the second, who has 1,100 bytes queued."""
    broker = broker_of(*names, limits=NARROW, policy=policy)
    fill(broker, 1, names[0], names[1], 1200)
    assert not broker.next_step(1).read
    assert broker.snapshot().waiting == 1
    return broker


def send_numbers(broker: ChatBroker[int], cid: int, sender: str, to: str, *numbers: int) -> None:
    for number in numbers:
        line = f"CHAT/1.0 RECEIVE {sender} {number} "
        send(broker, cid, f"SEND {to} {number} " + "x" * (99 - len(line)))


def numbers(lines: list[str]) -> list[int]:
    return [int(line.split(" ")[1]) for line in lines]


def test_a_sender_waits_for_a_full_queue() -> None:
    broker = broker_of("alice", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1000)
    assert broker.next_step(1).read
    send(broker, 1, message("alice", "bob", 100))
    assert broker.next_step(1).read
    send(broker, 1, message("alice", "bob", 100))
    assert not broker.next_step(1).read
    assert len(broker.next_step(2).write) == 1100
    assert broker.snapshot().deliveries == 11
    assert broker.take_ready() == [2, 1]


def test_a_sender_resumes_when_half_of_the_queue_is_left() -> None:
    broker = waiting_broker("alice", "bob")
    broker.take_ready()
    broker.sent(2, 599)
    assert broker.take_ready() == []
    assert not broker.next_step(1).read
    broker.sent(2, 1)
    assert broker.take_ready() == [1]
    assert broker.next_step(1).read
    assert len(broker.next_step(2).write) == 600
    assert broker.snapshot().waiting == 0


def test_a_recipient_is_ready_when_its_sender_resumes() -> None:
    broker = waiting_broker("alice", "bob")
    broker.take_ready()
    broker.sent(2, 1100)
    assert set(broker.take_ready()) == {1, 2}
    assert len(broker.next_step(2).write) == 100


def test_other_senders_do_not_wait() -> None:
    broker = waiting_broker("alice", "bob", "carol", "dave")
    send(broker, 3, "SEND dave hi", "SEND alice hi")
    assert received(broker, 4) == received(broker, 1) == ["carol hi"]
    assert broker.next_step(3).read
    assert broker.next_step(2).read
    send(broker, 2, "SEND dave slow, not waiting")
    assert received(broker, 4) == ["bob slow, not waiting"]


@pytest.mark.parametrize("whole", [True, False])
def test_what_a_waiting_sender_sends_is_executed_later_in_order(whole: bool) -> None:
    broker = waiting_broker("alice", "bob", "carol")
    commands = ["SEND carol 1", "SEND nobody x", "LOGIN ali", "SEND carol 2", "LOGOUT"]
    stream = "".join(f"CHAT/1.0 {command}\n" for command in commands).encode()
    for chunk in [stream] if whole else [bytes([byte]) for byte in stream]:
        broker.receive(1, chunk)
    assert (broker.snapshot().logins, broker.snapshot().queued) == (
        3,
        1100 + len(BLOCKED) + len(stream),
    )
    assert received(broker, 3) == []
    flush(broker, slow=[1, 3])
    assert received(broker, 3) == ["alice 1", "ali 2"]
    assert received(broker, 1) == ["*server* ERR NO_SUCH_USER SEND nobody is not online"]
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.LOGGED_OUT


def test_the_end_of_a_waiting_senders_stream_is_executed_later() -> None:
    broker = waiting_broker("alice", "bob", "carol")
    broker.receive(1, b"CHAT/1.0 SEND carol hi\nCHAT/1.0 SEND carol half")
    broker.receive_eof(1)
    assert not broker.next_step(1).close
    send(broker, 3, "SEND alice still online")
    flush(broker, slow=[1, 3])
    assert received(broker, 3) == ["alice hi"]
    assert received(broker, 1) == [
        "carol still online",
        "*server* ERR TRUNCATED SEND the line has no end and was not executed",
    ]
    assert close_reason(broker, 1) is CloseReason.EOF


def test_a_waiting_senders_logout_comes_before_the_end_of_its_stream() -> None:
    broker = waiting_broker("alice", "bob")
    send(broker, 1, "LOGOUT", "SEND bob ghost")
    broker.receive_eof(1)
    flush(broker)
    assert broker.snapshot().deliveries == 12
    assert close_reason(broker, 1) is CloseReason.LOGGED_OUT


def test_bad_lines_of_a_waiting_sender_are_counted_later() -> None:
    broker = waiting_broker("alice", "bob", "carol")
    broker.receive(1, b"junk\n" * 100 + b"CHAT/1.0 SEND carol hi\n")
    flush(broker, slow=[3])
    assert received(broker, 3) == []
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.BAD_LINES


def test_many_lines_stay_in_order_however_often_their_sender_waits() -> None:
    broker = broker_of("alice", "bob", limits=NARROW)
    stream = b"".join(f"CHAT/1.0 SEND bob {number}\n".encode() for number in range(2000))
    assert len(stream) > 5 * SLICE
    broker.receive(1, stream)
    got: list[int] = []
    while broker.snapshot().queued:
        assert len(broker.next_step(2).write) <= 1000 + 512
        size = len(broker.next_step(2).write)
        assert broker.snapshot().queued <= size + len(stream)
        got += numbers(received(broker, 2))
        broker.take_ready()
        if broker.busy:
            broker.tick(0.0)
    assert got == list(range(2000))
    assert broker.next_step(1).read


def test_senders_that_wait_for_one_queue_take_turns() -> None:
    broker = broker_of("alice", "carol", "bob", limits=NARROW)
    send_numbers(broker, 1, "alice", "bob", *range(40))
    send_numbers(broker, 2, "carol", "bob", *range(100, 140))
    turns: list[int] = []
    while broker.snapshot().queued:
        turns += numbers(received(broker, 3))
        broker.take_ready()
    assert [each for each in turns if each < 100] == list(range(40))
    assert [each for each in turns if each >= 100] == list(range(100, 140))
    # The first fills the queue, then the next one does.
    assert turns[:44] == [*range(22), *range(100, 111), *range(22, 33)]


def test_a_sender_may_wait_for_its_own_queue() -> None:
    broker = broker_of("alice", limits=NARROW)
    send_numbers(broker, 1, "alice", "alice", *range(15))
    assert not broker.next_step(1).read
    assert numbers(received(broker, 1)) == list(range(11))
    broker.take_ready()
    assert broker.next_step(1).read
    assert numbers(received(broker, 1)) == list(range(11, 15))


def test_two_senders_may_wait_for_each_other() -> None:
    broker = broker_of("alice", "bob", limits=NARROW)
    send_numbers(broker, 1, "alice", "bob", *range(15))
    send_numbers(broker, 2, "bob", "alice", *range(15))
    assert broker.snapshot().waiting == 2
    flush(broker)
    assert broker.snapshot().deliveries == 30
    assert (broker.snapshot().queued, broker.snapshot().waiting) == (0, 0)


# What may happen while a sender waits


def test_the_recipient_is_lost() -> None:
    broker = waiting_broker("alice", "bob", "carol")
    send(broker, 1, "SEND carol hi")
    broker.disconnect(2)
    flush(broker, slow=[1, 3])
    assert received(broker, 1) == ["*server* ERR NO_SUCH_USER SEND bob is not online"]
    assert received(broker, 3) == ["alice hi"]


def test_the_recipient_logs_out_and_gets_its_queue() -> None:
    broker = waiting_broker("alice", "bob")
    send(broker, 2, "LOGOUT")
    broker.take_ready()
    assert received(broker, 1) == ["*server* ERR NO_SUCH_USER SEND bob is not online"]
    assert len(received(broker, 2)) == 11
    assert wants_close(broker, 2)


def test_the_recipient_is_too_slow() -> None:
    broker = waiting_broker("alice", "bob", "carol")
    send(broker, 1, "SEND carol hi")
    broker.sent(2, 0)
    broker.tick(WINDOW - 0.01)
    assert not broker.next_step(1).read
    # It has stopped: its queue may grow, and its sender goes on.
    broker.tick(WINDOW)
    broker.take_ready()
    assert broker.next_step(1).read
    assert received(broker, 3) == ["alice hi"]
    assert broker.snapshot().deliveries == 13
    broker.tick(10.0)
    send(broker, 1, "SEND bob hi")
    assert received(broker, 1) == ["*server* ERR NO_SUCH_USER SEND bob is not online"]
    assert close_reason(broker, 2) is CloseReason.SLOW_CONSUMER


def test_the_recipient_does_not_read_and_its_queue_is_too_long() -> None:
    broker = waiting_broker("alice", "bob")
    broker.sent(2, 0)
    broker.tick(WINDOW)
    broker.take_ready()
    fill(broker, 1, "alice", "bob", 4000)
    assert broker.next_step(1).read
    assert received(broker, 1) == ["*server* ERR NO_SUCH_USER SEND bob is not online"]
    assert close_reason(broker, 2) is CloseReason.FULL_QUEUE


def test_the_recipient_is_replaced() -> None:
    """The waiting message goes to the new connection."""
    replace = Policy(duplicate_login=DuplicateLogin.REPLACE)
    broker = waiting_broker("alice", "bob", "carol", policy=replace)
    send(broker, 3, "LOGIN bob")
    flush(broker, slow=[2, 3])
    assert len(received(broker, 3)) == 1
    assert len(received(broker, 2)) == 12
    assert wants_close(broker, 2)
    assert broker.next_step(1).read


def test_the_recipient_is_renamed() -> None:
    """The sender waits for the same queue; its message then goes to the name's new owner."""
    broker = waiting_broker("alice", "bob", "carol")
    send(broker, 2, "LOGIN rob")
    send(broker, 3, "LOGIN bob")
    assert not broker.next_step(1).read
    flush(broker, slow=[3])
    assert len(received(broker, 3)) == 1


def test_the_sender_is_lost() -> None:
    broker = waiting_broker("alice", "bob", "carol")
    send(broker, 1, "SEND carol hi")
    send(broker, 3, message("carol", "bob", 100))
    broker.disconnect(1)
    assert broker.snapshot().waiting == 1
    flush(broker, slow=[2])
    assert broker.snapshot().queued == 1100 + len(BLOCKED)
    received(broker, 2)
    broker.take_ready()
    assert received(broker, 2)[0].startswith("carol ")


def test_the_sender_is_replaced() -> None:
    replace = Policy(duplicate_login=DuplicateLogin.REPLACE)
    broker = waiting_broker("alice", "bob", "carol", policy=replace)
    send(broker, 1, "SEND carol hi")
    send(broker, 3, "LOGIN alice")
    flush(broker, slow=[1])
    assert (broker.snapshot().waiting, broker.snapshot().deliveries) == (0, 11)
    assert "ERR NAME_IN_USE" in received(broker, 1)[0]
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.REPLACED


def test_the_sender_is_lost_when_it_could_resume() -> None:
    broker = waiting_broker("alice", "bob")
    broker.sent(2, 1100)
    broker.disconnect(1)
    flush(broker)
    assert broker.snapshot().deliveries == 11
    assert broker.snapshot().queued == 0


def test_a_connection_does_not_age_while_it_is_kept_waiting() -> None:
    broker = broker_of("alice", "bob", ask=True, limits=Limits(auth_timeout=60.0))
    send(broker, 1, "LOGIN ali")
    send(broker, 2, "SEND alice hi")
    broker.sent(1, 0)
    broker.tick(30.0)
    assert broker.snapshot().closes == {}
    answer(broker, True)
    broker.tick(39.9)
    assert broker.next_step(1).read
    broker.tick(40.0)
    assert close_reason(broker, 1) is CloseReason.SLOW_CONSUMER


def test_a_message_that_is_too_long_does_not_wait() -> None:
    broker = waiting_broker("alice", "bob", "a-longer-name")
    send(broker, 3, "SEND bob ".ljust(500, "x"))
    assert "ERR LINE_TOO_LONG SEND" in received(broker, 3)[0]
    assert broker.next_step(3).read


def test_the_notice_about_a_line_that_is_not_whole_is_one_too_many() -> None:
    broker = broker_of("alice", "bob", limits=TIGHT)
    send(broker, 1, message("alice", "bob", 500))
    broker.receive(2, b"CHAT/1.0 SEND alice half")
    broker.receive_eof(2)
    assert close_reason(broker, 2) is CloseReason.FULL_QUEUE
