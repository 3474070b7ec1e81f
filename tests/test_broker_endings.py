"""chatproto._broker: how connections end."""

from chatproto import (
    DuplicateLogin,
    Limits,
    Policy,
)

from .brokers import TIGHT, broker_of, heard, leaves, log, login, say

# How connections end


def test_logout_closes_once_the_queue_is_written() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 2, "SEND alice hi")
    say(broker, 1, "LOGOUT")
    assert not leaves(broker, 1)
    assert heard(broker, 1) == ["bob hi"]
    assert leaves(broker, 1)
    broker.disconnect(1)
    assert broker.connections == 1
    assert broker.snapshot().closes == {"logged out": 1}


def test_nothing_after_logout_runs() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 LOGOUT\nCHAT/1.0 SEND bob hi\n")
    say(broker, 1, "SEND bob hi")
    broker.receive_eof(1)
    assert heard(broker, 2) == []
    assert heard(broker, 1) == []


def test_nobody_hears_of_a_connection_that_is_ending() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "LOGOUT")
    say(broker, 2, "SEND alice hi")
    assert heard(broker, 1) == []
    assert "ERR NO_SUCH_USER" in heard(broker, 2)[0]


def test_the_end_of_a_stream() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 2, "SEND alice hi")
    broker.take_ready()
    broker.receive_eof(1)
    assert broker.take_ready() == [1]
    assert not broker.reading(1)
    assert heard(broker, 1) == ["bob hi"]
    assert broker.finished(1)
    broker.disconnect(1)
    assert broker.snapshot().closes == {"end of stream": 1}


def test_half_a_line_before_the_end_is_not_run() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"CHAT/1.0 SEND bob hi")
    broker.receive_eof(1)
    assert heard(broker, 2) == []
    assert heard(broker, 1) == ["*server* ERR TRUNCATED SEND the line has no end and was not run"]
    assert broker.finished(1)


def test_bad_lines_in_a_row_close_with_last_words() -> None:
    broker = broker_of("alice", "bob")
    broker.receive(1, b"junk\n" * 99)
    assert broker.reading(1)
    broker.receive(1, b"junk\nCHAT/1.0 SEND bob hi\n")
    assert heard(broker, 1)[-1] == "*server* ERR TOO_MANY - too many bad lines in a row"
    assert heard(broker, 2) == []
    assert leaves(broker, 1)
    broker.disconnect(1)
    assert broker.snapshot().closes == {"too many bad lines": 1}


def test_a_lost_connection() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 2, "SEND alice hi")
    broker.disconnect(1)
    assert broker.take_ready() == []
    assert broker.snapshot().closes == {"connection lost": 1}
    broker.disconnect(1)
    assert broker.snapshot().closes == {"connection lost": 1}
    say(broker, 2, "SEND alice hi")
    assert "ERR NO_SUCH_USER" in heard(broker, 2)[0]


def test_who_lingers_too_long_is_cut_off() -> None:
    broker = broker_of("alice", "bob", limits=Limits(linger=10.0))
    broker.tick(100.0)
    say(broker, 2, "SEND alice hi")
    say(broker, 1, "LOGOUT")
    broker.take_ready()
    broker.tick(109.9)
    assert broker.take_ready() == []
    assert not broker.finished(1)
    broker.tick(110.0)
    assert broker.take_ready() == [1]
    assert broker.finished(1)
    assert bytes(broker.outgoing(1)) == b""


def test_our_half_is_closed_once_and_the_peer_has_a_moment_for_its_own() -> None:
    """What it sends meanwhile is read and thrown away, or it would never get what is queued."""
    broker = broker_of("alice", "bob", limits=Limits(goodbye=2.0))
    broker.tick(100.0)
    say(broker, 1, "LOGOUT")
    broker.take_ready()
    assert broker.take_half_close(1)
    assert not broker.take_half_close(1)
    assert broker.reading(1)
    say(broker, 1, "SEND bob ghost")
    assert heard(broker, 2) == []
    broker.tick(101.9)
    assert not broker.finished(1)
    assert broker.take_ready() == []
    broker.tick(102.0)
    assert broker.finished(1)
    assert broker.take_ready() == [1]


