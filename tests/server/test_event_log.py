"""chatproto.server.event_log: what is logged and counted, and how often."""

from collections.abc import Callable

import pytest

from chatproto import (
    ChatBroker,
    CloseReason,
    Counters,
    DuplicateLogin,
    ErrorCode,
    EventKind,
    Group,
    Leave,
    Limits,
    Login,
    Logout,
    Policy,
)
from chatproto.server.event_log import LOG_WINDOW, MAX_ENDS, MAX_NETWORKS, EventLog
from chatproto.server.peer import Peer

from .brokers import broker_of, login, received, send, wants_close
from .brokers import log as log_of


def peer_of(origin: str = "peer", network: str = "") -> Peer:
    return Peer(1, origin, network, Limits())


def log_of_few(log_lines: int = 3) -> EventLog:
    return EventLog(Limits(log_lines=log_lines))


def lines(log: EventLog) -> list[str]:
    return [str(event) for event in log.take()]


def test_executed_events_are_logged() -> None:
    log, peer = EventLog(Limits()), peer_of()
    log.accepted(peer)
    log.executed(peer, Login("alice"), None)
    log.executed(peer, Login("ali"), "alice")
    for event in (Group("g", ["bob"]), Leave("g"), Logout()):
        log.executed(peer, event, "ali")
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


TOLD = (CloseReason.HANDSHAKE_FAILED, CloseReason.PLAINTEXT, CloseReason.BAD_PROXY_HEADER)
"""The reasons that have an event of their own."""


def test_a_login_under_the_same_name_is_not_logged() -> None:
    log = EventLog(Limits())
    log.executed(peer_of(), Login("alice"), "alice")
    assert log.take() == []
    assert log.counters.logins == 0


@pytest.mark.parametrize("reason", [None, *(each for each in CloseReason if each not in TOLD)])
def test_closes_are_logged_and_counted(reason: CloseReason | None) -> None:
    log, peer = EventLog(Limits()), peer_of()
    peer.has_sent = True
    peer.close_reason = reason
    expected = reason or CloseReason.LOST
    log.closed(peer, "alice")
    [event] = log.take()
    assert (event.kind, event.name, event.reason) == (EventKind.CLOSED, "alice", expected.value)
    assert event.important
    assert log.counters.closes == {expected: 1}


def test_a_snapshot_is_a_copy_of_the_counters() -> None:
    log = EventLog(Limits())
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


# Floods


Act = Callable[[EventLog, Peer], None]
"""What makes one line."""

ACTS: dict[str, Act] = {
    "accepted": lambda log, peer: log.accepted(peer),
    "logged in": lambda log, peer: log.executed(peer, Login("alice"), None),
    "renamed": lambda log, peer: log.executed(peer, Login("alice"), "ali"),
    "group made": lambda log, peer: log.executed(peer, Group("g"), "alice"),
    "member added": lambda log, peer: log.member_added(peer, "alice", "g", "bob"),
    "left": lambda log, peer: log.executed(peer, Leave("g"), "alice"),
    "logged out": lambda log, peer: log.executed(peer, Logout(), "alice"),
    "closed": lambda log, peer: log.closed(peer, "alice"),
    "probed": lambda log, peer: log.closed(peer, None),
    "group expired": lambda log, peer: log.group_expired(peer, "alice", "g"),
    "authenticate failed": lambda log, peer: log.authenticate_failed(peer, "alice", "no table"),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_a_network_causes_is_bounded_and_counted(act: Act) -> None:
    log = log_of_few()
    log.tick(100.0)
    for number in range(1000):
        act(log, peer_of(f"192.0.2.1:{number}", "192.0.2.1"))
    shown = log.take()
    assert [event.peer for event in shown] == [f"192.0.2.1:{number}" for number in range(3)]
    log.tick(100.0 + LOG_WINDOW - 0.1)
    assert log.take() == []
    log.tick(100.0 + LOG_WINDOW)
    assert lines(log) == ["left out 997 lines about 192.0.2.1"]
    # From then on, there are lines again.
    act(log, peer_of("192.0.2.1:5000", "192.0.2.1"))
    assert [event.peer for event in log.take()] == ["192.0.2.1:5000"]


def test_all_kinds_of_lines_are_bounded_together() -> None:
    log, peer = log_of_few(), peer_of()
    for act in ACTS.values():
        act(log, peer)
    assert len(log.take()) == 3
    log.finish(0)
    assert lines(log) == [f"left out {len(ACTS) - 3} lines about this machine"]


def test_another_network_has_lines_of_its_own() -> None:
    log = log_of_few()
    for network in ["192.0.2.1"] * 10 + ["", "2001:db8::/64"]:
        log.accepted(peer_of(network, network))
    assert [event.peer for event in log.take()][3:] == ["", "2001:db8::/64"]


def test_a_network_that_was_quiet_for_a_while_has_all_its_lines() -> None:
    log, peer = log_of_few(), peer_of()
    for number in range(10):
        log.tick(number * LOG_WINDOW)
        for _ in range(3):
            log.accepted(peer)
    assert [event.kind for event in log.take()] == [EventKind.ACCEPTED] * 30


def test_what_is_left_out_is_counted_all_the_same() -> None:
    log, peer = log_of_few(), peer_of()
    for _ in range(10):
        log.executed(peer, Login("alice"), None)
        log.closed(peer, "alice")
    assert log.counters.logins == 10
    assert log.counters.closes.total() == 10


def test_networks_are_counted_up_to_a_bound() -> None:
    """Beyond that, the window that began first ends early."""
    log = log_of_few()
    for number in range(MAX_NETWORKS + 2):
        for _ in range(4):
            log.accepted(peer_of(f"network {number}", f"network {number}"))
    events = log.take()
    assert [event.peer for event in events if event.kind is EventKind.LEFT_OUT] == [
        "network 0",
        "network 1",
    ]
    assert len(log._windows) == MAX_NETWORKS
    while log._windows:
        log.tick(LOG_WINDOW)
        # A few at a time, so that no tick takes long.
        assert len(log.take()) == MAX_ENDS


def test_a_drain_without_connections_has_the_rest_told() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(log_lines=1))
    login(broker, 1, "alice")
    broker.disconnect(1)
    assert log_of(broker) == ["accepted from peer-1"]
    broker.drain()
    assert log_of(broker) == [
        "shutting down, connections: 0",
        "left out 2 lines about this machine",
        "shut down after 0.0 s, connections cut off: 0",
    ]


