"""chatproto._broker: a whole server, without a socket and without a clock."""

import gc
import weakref

import pytest

from chatproto import (
    Broadcasting,
    ChatBroker,
    CloseReason,
    DuplicateLogin,
    ErrorCode,
    Happening,
    Limits,
    Policy,
)


def login(broker: ChatBroker[int], cid: int, name: str) -> None:
    broker.connect(cid, f"peer-{cid}")
    say(broker, cid, f"LOGIN {name}")


def broker_of(*names: str, policy: Policy = Policy(), limits: Limits = Limits()) -> ChatBroker[int]:
    """A broker with connections 1, 2, … logged in under these names, and nothing to report."""
    broker: ChatBroker[int] = ChatBroker(policy=policy, limits=limits)
    for cid, name in enumerate(names, 1):
        login(broker, cid, name)
    broker.take_records()
    assert broker.take_ready() == []
    return broker


def say(broker: ChatBroker[int], cid: int, *commands: str) -> None:
    for command in commands:
        broker.receive(cid, f"CHAT/1.0 {command}\n".encode())


def heard(broker: ChatBroker[int], cid: int) -> list[str]:
    """Write all that is queued for a connection."""
    octets = bytes(broker.outgoing(cid))
    broker.sent(cid, len(octets))
    assert not octets or octets.endswith(b"\n")
    return octets.decode().replace("CHAT/1.0 RECEIVE ", "").splitlines()


def log(broker: ChatBroker[int]) -> list[str]:
    return [str(record) for record in broker.take_records()]


# Messages and notices


def test_a_message_is_queued_for_its_recipient() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "SEND bob  hi ")
    assert bytes(broker.outgoing(2)) == b"CHAT/1.0 RECEIVE alice  hi \n"
    assert broker.take_ready() == [2]
    assert bytes(broker.outgoing(1)) == b""


def test_a_line_may_come_in_pieces() -> None:
    broker = broker_of("alice", "bob")
    for octet in b"CHAT/1.0 SEND bob hi\r\n":
        assert heard(broker, 2) == []
        broker.receive(1, bytes([octet]))
    assert heard(broker, 2) == ["alice hi"]


def test_an_error_is_told_with_its_code_and_its_command() -> None:
    broker = broker_of("alice")
    say(broker, 1, "SEND bob hi", "SEND bob", "LOGIN a b", "STAR x", "LEAVE g")
    assert heard(broker, 1) == [
        "*server* ERR NO_SUCH_USER SEND bob is not online",
        "*server* ERR MALFORMED SEND this line does not follow the grammar of CHAT/1.0",
        "*server* ERR MALFORMED LOGIN this line does not follow the grammar of CHAT/1.0",
        "*server* ERR UNSUPPORTED_COMMAND - there is no such command; commands are upper case",
        "*server* ERR NO_SUCH_GROUP LEAVE there is no group g",
    ]


def test_success_is_silent() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "GROUP g alice bob", "BROADCAST g hi", "LEAVE g", "LOGIN ali")
    assert heard(broker, 1) == []
    assert heard(broker, 2) == ["alice hi"]


def test_without_notices_the_server_is_silent_and_still_counts() -> None:
    broker: ChatBroker[int] = ChatBroker(notices=False, limits=Limits(bad_lines=3))
    login(broker, 1, "alice")
    say(broker, 1, "SEND bob hi", "junk", "junk", "junk")
    assert bytes(broker.outgoing(1)) == b""
    assert broker.finished(1)
    assert broker.snapshot().refusals == {"NO_SUCH_USER": 1, "UNSUPPORTED_COMMAND": 3}


def test_notices_are_limited_in_rate() -> None:
    broker = broker_of("alice")
    broker.tick(1000.0)
    say(broker, 1, *["SEND bob hi"] * 60)
    assert len(heard(broker, 1)) == 50
    say(broker, 1, "SEND bob hi")
    assert heard(broker, 1) == []
    broker.tick(1001.0)
    say(broker, 1, *["SEND bob hi"] * 60)
    assert len(heard(broker, 1)) == 20
    assert broker.snapshot().refusals == {"NO_SUCH_USER": 121}