def test_whoever_has_closed_is_not_waited_for() -> None:
    broker = broker_of("alice", "bob")
    broker.receive_eof(1)
    assert not broker.reading(1)
    assert not broker.take_half_close(1)
    assert broker.finished(1)
    say(broker, 2, "LOGOUT")
    assert broker.take_half_close(2)
    broker.take_ready()
    broker.receive_eof(2)
    assert broker.take_ready() == [2]
    assert broker.finished(2)


def test_who_is_gone_has_no_deadline() -> None:
    broker = broker_of("alice", "bob", "carol")
    say(broker, 1, "LOGOUT")
    broker.tick(5.0)
    say(broker, 2, "LOGOUT")
    broker.disconnect(1)
    broker.take_ready()
    broker.tick(14.0)
    assert broker.take_ready() == []
    broker.tick(15.0)
    assert broker.take_ready() == [2]
    broker.tick(1e9)
    assert broker.take_ready() == []
    assert broker.reading(3)


def test_who_does_not_read_is_closed_and_its_senders_go_on() -> None:
    broker = broker_of("alice", "bob", "carol", limits=Limits(max_line=512, queue_bytes=1000))
    line = len("CHAT/1.0 RECEIVE alice \n")
    say(broker, 1, "SEND bob " + "x" * (500 - line), "SEND bob " + "x" * (500 - line))
    assert len(broker.outgoing(2)) == 1000
    assert broker.reading(2)
    say(broker, 1, "SEND bob ", "SEND bob ", "SEND carol hi")
    assert not broker.reading(2)
    assert broker.finished(2)
    assert 2 in broker.take_ready()
    broker.disconnect(2)
    assert broker.snapshot().closes == {"slow consumer": 1}
    assert heard(broker, 3) == ["alice hi"]
    assert heard(broker, 1) == ["*server* ERR NO_SUCH_USER SEND bob is not online"]


def test_who_drowns_itself_runs_no_further() -> None:
    broker = broker_of("alice", "bob", limits=TIGHT)
    broker.receive(1, b"CHAT/1.0 SEND alice %b\n" % (b"x" * 400) * 2 + b"CHAT/1.0 SEND bob hi\n")
    assert broker.finished(1)
    assert heard(broker, 2) == []


def test_one_slow_member_does_not_cost_the_others_a_broadcast() -> None:
    broker = broker_of("alice", "bob", "carol", limits=TIGHT)
    say(broker, 1, "GROUP g bob carol", "SEND bob " + "x" * 480, "BROADCAST g hello")
    assert broker.finished(2)
    assert heard(broker, 3) == ["alice hello"]


def test_what_is_written_makes_room() -> None:
    broker = broker_of("alice", "bob", limits=TIGHT)
    for _ in range(50):
        say(broker, 1, "SEND bob " + "x" * 400)
        assert heard(broker, 2) == ["alice " + "x" * 400]


def test_the_server_is_not_answered_however_malformed() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    broker.connect(2, "peer")
    say(broker, 2, "SEND *server* hello", "SEND *server*", "LOGIN alice", "SEND *server* hello")
    assert heard(broker, 2) == ["*server* ERR NAME_IN_USE LOGIN alice is logged in already"]
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
    say(broker, 1, "SEND bob hi")
    assert heard(broker, 2) == heard(broker, 3) == ["alice hi"]
    assert broker.snapshot().deliveries == 2


def test_reject() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    login(broker, 2, "alice")
    assert heard(broker, 2) == ["*server* ERR NAME_IN_USE LOGIN alice is logged in already"]
    say(broker, 2, "SEND alice hi")
    assert heard(broker, 2) == ["*server* ERR NOT_LOGGED_IN SEND log in first"]
    assert log(broker) == ["accepted from peer-2"]
    say(broker, 2, "LOGIN bob", "SEND alice hi")
    assert heard(broker, 1) == ["bob hi"]
    assert broker.snapshot().logins == 2


def test_replace() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    login(broker, 2, "alice")
    assert not leaves(broker, 1)
    assert heard(broker, 1) == [
        "*server* ERR NAME_IN_USE - somebody else has logged in under your name"
    ]
    assert leaves(broker, 1)
    broker.disconnect(1)
    assert log(broker) == [
        "accepted from peer-2",
        "logged in alice (peer-2)",
        "closed alice (peer-1): replaced",
    ]
    say(broker, 2, "SEND alice me")
    assert heard(broker, 2) == ["alice me"]
