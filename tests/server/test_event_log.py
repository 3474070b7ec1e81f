"""chatproto.server.event_log: what is told to those who run a server."""

import pytest

from chatproto import (
    ChatBroker,
    CloseReason,
    Counters,
    Group,
    Happening,
    Leave,
    Limits,
    Login,
    Logout,
)
from chatproto.server.event_log import NEWS_BURST, Journal
from chatproto.server.peer import Link

from .brokers import broker_of, heard, leaves, log, login, say


def link_of(name: str | None = None) -> Link:
    link = Link(1, "peer", "", Limits())
    link.name = name
    return link


def test_what_is_obeyed_is_told() -> None:
    journal, link = Journal(), link_of()
    journal.heard(link)
    for event in (Login("alice"), Login("ali"), Group("g", ["bob"]), Leave("g"), Logout()):
        journal.obeyed(link, event, 0.0)
    assert [str(record) for record in journal.take()] == [
        "accepted from peer",
        "logged in alice (peer)",
        "logged in ali (peer)",
        "group made g by ali (peer)",
        "left g: ali (peer)",
        "logged out ali (peer)",
    ]
    assert journal.take() == []
    assert journal.counters.logins == 2


def test_what_somebody_does_again_and_again_is_told_of_in_moderation() -> None:
    journal, link = Journal(), link_of()
    journal.obeyed(link, Login("alice"), 0.0)
    for number in range(NEWS_BURST):
        journal.obeyed(link, Login(f"alice{number}"), 0.0)
    assert len(journal.take()) == 1 + NEWS_BURST
    journal.obeyed(link, Group("g"), 0.5)
    journal.obeyed(link, Leave("g"), 0.5)
    journal.obeyed(link, Login("ali"), 0.5)
    assert journal.take() == []
    # What is counted is counted all the same, and others have news of their own.
    assert journal.counters.logins == NEWS_BURST + 2
    assert link.name == "ali"
    journal.obeyed(link_of("bob"), Group("h"), 0.5)
    journal.obeyed(link, Leave("g"), 1.0)
    journal.obeyed(link, Leave("g"), 1.0)
    journal.obeyed(link, Logout(), 1.0)
    assert [str(record) for record in journal.take()] == [
        "group made h by bob (peer)",
        "left g: ali (peer)",
        "logged out ali (peer)",
    ]


def test_the_name_that_one_has_already_is_no_news() -> None:
    journal, link = Journal(), link_of("alice")
    journal.obeyed(link, Login("alice"), 0.0)
    assert journal.take() == []
    assert journal.counters.logins == 0


@pytest.mark.parametrize("reason", [None, *CloseReason])
def test_closes_are_told_and_counted(reason: CloseReason | None) -> None:
    journal, link = Journal(), link_of("alice")
    link.heard = True
    link.closing = reason
    expected = reason or CloseReason.LOST
    journal.closed(link)
    [record] = journal.take()
    assert (record.happening, record.subject) == (Happening.CLOSED, expected.value)
    assert record.important
    assert journal.counters.closes == {expected: 1}


def test_a_copy_of_the_counters() -> None:
    journal = Journal()
    before = journal.snapshot()
    journal.closed(link_of())
    journal.counters.logins += 1
    assert before == Counters()
    assert journal.snapshot() == journal.counters
    assert journal.snapshot() is not journal.counters


# Probes


def test_who_connects_and_says_nothing_is_not_important() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for cid, end in enumerate((broker.disconnect, broker.receive_eof)):
        broker.connect(cid, f"peer-{cid}")
        end(cid)
        broker.disconnect(cid)
    records = broker.take_records()
    assert [str(record) for record in records] == [
        "probed peer-0: connection lost",
        "probed peer-1: end of stream",
    ]
    assert not any(record.important for record in records)
    assert broker.snapshot().closes == {"connection lost": 1, "end of stream": 1}


def test_whoever_has_said_a_single_octet_is() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "peer-1")
    broker.receive(1, b"x")
    broker.disconnect(1)
    assert [record.happening for record in broker.take_records() if record.important] == [
        Happening.ACCEPTED,
        Happening.CLOSED,
    ]


def test_who_says_something_when_it_is_too_late_has_said_nothing() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=5.0))
    broker.connect(1, "peer-1")
    broker.tick(5.0)
    say(broker, 1, "LOGIN alice")
    broker.disconnect(1)
    assert log(broker) == ["probed peer-1: no login in time"]


# Floods


@pytest.mark.parametrize("words", [[], ["LOGIN alice", "SEND alice hi"]])
def test_a_flood_of_connections_is_no_flood_of_records(words: list[str]) -> None:
    broker = broker_of("alice", limits=Limits(max_connections=1))
    for number in range(1000):
        broker.tick(100.0 + number / 100)
        broker.connect(2, f"peer-{number}")
        say(broker, 2, *words)
        heard(broker, 2)
        assert leaves(broker, 2)
        broker.disconnect(2)
    important = [record for record in broker.take_records() if record.important]
    assert [record.peer for record in important] == [f"peer-{100 * n}" for n in range(10)]
    assert {record.happening for record in important} == {Happening.TURNED_AWAY}
    assert str(important[0]) == "turned away peer-0: too many connections"
    assert broker.snapshot().closes == {CloseReason.TOO_MANY_CONNECTIONS: 1000}


def test_who_comes_to_a_draining_server_is_not_important() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.drain()
    for cid in range(10):
        login(broker, cid, "alice")
        broker.disconnect(cid)
    assert not any(record.important for record in broker.take_records())
    assert broker.snapshot().closes == {CloseReason.SHUTTING_DOWN: 10}