def test_each_connection_has_its_own_rate() -> None:
    broker = broker_of("alice", "bob", limits=Limits(notice_burst=1))
    say(broker, 1, "SEND x hi", "SEND x hi")
    say(broker, 2, "SEND x hi", "SEND x hi")
    assert (len(heard(broker, 1)), len(heard(broker, 2))) == (1, 1)


def test_notices_do_not_use_up_what_others_are_sent() -> None:
    broker = broker_of("alice", "bob", limits=Limits(notice_burst=1))
    say(broker, 1, "SEND x 1", "SEND x 2")
    say(broker, 2, *["SEND alice hi"] * 5)
    assert heard(broker, 1)[1:] == ["bob hi"] * 5


def test_a_relayed_line_that_outgrows_the_limit_is_refused_to_its_sender() -> None:
    """`RECEIVE alice` is longer than `SEND bob`, and the reference server writes it anyway."""
    broker = broker_of("alice", "bob")
    data = "x" * (4096 - len("CHAT/1.0 RECEIVE alice \n"))
    say(broker, 1, f"SEND bob {data}", f"SEND bob {data}x")
    assert heard(broker, 2) == [f"alice {data}"]
    assert heard(broker, 1) == [
        "*server* ERR LINE_TOO_LONG SEND the line would be too long for its recipients"
    ]
    assert broker.snapshot().refusals == {"LINE_TOO_LONG": 1}
    assert broker.snapshot().messages == 1


def test_a_broadcast_that_outgrows_the_limit_reaches_nobody() -> None:
    long = "z" * 64
    broker = broker_of(long, "bob", "carol")
    say(broker, 1, "GROUP g bob carol", "BROADCAST g " + "x" * 4060)
    assert "ERR LINE_TOO_LONG BROADCAST " in heard(broker, 1)[0]
    assert (heard(broker, 2), heard(broker, 3)) == ([], [])


def test_a_line_over_the_limit_smuggles_nothing() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "SEND bob ".ljust(4096, "x") + "CHAT/1.0 SEND bob forged", "SEND bob hi")
    assert heard(broker, 2) == ["alice hi"]
    assert heard(broker, 1) == ["*server* ERR LINE_TOO_LONG SEND the line is too long"]


def test_a_bot_that_answers_the_server_is_not_answered() -> None:
    broker = broker_of("alice")
    say(broker, 1, "SEND *server* what?", "BROADCAST *server* what?")
    assert heard(broker, 1) == []


def test_the_policy_is_the_hubs() -> None:
    open_house = Policy(broadcasting=Broadcasting.ANYONE)
    for policy, expected in ((Policy(), []), (open_house, ["carol hi"])):
        broker = broker_of("alice", "bob", "carol", policy=policy)
        say(broker, 1, "GROUP g bob")
        say(broker, 3, "BROADCAST g hi")
        assert heard(broker, 2) == expected


# How connections end


def test_logout_closes_once_the_queue_is_written() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 2, "SEND alice hi")
    say(broker, 1, "LOGOUT")
    assert not broker.reading(1)
    assert not broker.finished(1)
    assert heard(broker, 1) == ["bob hi"]
    assert broker.finished(1)
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
    assert not broker.reading(1)
    assert heard(broker, 1)[-1] == "*server* ERR TOO_MANY - too many bad lines in a row"
    assert heard(broker, 2) == []
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
    broker = broker_of("alice", "bob", "carol", limits=Limits(queue_bytes=1000))
    line = len("CHAT/1.0 RECEIVE alice \n")
    say(broker, 1, "SEND bob " + "x" * (600 - line), "SEND bob " + "x" * (400 - line))
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
    broker = broker_of("alice", "bob", limits=Limits(queue_bytes=100))
    broker.receive(1, b"CHAT/1.0 SEND alice %b\nCHAT/1.0 SEND bob hi\n" % (b"x" * 100))
    assert broker.finished(1)
    assert heard(broker, 2) == []


