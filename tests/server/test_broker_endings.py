"""chatproto.server.broker: how a connection ends, and what a duplicate login does."""

from dataclasses import replace

import pytest

from chatproto import CloseReason, DuplicateLogin, Limits, Policy
from chatproto.server.dispatcher import SLICE

from .brokers import (
    TIGHT,
    broker_of,
    close_reason,
    half_close,
    log,
    login,
    message,
    received,
    send,
    wants_close,
)


def test_logout_closes_the_connection_once_its_queue_is_written() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 2, "SEND alice hi")
    send(broker, 1, "LOGOUT")
    assert not wants_close(broker, 1)
    assert received(broker, 1) == ["bob hi"]
    assert wants_close(broker, 1)
    broker.disconnect(1)
    assert broker.connections == 1
    assert broker.snapshot().closes == {"logged out": 1}


def test_nothing_after_logout_is_executed() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LOGOUT\nCHAT/1.0 SEND bob hi\n")
    send(broker, 1, "SEND bob hi")
    broker.receive_eof(1)
    assert received(broker, 2) == []
    assert received(broker, 1) == []


def test_nothing_far_behind_logout_is_executed() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LOGOUT\n".ljust(2 * SLICE, b"x") + b"\nCHAT/1.0 SEND bob hi\n")
    assert received(broker, 2) == []
    assert broker.snapshot().refusals == {}


def test_a_connection_that_is_closing_receives_no_messages() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "LOGOUT")
    send(broker, 2, "SEND alice hi")
    assert received(broker, 1) == []
    assert "ERR NO_SUCH_USER" in received(broker, 2)[0]


def test_the_end_of_a_stream_closes_the_connection_once_its_queue_is_written() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 2, "SEND alice hi")
    broker.take_ready()
    broker.receive_eof(1)
    assert broker.take_ready() == [1]
    assert not broker.next_step(1).read
    assert received(broker, 1) == ["bob hi"]
    assert broker.next_step(1).close
    broker.disconnect(1)
    assert broker.snapshot().closes == {"end of stream": 1}


def test_a_line_without_an_end_is_refused_as_truncated() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 SEND bob hi")
    broker.receive_eof(1)
    assert received(broker, 2) == []
    assert received(broker, 1) == [
        "*server* ERR TRUNCATED SEND the line has no end and was not executed"
    ]
    assert broker.next_step(1).close


def test_too_many_bad_lines_in_a_row_close_the_connection_with_a_notice() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"junk\n" * 99)
    assert broker.next_step(1).read
    broker.receive(1, b"junk\nCHAT/1.0 SEND bob hi\n")
    assert received(broker, 1)[-1] == "*server* ERR TOO_MANY - too many bad lines in a row"
    assert received(broker, 2) == []
    assert wants_close(broker, 1)
    broker.disconnect(1)
    assert broker.snapshot().closes == {"too many bad lines": 1}


def test_a_lost_connection_is_forgotten() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 2, "SEND alice hi")
    broker.disconnect(1)
    assert broker.take_ready() == []
    assert broker.snapshot().closes == {"connection lost": 1}
    broker.disconnect(1)
    assert broker.snapshot().closes == {"connection lost": 1}
    send(broker, 2, "SEND alice hi")
    assert "ERR NO_SUCH_USER" in received(broker, 2)[0]


def test_an_id_is_taken_until_disconnect() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 2, "SEND alice hi")
    send(broker, 1, "LOGOUT")
    with pytest.raises(ValueError, match="1 is connected already"):
        broker.connect(1, "somebody else")
    assert received(broker, 1) == ["bob hi"]
    broker.disconnect(1)
    broker.connect(1, "somebody else")
    assert broker.snapshot().queued == 0


def test_a_queue_that_is_not_written_within_linger_is_dropped() -> None:
    broker = broker_of("alice", "bob", limits=Limits(linger=10.0))
    broker.tick(100.0)
    send(broker, 2, "SEND alice hi")
    send(broker, 1, "LOGOUT")
    broker.take_ready()
    broker.tick(109.9)
    assert broker.take_ready() == []
    assert not broker.next_step(1).close
    broker.tick(110.0)
    assert broker.take_ready() == [1]
    assert broker.next_step(1).close
    assert bytes(broker.next_step(1).write) == b""


def test_after_our_half_close_the_peer_has_the_close_timeout() -> None:
    """What it sends in the meantime is read and thrown away.

    To close a socket with unread data takes back what the peer has not read.
    """
    broker = broker_of("alice", "bob", limits=Limits(close_timeout=2.0))
    broker.tick(100.0)
    send(broker, 1, "LOGOUT")
    broker.take_ready()
    assert half_close(broker, 1)
    assert not half_close(broker, 1)
    assert broker.next_step(1).read
    send(broker, 1, "SEND bob ghost")
    assert received(broker, 2) == []
    broker.tick(101.9)
    assert not broker.next_step(1).close
    assert broker.take_ready() == []
    broker.tick(102.0)
    assert broker.next_step(1).close
    assert broker.take_ready() == [1]


def test_a_peer_that_has_ended_its_half_is_not_waited_for() -> None:
    broker = broker_of("alice", "bob")
    broker.receive_eof(1)
    assert not broker.next_step(1).read
    assert not half_close(broker, 1)
    assert broker.next_step(1).close
    send(broker, 2, "LOGOUT")
    assert half_close(broker, 2)
    broker.take_ready()
    broker.receive_eof(2)
    assert broker.take_ready() == [2]
    assert broker.next_step(2).close


