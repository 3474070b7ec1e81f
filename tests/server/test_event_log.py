"""chatproto.server.event_log: what is logged and counted, and how often."""

import pytest

from chatproto import (
    ChatBroker,
    CloseReason,
    Counters,
    EventKind,
    Group,
    Leave,
    Limits,
    Login,
    Logout,
)
from chatproto.server.event_log import LOG_BURST, EventLog
from chatproto.server.peer import Peer

from .brokers import broker_of, login, received, send, wants_close
from .brokers import log as log_of


def peer_of(origin: str = "peer") -> Peer:
    return Peer(1, origin, "", Limits())


def lines(log: EventLog) -> list[str]:
    return [str(event) for event in log.take()]


def test_executed_events_are_logged() -> None:
    log, peer = EventLog(), peer_of()
    log.accepted(peer)
    log.executed(peer, Login("alice"), None, 0.0)
    log.executed(peer, Login("ali"), "alice", 0.0)
    for event in (Group("g", ["bob"]), Leave("g"), Logout()):
        log.executed(peer, event, "ali", 0.0)
    assert lines(log) == [
        "accepted from peer",
        "logged in alice (peer)",
        "logged in ali (peer)",
        "group made g by ali (peer)",
        "left g: ali (peer)",
        "logged out ali (peer)",
    ]
    assert log.take() == []
    assert log.counters.logins == 2


def test_events_that_a_client_can_repeat_are_logged_at_a_bounded_rate() -> None:
    log, peer = EventLog(), peer_of()
    log.executed(peer, Login("alice"), None, 0.0)
    for number in range(LOG_BURST):
        log.executed(peer, Login(f"alice{number}"), "alice", 0.0)
    assert len(log.take()) == 1 + LOG_BURST
    log.executed(peer, Group("g"), "ali", 0.5)
    log.executed(peer, Leave("g"), "ali", 0.5)
    log.executed(peer, Login("ali"), "alice", 0.5)
    assert log.take() == []
    # They are counted all the same, and another connection has a rate of its own.
    assert log.counters.logins == LOG_BURST + 2
    log.executed(peer_of("other"), Group("h"), "bob", 0.5)
    log.executed(peer, Leave("g"), "ali", 1.0)
    log.executed(peer, Leave("g"), "ali", 1.0)
    log.executed(peer, Logout(), "ali", 1.0)
    assert lines(log) == [
        "group made h by bob (other)",
        "left g: ali (peer)",
        "logged out ali (peer)",
    ]


def test_a_login_under_the_same_name_is_not_logged() -> None:
    log = EventLog()
    log.executed(peer_of(), Login("alice"), "alice", 0.0)
    assert log.take() == []
    assert log.counters.logins == 0


@pytest.mark.parametrize("reason", [None, *CloseReason])
def test_closes_are_logged_and_counted(reason: CloseReason | None) -> None:
    log, peer = EventLog(), peer_of()
    peer.has_sent = True
    peer.close_reason = reason
    expected = reason or CloseReason.LOST
    log.closed(peer, "alice")
    [event] = log.take()
    assert (event.kind, event.name, event.subject) == (EventKind.CLOSED, "alice", expected.value)
    assert event.important
    assert log.counters.closes == {expected: 1}


def test_a_snapshot_is_a_copy_of_the_counters() -> None:
    log = EventLog()
    before = log.snapshot()
    log.closed(peer_of(), None)
    log.counters.logins += 1
    assert before == Counters()
    assert log.snapshot() == log.counters
    assert log.snapshot() is not log.counters


# Connections that send nothing


def test_a_connection_that_sends_nothing_is_a_probe() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for cid, end in enumerate((broker.disconnect, broker.receive_eof)):
        broker.connect(cid, f"peer-{cid}")
        end(cid)
        broker.disconnect(cid)
    events = broker.take_log_events()
    assert [str(event) for event in events] == [
        "probed peer-0: connection lost",
        "probed peer-1: end of stream",
    ]
    assert not any(event.important for event in events)
    assert broker.snapshot().closes == {"connection lost": 1, "end of stream": 1}


def test_a_connection_that_sends_one_byte_is_no_probe() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "peer-1")
    broker.receive(1, b"x")
    broker.disconnect(1)
    assert [event.kind for event in broker.take_log_events() if event.important] == [
        EventKind.ACCEPTED,
        EventKind.CLOSED,
    ]


def test_a_connection_that_sends_its_first_bytes_while_closing_is_a_probe() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=5.0))
    broker.connect(1, "peer-1")
    broker.tick(5.0)
    send(broker, 1, "LOGIN alice")
    broker.disconnect(1)
    assert log_of(broker) == ["probed peer-1: no login in time"]


# Many connections


@pytest.mark.parametrize("commands", [[], ["LOGIN alice", "SEND alice hi"]])
def test_connections_turned_away_are_logged_at_a_bounded_rate(commands: list[str]) -> None:
    broker = broker_of("alice", limits=Limits(max_connections=1))
    for number in range(1000):
        broker.tick(100.0 + number / 100)
        broker.connect(2, f"peer-{number}")
        send(broker, 2, *commands)
        received(broker, 2)
        assert wants_close(broker, 2)
        broker.disconnect(2)
    important = [event for event in broker.take_log_events() if event.important]
    assert [event.peer for event in important] == [f"peer-{100 * n}" for n in range(10)]
    assert {event.kind for event in important} == {EventKind.TURNED_AWAY}
    assert str(important[0]) == "turned away peer-0: too many connections"
    assert broker.snapshot().closes == {CloseReason.TOO_MANY_CONNECTIONS: 1000}


def test_connections_to_a_draining_server_are_probes() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.drain()
    for cid in range(10):
        login(broker, cid, "alice")
        broker.disconnect(cid)
    assert not any(event.important for event in broker.take_log_events())
    assert broker.snapshot().closes == {CloseReason.SHUTTING_DOWN: 10}