def test_one_slow_member_does_not_cost_the_others_a_broadcast() -> None:
    broker = broker_of("alice", "bob", "carol", limits=Limits(queue_bytes=100))
    say(broker, 1, "GROUP g bob carol", "SEND bob " + "x" * 70, "BROADCAST g hello")
    assert broker.finished(2)
    assert heard(broker, 3) == ["alice hello"]


def test_what_is_written_makes_room() -> None:
    broker = broker_of("alice", "bob", limits=Limits(queue_bytes=100))
    for _ in range(50):
        say(broker, 1, "SEND bob " + "x" * 60)
        assert heard(broker, 2) == ["alice " + "x" * 60]


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
    assert not broker.reading(1)
    assert heard(broker, 1) == [
        "*server* ERR NAME_IN_USE - somebody else has logged in under your name"
    ]
    assert broker.finished(1)
    broker.disconnect(1)
    assert log(broker) == [
        "accepted from peer-2",
        "logged in alice (peer-2)",
        "closed alice (peer-1): replaced",
    ]
    say(broker, 2, "SEND alice me")
    assert heard(broker, 2) == ["alice me"]


# Draining


def test_drain_tells_everybody_and_writes_what_is_queued() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "SEND bob hi")
    broker.drain()
    bye = "*server* ERR SHUTTING_DOWN - the server is shutting down"
    assert not broker.reading(1)
    assert not broker.finished(2)
    assert broker.take_ready() == [2, 1]
    assert heard(broker, 1) == [bye]
    assert heard(broker, 2) == ["alice hi", bye]
    for cid in (1, 2):
        assert broker.finished(cid)
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
    assert broker.finished(1)


def test_drain_does_not_wait_for_ever() -> None:
    broker = broker_of("alice", limits=Limits(linger=3.0))
    broker.drain()
    broker.take_ready()
    broker.tick(2.9)
    assert not broker.finished(1)
    broker.tick(3.0)
    assert broker.finished(1)
    assert broker.take_ready() == [1]


def test_last_words_do_not_cost_a_connection_what_was_accepted_for_it() -> None:
    """A queue that is full to the brim is still written (protocol.md, section 2: no holes)."""
    broker = broker_of("alice", "bob", limits=Limits(queue_bytes=100))
    say(broker, 1, "SEND bob " + "x" * 70)
    broker.drain()
    assert heard(broker, 2)[:1] == ["alice " + "x" * 70]


# What the adapter is told


def test_a_connection_is_ready_once_until_it_has_been_written_to() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "SEND bob 1", "SEND bob 2")
    assert broker.take_ready() == [2]
    say(broker, 1, "SEND bob 3")
    assert broker.take_ready() == []
    assert heard(broker, 2) == ["alice 1", "alice 2", "alice 3"]
    say(broker, 1, "SEND bob 4")
    assert broker.take_ready() == [2]


def test_first_queued_first_written() -> None:
    broker = broker_of("alice", "bob", "carol", "dave")
    say(broker, 1, "SEND dave 1", "SEND bob 1", "SEND carol 1", "SEND dave 2")
    assert broker.take_ready() == [4, 2, 3]


def test_a_partial_write_leaves_the_rest() -> None:
    broker = broker_of("alice", "bob")
    say(broker, 1, "SEND bob hello")
    broker.sent(2, 10)
    say(broker, 1, "SEND bob again")
    assert bytes(broker.outgoing(2)) == b"ECEIVE alice hello\nCHAT/1.0 RECEIVE alice again\n"


def test_nobody_connects_twice() -> None:
    broker = broker_of("alice")
    with pytest.raises(ValueError, match="connected already"):
        broker.connect(1, "peer-1")
    say(broker, 1, "SEND alice still here")
    assert heard(broker, 1) == ["alice still here"]
    assert broker.snapshot().accepted == 1


def test_unknown_connections() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for use in (broker.outgoing, broker.reading, broker.finished, broker.receive_eof):
        with pytest.raises(KeyError):
            use(7)
    with pytest.raises(KeyError):
        broker.receive(7, b"")
    with pytest.raises(KeyError):
        broker.sent(7, 0)


