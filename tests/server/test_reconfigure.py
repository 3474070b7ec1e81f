"""`ChatBroker.reconfigure`: what a change does to that which is there.

That each limit holds when it is given later is in `test_limits_kept.py`.
"""

from typing import Any

import pytest

from chatproto import (
    Broadcasting,
    ChatBroker,
    CloseReason,
    Cluster,
    DuplicateLogin,
    ErrorCode,
    Limits,
    NameRule,
    Policy,
)

from .brokers import broker_of, close_reason, login, message, received, send, wants_close


def test_only_what_is_given_changes() -> None:
    policy, limits = Policy(names=NameRule.ANY), Limits(max_name=5)
    broker = broker_of("alice", policy=policy, limits=limits)
    broker.reconfigure()
    changes: list[dict[str, Any]] = [{"notices": True}, {"policy": policy}, {"limits": limits}]
    for change in changes:
        broker.reconfigure(**change)
        send(broker, 1, "LOGIN alicia", "LOGIN a\u200db")
        assert [line.split(" ")[2] for line in received(broker, 1)] == ["BAD_NAME"]
        send(broker, 1, "LOGIN alice")


def test_notices() -> None:
    broker = broker_of("alice")
    for notices in (False, True):
        broker.reconfigure(notices=notices)
        send(broker, 1, "SEND bob hi")
        assert bool(received(broker, 1)) is notices
    assert broker.snapshot().refusals == {ErrorCode.NO_SUCH_USER: 2}


def test_without_notices_there_are_no_services() -> None:
    broker = broker_of("alice")
    for notices in (False, True):
        broker.reconfigure(notices=notices)
        send(broker, 1, "SEND *groups* list")
        assert bool(received(broker, 1)) is notices


def test_labels_stay_with_those_who_have_asked() -> None:
    """Without them, a client would take what is for its group for a message to itself."""
    broker = broker_of("alice", "bob")
    send(broker, 1, "GROUP g alice bob")
    send(broker, 2, "SEND *groups* on")
    for policy, notices in (Policy(services=False), True), (Policy(), False):
        broker.reconfigure(policy=policy, notices=notices)
        send(broker, 2, "SEND *groups* off")
        send(broker, 1, "BROADCAST g hi")
        assert received(broker, 2)[-1] == "*groups* in g alice hi"
    broker.reconfigure(policy=Policy(), notices=True)
    send(broker, 2, "SEND *groups* off")
    send(broker, 1, "BROADCAST g hi")
    assert received(broker, 2) == ["*groups* off", "alice hi"]


def test_broadcasting() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "GROUP g alice")
    send(broker, 2, "BROADCAST g hi")
    assert "NOT_A_MEMBER" in received(broker, 2)[0]
    broker.reconfigure(policy=Policy(broadcasting=Broadcasting.ANYONE))
    send(broker, 2, "BROADCAST g hi")
    assert received(broker, 1) == ["bob hi"]