def test_a_connection_that_is_gone_has_no_deadline() -> None:
    broker = broker_of("alice", "bob", "carol")
    send(broker, 1, "LOGOUT")
    broker.tick(5.0)
    send(broker, 2, "LOGOUT")
    broker.disconnect(1)
    broker.take_ready()
    broker.tick(14.0)
    assert broker.take_ready() == []
    broker.tick(15.0)
    assert broker.take_ready() == [2]
    broker.tick(1e9)
    assert broker.take_ready() == []
    assert broker.next_step(3).read


def test_notices_that_fill_the_queue_close_the_connection() -> None:
    """No notice waits for a full queue."""
    broker = broker_of("alice", "bob", limits=TIGHT)
    broker.receive(1, b"CHAT/1.0 SEND x hi\n" * 20 + b"CHAT/1.0 SEND bob hi\n")
    assert close_reason(broker, 1) is CloseReason.FULL_QUEUE
    assert received(broker, 2) == []


def test_above_the_bound_of_all_queues_a_connection_that_is_closing_is_aborted() -> None:
    limits = replace(TIGHT, queue_bytes=1024, total_queue_bytes=1024)
    broker = broker_of("alice", "bob", limits=limits)
    send(broker, 1, message("alice", "alice", 512), message("alice", "alice", 100), "LOGOUT")
    send(broker, 2, message("bob", "bob", 512))
    assert broker.next_step(1).close
    assert broker.snapshot().queued == 512
    assert close_reason(broker, 1) is CloseReason.LOGGED_OUT


def test_a_waiting_sender_that_exceeds_the_bound_of_all_is_closed() -> None:
    limits = Limits(max_line=512, queue_bytes=1024, total_queue_bytes=4096, rate=1.0)
    broker = broker_of(limits=limits)
    login(broker, 1, "alice")
    broker.connect(2, "peer-2")
    broker.receive(1, b"CHAT/1.0 SEND alice hi\n")
    broker.receive(1, b"x" * 4096)
    assert not broker.next_step(1).read
    assert broker.connections == 2
    broker.receive(1, b"x")
    assert broker.snapshot().queued == 0
    assert close_reason(broker, 1) is CloseReason.FULL_QUEUES
    assert broker.next_step(2).read


def test_a_refused_login_that_fills_the_queue_closes_the_connection() -> None:
    limits = replace(TIGHT, max_name=5)
    broker = broker_of("alice", "bob", limits=limits)
    send(broker, 1, message("alice", "alice", 500))
    broker.receive(1, b"CHAT/1.0 LOGIN longer\nCHAT/1.0 SEND bob hi\n")
    assert close_reason(broker, 1) is CloseReason.FULL_QUEUE
    assert received(broker, 2) == []


def test_a_write_makes_room_in_a_queue() -> None:
    broker = broker_of("alice", "bob", limits=TIGHT)
    for _ in range(50):
        send(broker, 1, "SEND bob " + "x" * 400)
        assert received(broker, 2) == ["alice " + "x" * 400]


def test_messages_to_the_server_get_no_answer_before_login_or_malformed() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    broker.connect(2, "peer")
    send(broker, 2, "SEND *server* hello", "SEND *server*", "LOGIN alice", "SEND *server* hello")
    assert received(broker, 2) == ["*server* ERR NAME_IN_USE LOGIN alice is logged in already"]
    assert broker.snapshot().refusals == {"NAME_IN_USE": 1}


def test_two_logins_in_one_read_are_both_logged() -> None:
    broker = broker_of()
    broker.connect(1, "peer")
    broker.receive(1, b"CHAT/1.0 LOGIN a\nCHAT/1.0 GROUP g a\nCHAT/1.0 LOGIN b\nCHAT/1.0 LOGIN b\n")
    assert log(broker)[1:] == [
        "logged in a (peer)",
        "group made g by a (peer)",
        "logged in b (peer)",
    ]
    assert broker.snapshot().logins == 2


# Duplicate logins


def test_share_delivers_to_both() -> None:
    broker = broker_of("alice", "bob", "bob")
    send(broker, 1, "SEND bob hi")
    assert received(broker, 2) == received(broker, 3) == ["alice hi"]
    assert broker.snapshot().deliveries == 2


def test_reject_refuses_the_second_login() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    login(broker, 2, "alice")
    assert received(broker, 2) == ["*server* ERR NAME_IN_USE LOGIN alice is logged in already"]
    send(broker, 2, "SEND alice hi")
    assert received(broker, 2) == ["*server* ERR NOT_LOGGED_IN SEND log in first"]
    assert log(broker) == [
        "accepted from peer-2",
        "login refused alice (peer-2): NAME_IN_USE alice is logged in already",
    ]
    send(broker, 2, "LOGIN bob", "SEND alice hi")
    assert received(broker, 1) == ["bob hi"]
    assert broker.snapshot().logins == 2


def test_replace_closes_the_first_connection() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    login(broker, 2, "alice")
    assert not wants_close(broker, 1)
    assert received(broker, 1) == [
        "*server* ERR NAME_IN_USE - somebody else has logged in under your name"
    ]
    assert wants_close(broker, 1)
    broker.disconnect(1)
    assert log(broker) == [
        "accepted from peer-2",
        "logged in alice (peer-2)",
        "closed alice (peer-1): replaced",
    ]
    send(broker, 2, "SEND alice me")
    assert received(broker, 2) == ["alice me"]