def test_the_last_connection_of_a_drain_has_the_rest_told() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(log_lines=1))
    for cid in (1, 2):
        login(broker, cid, "alice")
    broker.drain()
    broker.disconnect(1)
    assert log_of(broker) == ["accepted from peer-1", "shutting down, connections: 2"]
    broker.disconnect(2)
    # Accepted, twice logged in, twice closed.
    assert log_of(broker) == [
        "left out 5 lines about this machine",
        "shut down after 0.0 s, connections cut off: 0",
    ]


def test_the_end_of_a_drain_says_how_long_it_took_and_who_was_cut_off() -> None:
    broker = broker_of("slow", "quick", "late", limits=Limits(linger=4.0, grace=5.0))
    broker.tick(100.0)
    broker.drain()
    received(broker, 2)
    broker.disconnect(2)
    # Their time to end is over. Neither has got what is queued for it.
    broker.tick(104.0)
    broker.disconnect(1)
    broker.tick(105.5)
    broker.drain()
    broker.disconnect(3)
    ends = [event for event in broker.take_log_events() if event.peer is None]
    assert [str(event) for event in ends] == [
        "shutting down, connections: 3",
        "shut down after 5.5 s, connections cut off: 2",
    ]
    assert ends[1].as_dict() == {"event": "shut down", "count": 2, "seconds": 5.5}
    # Somebody who comes afterwards ends nothing.
    broker.connect(4, "peer-4")
    broker.disconnect(4)
    assert log_of(broker) == ["probed peer-4: shutting down"]


def test_all_events_of_a_connection_have_its_number() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 2, "GROUP tea bob", "SEND *groups* add tea ann", "LEAVE tea", "LOGIN *x*")
    send(broker, 1, "LOGIN bob", "LOGOUT")
    broker.disconnect(2)
    broker.disconnect(1)
    # The adapter's id may be the same again.
    login(broker, 1, "carol")
    events = broker.take_log_events()
    assert {(event.peer, event.connection) for event in events[:-2]} == {
        ("peer-1", 1),
        ("peer-2", 2),
    }
    assert {event.connection for event in events[-2:]} == {3}


def test_a_refused_login_has_its_code_in_a_field() -> None:
    broker = broker_of("alice", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    broker.tick(1.0)
    login(broker, 2, "alice")
    refused = broker.take_log_events()[-1].as_dict()
    assert refused.pop("reason")
    assert refused == {
        "event": "login refused",
        "peer": "peer-2",
        "name": "alice",
        "connection": 2,
        "code": "NAME_IN_USE",
    }


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
    broker.tick(1000.0)
    # Of 10 there were events, and of as many probes as a minute may have.
    count = 1000 - 10 + 1000 - Limits().log_lines
    assert log_of(broker) == [f"left out {count} lines about this machine"]
    assert broker.snapshot().closes == {CloseReason.TOO_MANY_CONNECTIONS: 1000}


def test_connections_to_a_draining_server_are_probes() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.drain()
    for cid in range(10):
        login(broker, cid, "alice")
        broker.disconnect(cid)
    kinds = {event.kind for event in broker.take_log_events()}
    assert kinds == {EventKind.PROBED, EventKind.SHUTTING_DOWN, EventKind.SHUT_DOWN}
    assert broker.snapshot().closes == {CloseReason.SHUTTING_DOWN: 10}


def test_a_failed_handshake_is_logged_once_with_its_reason() -> None:
    log, peer = EventLog(Limits()), peer_of()
    log.handshake_failed(peer, "unknown ca")
    peer.close_reason = CloseReason.HANDSHAKE_FAILED
    log.closed(peer, None)
    assert [str(each) for each in log.take()] == [f"handshake failed {peer.origin}: unknown ca"]
    assert log.counters.closes == {"TLS handshake failed": 1}


@pytest.mark.parametrize(
    "reason",
    [
        CloseReason.HANDSHAKE_TIMEOUT,
        CloseReason.TOO_MANY_HANDSHAKES,
        CloseReason.PROXY_HEADER_TIMEOUT,
    ],
)
def test_what_never_gets_to_its_first_line_is_news(reason: CloseReason) -> None:
    log, peer = EventLog(Limits()), peer_of()
    peer.close_reason = reason
    log.closed(peer, None)
    [event] = log.take()
    assert str(event) == f"closed {peer.origin}: {reason}"
    assert event.important


def test_refused_logins_are_logged() -> None:
    log, peer = EventLog(Limits()), peer_of()
    log.login_refused(peer, "alice", ErrorCode.AUTH_FAILED, "no")
    assert [str(each) for each in log.take()] == [
        f"login refused alice ({peer.origin}): AUTH_FAILED no"
    ]