def test_duplicate_login() -> None:
    broker = broker_of("alice", "alice")
    broker.reconfigure(policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    login(broker, 3, "alice")
    assert "NAME_IN_USE" in received(broker, 3)[0]
    # Those who share the name stay.
    send(broker, 3, "LOGIN bob", "SEND alice hi")
    assert received(broker, 1) == received(broker, 2) == ["bob hi"]
    broker.reconfigure(policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    send(broker, 3, "LOGIN alice")
    assert "NAME_IN_USE" in received(broker, 1)[0]
    assert "NAME_IN_USE" in received(broker, 2)[0]


def test_names_that_have_to_be_distinct_from_now_on() -> None:
    broker = broker_of("bob", "BOB", "carol")
    distinct = Policy(names=NameRule.DISTINCT)
    for _ in range(2):
        broker.reconfigure(policy=distinct)
        login(broker, 4, "Bob")
        assert "NAME_IN_USE" in received(broker, 4)[0]
        broker.disconnect(4)
    # The two who were there first may come and go.
    send(broker, 1, "LOGOUT")
    login(broker, 4, "Bob")
    assert "NAME_IN_USE" in received(broker, 4)[0]
    send(broker, 2, "LOGOUT")
    send(broker, 4, "LOGIN Bob")
    assert broker.snapshot().users == 2
    broker.reconfigure(policy=Policy())
    login(broker, 5, "bob")
    assert broker.snapshot().users == 3
    # What was noted of names is gone.
    broker.disconnect(4)
    broker.disconnect(5)
    broker.reconfigure(policy=distinct)
    login(broker, 6, "BOB")
    assert broker.snapshot().users == 2


@pytest.mark.parametrize("first", [1, 2])
def test_names_of_before_that_are_not_distinct_leave_no_trace(first: int) -> None:
    broker = broker_of("bob", "BOB")
    broker.reconfigure(policy=Policy(names=NameRule.DISTINCT))
    for cid in (first, 3 - first):
        send(broker, cid, "LOGOUT")
    login(broker, 3, "Bob")
    assert broker.snapshot().users == 1


def test_lower_bounds_end_nothing() -> None:
    limits = Limits(
        max_connections=1,
        max_connections_per_address=1,
        max_connections_per_name=1,
        max_groups=1,
        max_groups_per_connection=1,
        max_members=1,
        max_memberships=1,
        max_memberships_per_address=1,
        max_name=1,
    )
    broker = broker_of("alice", "alice", "bob")
    for cid in (4, 5):
        broker.connect(cid, "peer", address="192.0.2.1")
        send(broker, cid, f"LOGIN user{cid}", f"GROUP {cid}a alice bob", f"GROUP {cid}b alice bob")
    broker.reconfigure(limits=limits)
    counters = broker.snapshot()
    assert (counters.connections, counters.users, counters.groups) == (5, 4, 4)
    send(broker, 4, "BROADCAST 4b hi", "SEND user5 ho", "GROUP c alice")
    assert received(broker, 1) == received(broker, 3) == ["user4 hi"]
    assert received(broker, 5) == ["user4 ho"]
    assert "TOO_MANY" in received(broker, 4)[0]
    login(broker, 6, "x")
    assert "too many connections" in received(broker, 6)[0]


def test_bounds_on_queues_hold_for_the_next_line() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, message("alice", "bob", 3000))
    broker.reconfigure(limits=Limits(max_line=512, queue_bytes=2000))
    assert len(broker.next_step(2).write) == 3000
    broker.tick(5.0)
    assert broker.snapshot().connections == 2
    send(broker, 1, "SEND bob hi")
    assert close_reason(broker, 2) is CloseReason.FULL_QUEUE


def test_a_line_that_has_begun() -> None:
    broker = broker_of("alice", "bob")
    line = "CHAT/1.0 SEND bob ".ljust(1000, "x").encode()
    broker.receive(1, line)
    broker.reconfigure(limits=Limits(max_line=512))
    broker.receive(1, b"x\n")
    assert "LINE_TOO_LONG" in received(broker, 1)[0]
    broker.receive(1, line)
    assert "LINE_TOO_LONG" in received(broker, 1)[0]
    broker.reconfigure(limits=Limits())
    # The rest of a line that was too long stays so.
    broker.receive(1, b"x\n" + line + b"x\n")
    assert received(broker, 1) == []
    assert len(received(broker, 2)[0]) == len("alice ") + 1001 - len("CHAT/1.0 SEND bob ")


@pytest.mark.parametrize("count", [1, 20])
def test_a_longer_or_shorter_line_of_one_who_was_there(count: int) -> None:
    """One line, and as many as go the fast path together."""
    line = "CHAT/1.0 SEND bob ".ljust(1000, "x").encode() + b"\n"
    broker = broker_of("alice", "bob", limits=Limits(max_line=512, bad_lines=1000))
    broker.receive(1, line * count)
    assert broker.snapshot().refusals == {ErrorCode.LINE_TOO_LONG: count}
    broker.reconfigure(limits=Limits())
    broker.receive(1, line * count)
    assert len(received(broker, 2)) == count
    broker.reconfigure(limits=Limits(max_line=512))
    broker.receive(1, line * count)
    assert broker.snapshot().refusals == {ErrorCode.LINE_TOO_LONG: 2 * count}
    assert received(broker, 2) == []


def test_bad_lines_before_the_change_count() -> None:
    broker = broker_of("alice")
    send(broker, 1, *["nonsense"] * 5)
    received(broker, 1)
    broker.reconfigure(limits=Limits(bad_lines=3))
    broker.receive(1, b"x")
    assert "too many bad lines" in received(broker, 1)[0]


def test_a_rate_for_those_who_were_there() -> None:
    broker = broker_of("alice")
    lines = b"CHAT/1.0 SEND alice hi\n" * 5
    for rate, count in ((None, 5), (2.0, 2)):
        broker.reconfigure(limits=Limits(rate=rate))
        broker.receive(1, lines)
        assert len(received(broker, 1)) == count
    # The same rate again is no new allowance.
    broker.reconfigure(limits=Limits(rate=2.0, max_name=5))
    assert not broker.next_step(1).read
    broker.tick(0.5)
    assert len(received(broker, 1)) == 1
    # She waits for the next line no longer than a second.
    broker.reconfigure(limits=Limits())
    broker.tick(1.5)
    assert len(received(broker, 1)) == 2
    assert broker.next_step(1).read


def test_a_rate_of_notices_for_those_who_were_there() -> None:
    broker = broker_of("alice", limits=Limits(notice_burst=1))
    for burst, count in ((1, 1), (1, 0), (2, 2), (2, 0)):
        broker.reconfigure(limits=Limits(notice_burst=burst))
        send(broker, 1, *["SEND bob hi"] * 3)
        assert len(received(broker, 1)) == count


@pytest.mark.parametrize("timeout", [2.0, 9.0])
def test_a_time_that_runs_already(timeout: float) -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=5.0))
    broker.connect(1, "peer")
    broker.tick(1.0)
    broker.reconfigure(limits=Limits(login_timeout=timeout))
    broker.tick(timeout - 0.01)
    assert broker.take_ready() == []
    broker.tick(timeout)
    received(broker, 1)
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) == "no login in time"


def test_a_change_while_everything_ends() -> None:
    broker = broker_of("alice", limits=Limits(grace=3.0, linger=60.0))
    broker.drain()
    broker.reconfigure(limits=Limits(linger=60.0))
    # The end was fixed when it began.
    broker.tick(3.0)
    assert broker.next_step(1).close


def test_a_node_of_a_cluster_keeps_what_all_nodes_have_to_agree_on() -> None:
    broker: ChatBroker[str] = ChatBroker(cluster=Cluster("a", token="t"))
    broker.reconfigure(limits=Limits(rate=5.0))
    changes: list[dict[str, Any]] = [
        {"policy": Policy(duplicate_login=DuplicateLogin.REJECT)},
        {"limits": Limits(max_groups=7)},
        # Without notices there are no services, which are a part of the policy.
        {"notices": False},
    ]
    for change in changes:
        with pytest.raises(ValueError, match="belong to the chat, not to one server: "):
            broker.reconfigure(**change)
        with pytest.raises(ValueError, match="belong to the chat, not to one server: "):
            broker.check_configuration(**change)