def test_the_log_tells_the_published_session() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for cid, name in enumerate(("zhangsan", "lisi", "wangwu", "zhaoliu"), 1):
        login(broker, cid, name)
    say(broker, 1, "SEND lisi hello", "GROUP g1 zhangsan lisi wangwu", "BROADCAST g1 all")
    say(broker, 3, "LEAVE g1", "LEAVE g1", "GROUP g1 x")
    assert heard(broker, 2) == ["zhangsan hello", "zhangsan all"]
    for cid in (1, 2, 3, 4):
        say(broker, cid, "LOGOUT")
        broker.disconnect(cid)
    assert log(broker) == [
        "accepted from peer-1",
        "logged in zhangsan (peer-1)",
        "accepted from peer-2",
        "logged in lisi (peer-2)",
        "accepted from peer-3",
        "logged in wangwu (peer-3)",
        "accepted from peer-4",
        "logged in zhaoliu (peer-4)",
        "group made g1 by zhangsan (peer-1)",
        "left g1: wangwu (peer-3)",
        "logged out zhangsan (peer-1)",
        "closed zhangsan (peer-1): logged out",
        "logged out lisi (peer-2)",
        "closed lisi (peer-2): logged out",
        "logged out wangwu (peer-3)",
        "closed wangwu (peer-3): logged out",
        "logged out zhaoliu (peer-4)",
        "closed zhaoliu (peer-4): logged out",
    ]
    assert log(broker) == []


def test_the_counters() -> None:
    broker = broker_of("alice", "bob")
    before = broker.snapshot()
    assert (before.connections, before.accepted, before.logins, before.users) == (2, 2, 2, 2)
    say(broker, 1, "GROUP g alice bob", "BROADCAST g hi", "SEND nobody hi")
    after = broker.snapshot()
    sent = "GROUP g alice bob", "BROADCAST g hi", "SEND nobody hi"
    assert after.octets_in - before.octets_in == sum(len(f"CHAT/1.0 {each}\n") for each in sent)
    assert (after.groups, after.messages, after.deliveries) == (1, 1, 1)
    assert after.refusals == {ErrorCode.NO_SUCH_USER: 1}
    assert after.queued == len(broker.outgoing(1)) + len(broker.outgoing(2))
    assert after.octets_out == 0
    broker.sent(2, 5)
    assert broker.snapshot().octets_out == 5
    assert broker.snapshot().queued == after.queued - 5
    say(broker, 2, "LOGOUT")
    broker.disconnect(2)
    end = broker.snapshot()
    assert (end.connections, end.accepted, end.users) == (1, 2, 1)
    assert end.closes == {CloseReason.LOGGED_OUT: 1}


def test_a_snapshot_does_not_change_afterwards() -> None:
    broker = broker_of("alice")
    before = broker.snapshot()
    say(broker, 1, "SEND bob hi")
    broker.disconnect(1)
    assert (before.refusals, before.closes) == ({}, {})


def test_records_can_be_told_apart_by_programs() -> None:
    broker = broker_of("alice")
    say(broker, 1, "GROUP g alice")
    [record] = broker.take_records()
    assert (record.happening, record.peer, record.name, record.subject) == (
        Happening.GROUP_MADE,
        "peer-1",
        "alice",
        "g",
    )


class Peer:
    """A connection id that can be watched."""


def test_the_broker_keeps_nothing_of_connections_that_are_gone() -> None:
    broker: ChatBroker[Peer] = ChatBroker()
    ends = [b"CHAT/1.0 LOGOUT\n", b"junk\n" * 100, b"", b"CHAT/1.0 SEND alice hi\n"]
    watched: list[weakref.ref[Peer]] = []
    peer = Peer()
    for end in ends:
        peer = Peer()
        watched.append(weakref.ref(peer))
        broker.connect(peer, "peer")
        broker.receive(peer, b"CHAT/1.0 LOGIN alice\n" + end)
        broker.receive_eof(peer)
        broker.disconnect(peer)
    del peer
    gc.collect()
    assert [ref() for ref in watched] == [None] * len(ends)
    assert (broker.connections, broker.take_ready()) == (0, [])
