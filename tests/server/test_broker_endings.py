"""chatproto.server.broker: how connections end."""

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

# How connections end


def test_logout_closes_once_the_queue_is_written() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 2, "SEND alice hi")
    send(broker, 1, "LOGOUT")
    assert not wants_close(broker, 1)
    assert received(broker, 1) == ["bob hi"]
    assert wants_close(broker, 1)
    broker.disconnect(1)
    assert broker.connections == 1
    assert broker.snapshot().closes == {"logged out": 1}


def test_nothing_after_logout_runs() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LOGOUT\nCHAT/1.0 SEND bob hi\n")
    send(broker, 1, "SEND bob hi")
    broker.receive_eof(1)
    assert received(broker, 2) == []
    assert received(broker, 1) == []


def test_not_even_what_is_far_behind_it() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LOGOUT\n".ljust(2 * SLICE, b"x") + b"\nCHAT/1.0 SEND bob hi\n")
    assert received(broker, 2) == []
    assert broker.snapshot().refusals == {}


def test_nobody_hears_of_a_connection_that_is_ending() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "LOGOUT")
    send(broker, 2, "SEND alice hi")
    assert received(broker, 1) == []
    assert "ERR NO_SUCH_USER" in received(broker, 2)[0]


def test_the_end_of_a_stream() -> None:
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


def test_half_a_line_before_the_end_is_not_run() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 SEND bob hi")
    broker.receive_eof(1)
    assert received(broker, 2) == []
    assert received(broker, 1) == [
        "*server* ERR TRUNCATED SEND the line has no end and was not executed"
    ]
    assert broker.next_step(1).close


def test_bad_lines_in_a_row_close_with_last_words() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"junk\n" * 99)
    assert broker.next_step(1).read
    broker.receive(1, b"junk\nCHAT/1.0 SEND bob hi\n")
    assert received(broker, 1)[-1] == "*server* ERR TOO_MANY - too many bad lines in a row"
    assert received(broker, 2) == []
    assert wants_close(broker, 1)
    broker.disconnect(1)
    assert broker.snapshot().closes == {"too many bad lines": 1}


def test_a_lost_connection() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 2, "SEND alice hi")
    broker.disconnect(1)
    assert broker.take_ready() == []
    assert broker.snapshot().closes == {"connection lost": 1}
    broker.disconnect(1)
    assert broker.snapshot().closes == {"connection lost": 1}
    send(broker, 2, "SEND alice hi")
    assert "ERR NO_SUCH_USER" in received(broker, 2)[0]


def test_a_connection_is_there_until_it_is_gone() -> None:
    """Its id does not stand for another one before `disconnect`."""
    broker = broker_of("alice", "bob")
    send(broker, 2, "SEND alice hi")
    send(broker, 1, "LOGOUT")
    with pytest.raises(ValueError, match="1 is connected already"):
        broker.connect(1, "somebody else")
    assert received(broker, 1) == ["bob hi"]
    broker.disconnect(1)
    broker.connect(1, "somebody else")
    assert broker.snapshot().queued == 0


def test_who_lingers_too_long_is_cut_off() -> None:
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


def test_our_half_is_closed_once_and_the_peer_has_a_moment_for_its_own() -> None:
    """What it sends meanwhile is read and thrown away, or it would never get what is queued."""
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


def test_whoever_has_closed_is_not_waited_for() -> None:
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


def test_who_is_gone_has_no_deadline() -> None:
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


def test_who_is_told_too_much_of_its_own_errors_is_closed() -> None:
    """Notices wait for nothing: whoever makes so many errors has to read."""
    broker = broker_of("alice", "bob", limits=TIGHT)
    broker.receive(1, b"CHAT/1.0 SEND x hi\n" * 20 + b"CHAT/1.0 SEND bob hi\n")
    assert close_reason(broker, 1) is CloseReason.FULL_QUEUE
    assert received(broker, 2) == []


def test_over_the_bound_of_all_who_is_ending_ends_at_once() -> None:
    limits = replace(TIGHT, queue_bytes=1024, total_queue_bytes=1024)
    broker = broker_of("alice", "bob", limits=limits)
    send(broker, 1, message("alice", "alice", 512), message("alice", "alice", 100), "LOGOUT")
    send(broker, 2, message("bob", "bob", 512))
    assert broker.next_step(1).close
    assert broker.snapshot().queued == 512
    assert close_reason(broker, 1) is CloseReason.LOGGED_OUT


def test_who_says_too_much_while_it_waits_ends() -> None:
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


def test_who_drowns_in_a_refused_login_runs_no_further() -> None:
    limits = replace(TIGHT, max_name=5)
    broker = broker_of("alice", "bob", limits=limits)
    send(broker, 1, message("alice", "alice", 500))
    broker.receive(1, b"CHAT/1.0 LOGIN longer\nCHAT/1.0 SEND bob hi\n")
    assert close_reason(broker, 1) is CloseReason.FULL_QUEUE
    assert received(broker, 2) == []


def test_what_is_written_makes_room() -> None:
    broker = broker_of("alice", "bob", limits=TIGHT)
    for _ in range(50):
        send(broker, 1, "SEND bob " + "x" * 400)
        assert received(broker, 2) == ["alice " + "x" * 400]


def test_the_server_is_not_answered_however_malformed() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    broker.connect(2, "peer")
    send(broker, 2, "SEND *server* hello", "SEND *server*", "LOGIN alice", "SEND *server* hello")
    assert received(broker, 2) == ["*server* ERR NAME_IN_USE LOGIN alice is logged in already"]
    assert broker.snapshot().refusals == {"NAME_IN_USE": 1}


def test_two_logins_in_one_packet_are_two_names() -> None:
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


def test_share() -> None:
    broker = broker_of("alice", "bob", "bob")
    send(broker, 1, "SEND bob hi")
    assert received(broker, 2) == received(broker, 3) == ["alice hi"]
    assert broker.snapshot().deliveries == 2


def test_reject() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    login(broker, 2, "alice")
    assert received(broker, 2) == ["*server* ERR NAME_IN_USE LOGIN alice is logged in already"]
    send(broker, 2, "SEND alice hi")
    assert received(broker, 2) == ["*server* ERR NOT_LOGGED_IN SEND log in first"]
    assert log(broker) == ["accepted from peer-2"]
    send(broker, 2, "LOGIN bob", "SEND alice hi")
    assert received(broker, 1) == ["bob hi"]
    assert broker.snapshot().logins == 2


def test_replace() -> None:
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
