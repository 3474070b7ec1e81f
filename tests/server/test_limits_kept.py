"""What each limit does at its edge: the close reason or the notice's code, and the counter.

There is one test for each limit, with its name. Each runs with a broker that is made with the
limits, and with one that is given them later. Which values a limit may have is in `test_limits.py`.
"""

import dataclasses
from typing import Any

import pytest

from chatproto import ChatBroker, CloseReason, ErrorCode, Limits, Login
from chatproto.server.flow_control import WINDOW

from .brokers import (
    answer,
    broker_of,
    close_reason,
    fill,
    half_close,
    login,
    message,
    received,
    send,
    wants_close,
)

ADMISSION = ("max_connections", "max_connections_per_address")


@pytest.fixture(autouse=True, params=["made with them", "given them", "given them each time"])
def limits_come_later(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a broker its limits by `reconfigure`: at once, or after each connect."""
    if request.param == "made with them":
        return
    real_init, real_connect = ChatBroker.__init__, ChatBroker.connect

    def init(self: ChatBroker[int], *, limits: Limits = Limits(), **options: Any) -> None:
        real_init(self, **options)
        self.reconfigure(limits=limits)

    def connect(self: ChatBroker[int], *args: Any, **options: Any) -> None:
        limits = self._limits
        # All but those that decide whether it may connect.
        admission = {key: getattr(limits, key) for key in ADMISSION}
        self.reconfigure(limits=Limits(**admission))
        real_connect(self, *args, **options)
        self.reconfigure(limits=limits)

    monkeypatch.setattr(ChatBroker, "__init__", init)
    if request.param == "given them each time":
        monkeypatch.setattr(ChatBroker, "connect", connect)


def test_each_limit_has_its_test_here() -> None:
    for field in dataclasses.fields(Limits):
        assert f"test_{field.name}" in globals()


def codes_received(broker: ChatBroker[int], cid: int) -> list[str]:
    """The codes of the notices that a client receives."""
    return [line.split(" ")[2] for line in received(broker, cid)]


def test_max_line() -> None:
    broker = broker_of("alice", "b", limits=Limits(max_line=512))
    room = 512 - len("CHAT/1.0 RECEIVE alice \n")
    send(broker, 1, "SEND b " + "x" * room)
    assert len(broker.next_step(2).write) == 512
    send(broker, 1, "SEND b " + "x" * (room + 1), "SEND b ".ljust(600, "x"))
    assert codes_received(broker, 1) == ["LINE_TOO_LONG"] * 2
    assert broker.snapshot().refusals == {ErrorCode.LINE_TOO_LONG: 2}


def test_max_name() -> None:
    broker = broker_of("alice", limits=Limits(max_name=5))
    send(broker, 1, "LOGIN alicia")
    assert codes_received(broker, 1) == ["BAD_NAME"]
    assert broker.snapshot().refusals == {ErrorCode.BAD_NAME: 1}


@pytest.mark.parametrize("address", ["", "192.0.2.1"])
def test_max_connections(address: str) -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_connections=1))
    for cid in (1, 2):
        broker.connect(cid, "peer", address=address)
    assert broker.take_ready() == [2]
    received(broker, 2)
    assert wants_close(broker, 2)
    assert close_reason(broker, 2) is CloseReason.TOO_MANY_CONNECTIONS


def test_max_connections_per_address() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_connections_per_address=1))
    for cid in (1, 2):
        broker.connect(cid, "peer", address="192.0.2.1")
    assert broker.take_ready() == [2]
    received(broker, 2)
    assert wants_close(broker, 2)
    assert close_reason(broker, 2) is CloseReason.TOO_MANY_FROM_ADDRESS


def reason_after(broker: ChatBroker[int], seconds: float) -> CloseReason:
    """Advance the clock to a connection's deadline.

    Returns:
        Why the broker closes the connection then, and not before.
    """
    broker.take_ready()
    broker.tick(seconds - 0.01)
    assert broker.take_ready() == []
    broker.tick(seconds)
    assert broker.take_ready() == [1]
    received(broker, 1)
    assert wants_close(broker, 1)
    return close_reason(broker, 1)


def test_handshake_timeout() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(handshake_timeout=3.0))
    broker.connect(1, "peer", secured=False)
    assert reason_after(broker, 3.0) is CloseReason.HANDSHAKE_TIMEOUT


def test_max_handshakes() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_handshakes=2))
    for cid in (1, 2, 3):
        broker.connect(cid, "peer", secured=False)
        broker.request_handshake(cid)
        assert broker.take_ready() == []
        assert broker.next_handshake() == cid
    assert broker.take_ready() == [1]
    assert not broker.next_step(1).write
    assert close_reason(broker, 1) is CloseReason.TOO_MANY_HANDSHAKES


def test_login_timeout() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=3.0))
    broker.connect(1, "peer")
    assert reason_after(broker, 3.0) is CloseReason.LOGIN_TIMEOUT


def test_auth_timeout() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(auth_timeout=3.0), ask=True)
    login(broker, 1, "alice")
    broker.tick(2.9)
    assert not broker.next_step(1).read
    broker.tick(3.0)
    assert broker.next_step(1).read
    assert codes_received(broker, 1) == ["AUTH_FAILED"]
    assert broker.snapshot().refusals == {ErrorCode.AUTH_FAILED: 1}
    assert answer(broker) == []


def test_hook_timeout() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(hook_timeout=3.0), ask_hooks=[Login])
    login(broker, 1, "alice")
    broker.tick(2.9)
    assert not broker.next_step(1).read
    broker.tick(3.0)
    assert broker.next_step(1).read
    assert codes_received(broker, 1) == ["REFUSED"]


def test_rate() -> None:
    broker = broker_of("alice", limits=Limits(rate=3.0))
    broker.tick(10.0)
    send(broker, 1, *["LEAVE g"] * 3)
    assert broker.next_step(1).read
    send(broker, 1, "LEAVE g")
    assert not broker.next_step(1).read
    assert broker.snapshot().refusals.total() == 3
    broker.tick(10.34)
    assert broker.next_step(1).read
    assert broker.snapshot().refusals.total() == 4


def test_max_groups() -> None:
    broker = broker_of("alice", "bob", limits=Limits(max_groups=2))
    send(broker, 1, "GROUP g alice", "GROUP h alice")
    send(broker, 2, "GROUP i bob", "GROUP g bob")
    assert codes_received(broker, 2) == ["TOO_MANY", "GROUP_EXISTS"]
    assert broker.snapshot().groups == 2
    send(broker, 1, "LEAVE g")
    send(broker, 2, "GROUP i bob")
    assert broker.snapshot().groups == 2
    assert broker.snapshot().refusals[ErrorCode.TOO_MANY] == 1


def test_max_groups_per_connection() -> None:
    broker = broker_of("alice", "bob", limits=Limits(max_groups_per_connection=1))
    send(broker, 1, "GROUP g alice", "GROUP h alice")
    send(broker, 2, "GROUP h bob")
    assert codes_received(broker, 1) == ["TOO_MANY"]
    assert (broker.snapshot().groups, broker.snapshot().refusals) == (2, {ErrorCode.TOO_MANY: 1})


def test_max_members() -> None:
    broker = broker_of("alice", limits=Limits(max_members=2))
    send(broker, 1, "GROUP g a b", "GROUP h a b c")
    assert received(broker, 1) == ["*server* ERR TOO_MANY GROUP a group has at most 2 members"]
    assert (broker.snapshot().groups, broker.snapshot().refusals) == (1, {ErrorCode.TOO_MANY: 1})


def test_max_memberships() -> None:
    broker = broker_of("alice", limits=Limits(max_memberships=3))
    send(broker, 1, "GROUP g alice b", "GROUP h a b")
    assert received(broker, 1) == ["*server* ERR TOO_MANY GROUP there are too many groups"]
    assert (broker.snapshot().groups, broker.snapshot().refusals) == (1, {ErrorCode.TOO_MANY: 1})
    broker.take_log_events()
    send(broker, 1, "LOGIN bob", "GROUP h a b")
    assert broker.snapshot().groups == 1
    assert [str(event) for event in broker.take_log_events()] == [
        "logged in bob (peer-1)",
        "group expired g: nobody in it is online, and peer-1 needs room",
        "group made h by bob (peer-1)",
    ]


def test_max_memberships_per_address() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_memberships_per_address=3))
    broker.connect(1, "peer-1", address="192.0.2.1")
    send(broker, 1, "LOGIN alice", "GROUP g a b", "GROUP h")
    assert received(broker, 1) == [
        "*server* ERR TOO_MANY GROUP there are too many groups from your address"
    ]
    assert (broker.snapshot().groups, broker.snapshot().refusals) == (1, {ErrorCode.TOO_MANY: 1})


def test_max_connections_per_name() -> None:
    broker = broker_of("alice", "alice", "bob", limits=Limits(max_connections_per_name=2))
    send(broker, 3, "LOGIN alice")
    assert received(broker, 3) == ["*server* ERR TOO_MANY LOGIN alice is logged in 2 times already"]
    assert (broker.snapshot().users, broker.snapshot().refusals) == (2, {ErrorCode.TOO_MANY: 1})
    send(broker, 1, "LOGIN alice", "LOGOUT")
    send(broker, 3, "LOGIN alice")
    assert broker.snapshot().users == 1


def test_one_connection_per_name() -> None:
    broker = broker_of("alice", "bob", limits=Limits(max_connections_per_name=1))
    send(broker, 2, "LOGIN alice")
    assert received(broker, 2) == ["*server* ERR TOO_MANY LOGIN alice is logged in once already"]


def test_bad_lines() -> None:
    broker = broker_of("alice", limits=Limits(bad_lines=3))
    send(broker, 1, "", "", "LEAVE g", "", "")
    assert broker.snapshot().users == 1
    send(broker, 1, "")
    assert broker.snapshot().users == 0
    assert codes_received(broker, 1)[-1] == "TOO_MANY"
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.BAD_LINES


def test_high_water() -> None:
    broker = broker_of("alice", "bob", limits=Limits(high_water=1000))
    fill(broker, 1, "alice", "bob", 1000)
    send(broker, 1, "SEND bob a")
    assert broker.snapshot().waiting == 0
    send(broker, 1, "SEND bob b")
    assert broker.snapshot().waiting == 1
    assert broker.snapshot().closes == {}


@pytest.mark.parametrize(("rate", "waits"), [(1000, True), (990, False)])
def test_drain_rate(rate: int, waits: bool) -> None:
    broker = broker_of("alice", "bob", limits=Limits(high_water=1000, drain_rate=1000))
    send(broker, 1, "GROUP g bob")
    fill(broker, 1, "alice", "bob", 1100)
    broker.sent(2, round(rate * WINDOW))
    broker.tick(WINDOW)
    send(broker, 1, "BROADCAST g hi")
    assert broker.snapshot().waiting == int(waits)


def test_queue_age() -> None:
    broker = broker_of("alice", limits=Limits(queue_age=3.0))
    send(broker, 1, "SEND alice hi")
    broker.sent(1, 0)
    assert reason_after(broker, 3.0) is CloseReason.SLOW_CONSUMER


def test_queue_bytes() -> None:
    broker = broker_of("alice", "bob", limits=Limits(max_line=512, queue_bytes=2000))
    send(broker, 2, "GROUP g alice")
    fill(broker, 2, "bob", "alice", 1100)
    broker.tick(WINDOW)
    for _ in range(9):
        send(broker, 2, message("bob", "g", 100).replace("SEND", "BROADCAST"))
    assert len(broker.next_step(1).write) == 2000
    assert not broker.next_step(1).close
    send(broker, 2, "BROADCAST g ")
    assert close_reason(broker, 1) is CloseReason.FULL_QUEUE


def test_total_queue_bytes() -> None:
    limits = Limits(max_line=512, queue_bytes=2000, total_queue_bytes=2000)
    broker = broker_of("alice", "bob", "carol", limits=limits)
    fill(broker, 3, "carol", "alice", 900)
    fill(broker, 3, "carol", "bob", 1000)
    send(broker, 3, message("carol", "carol", 100))
    assert broker.snapshot().queued == 2000
    send(broker, 3, "SEND alice ")
    assert broker.snapshot().queued < 2000
    assert close_reason(broker, 2) is CloseReason.FULL_QUEUES
    assert broker.next_step(1).read


def test_linger() -> None:
    broker = broker_of("alice", limits=Limits(linger=3.0))
    send(broker, 1, "SEND alice hi", "LOGOUT")
    assert reason_after(broker, 3.0) is CloseReason.LOGGED_OUT
    assert broker.snapshot().bytes_sent == 0


def test_close_timeout() -> None:
    broker = broker_of("alice", limits=Limits(close_timeout=3.0))
    send(broker, 1, "LOGOUT")
    assert half_close(broker, 1)
    assert reason_after(broker, 3.0) is CloseReason.LOGGED_OUT


def test_log_lines() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(log_lines=2))
    login(broker, 1, "alice")
    assert len(broker.take_log_events()) == 2
    send(broker, 1, "LOGOUT")
    assert broker.take_log_events() == []


def test_grace() -> None:
    broker = broker_of("alice", limits=Limits(grace=3.0))
    broker.drain()
    assert reason_after(broker, 3.0) is CloseReason.SHUTTING_DOWN
    assert broker.connections == 0


def test_notice_burst() -> None:
    broker = broker_of("alice", limits=Limits(notice_burst=3))
    send(broker, 1, *["LEAVE g"] * 4)
    assert codes_received(broker, 1) == ["NO_SUCH_GROUP"] * 3
    assert broker.snapshot().refusals == {ErrorCode.NO_SUCH_GROUP: 4}


def test_notice_rate() -> None:
    broker = broker_of("alice", limits=Limits(notice_burst=1, notice_rate=4.0))
    for now, count in ((0.0, 1), (0.24, 0), (0.25, 1), (0.49, 0), (0.5, 1)):
        broker.tick(now)
        send(broker, 1, "LEAVE g")
        assert len(codes_received(broker, 1)) == count
