"""chatproto.routing.hub: GROUP, LEAVE and BROADCAST (protocol.md, sections 2 and 4)."""

import pytest

from chatproto import (
    Broadcast,
    ConnectionClosed,
    Disconnect,
    ErrorCode,
    Event,
    Group,
    Leave,
    Login,
    Logout,
    Policy,
    Refuse,
)

from .hubs import delivery, hub_of, refused


def test_a_broadcast_reaches_every_other_connection_of_every_member() -> None:
    hub = hub_of("alice", "alice", "bob", "carol", "bob")
    hub.handle(4, Group("g", ["alice", "bob", "dave"]))
    assert hub.handle(1, Broadcast("g", b"x")) == delivery("alice", b"x", 2, 3, 5, group="g")


def test_a_member_named_twice_receives_a_broadcast_once() -> None:
    hub = hub_of("alice", "bob")
    hub.handle(1, Group("g", ["bob", "alice", "bob"]))
    assert hub.handle(1, Broadcast("g", b"x")) == delivery("alice", b"x", 2, group="g")


def test_a_broadcast_without_other_members_online() -> None:
    hub = hub_of("alice")
    hub.handle(1, Group("g", ["alice", "bob"]))
    assert hub.handle(1, Broadcast("g", b"x")) == []


def test_the_creator_of_a_group_may_broadcast_to_it() -> None:
    hub = hub_of("alice", "bob", "carol")
    hub.handle(1, Group("g", ["bob"]))
    assert hub.handle(1, Broadcast("g", b"x")) == delivery("alice", b"x", 2, group="g")
    assert refused(hub, 3, Broadcast("g", b"x")) is ErrorCode.NOT_A_MEMBER


def test_the_reference_policy_lets_anyone_broadcast() -> None:
    hub = hub_of("alice", "bob", "carol", policy=Policy.reference())
    hub.handle(1, Group("g", ["alice", "bob"]))
    assert hub.handle(3, Broadcast("g", b"x")) == delivery("carol", b"x", 1, 2, group="g")


@pytest.mark.parametrize("event", [Broadcast("g", b"x"), Leave("g"), Leave("*g")])
def test_an_unknown_group_is_refused(event: Event) -> None:
    assert refused(hub_of("alice"), 1, event) is ErrorCode.NO_SUCH_GROUP


@pytest.mark.parametrize(
    ("event", "code", "text"),
    [
        (Broadcast("h", b"x"), ErrorCode.NO_SUCH_GROUP, "there is no group h"),
        (Broadcast("g", b"x"), ErrorCode.NOT_A_MEMBER, "you are not a member of g"),
        (Leave("g"), ErrorCode.NOT_A_MEMBER, "you are not a member of g"),
    ],
)
def test_a_refusal_names_the_group(event: Event, code: ErrorCode, text: str) -> None:
    hub = hub_of("alice", "bob")
    hub.handle(1, Group("g", ["alice"]))
    assert hub.handle(2, event) == [Refuse(2, code, text)]


def test_a_group_that_exists_is_not_made_again() -> None:
    hub = hub_of("alice", "bob", "carol")
    assert hub.handle(1, Group("g", ["bob"])) == []
    assert refused(hub, 3, Group("g", ["carol"])) is ErrorCode.GROUP_EXISTS
    assert hub.groups == 1
    assert hub.handle(1, Broadcast("g", b"x")) == delivery("alice", b"x", 2, group="g")
    assert refused(hub, 3, Broadcast("g", b"x")) is ErrorCode.NOT_A_MEMBER


def test_a_group_may_have_no_members() -> None:
    hub = hub_of("alice", "bob")
    assert hub.handle(1, Group("g")) == []
    assert hub.handle(1, Broadcast("g", b"x")) == []
    assert refused(hub, 2, Broadcast("g", b"x")) is ErrorCode.NOT_A_MEMBER
    assert hub.groups == 1


def test_leave_ends_membership() -> None:
    hub = hub_of("alice", "bob")
    hub.handle(1, Group("g", ["alice", "bob"]))
    assert hub.handle(2, Leave("g")) == []
    assert hub.handle(1, Broadcast("g", b"x")) == []
    assert refused(hub, 2, Leave("g")) is ErrorCode.NOT_A_MEMBER
    assert refused(hub, 2, Broadcast("g", b"x")) is ErrorCode.NOT_A_MEMBER


def test_leave_on_one_connection_holds_for_all_of_the_name() -> None:
    hub = hub_of("alice", "alice", "bob")
    hub.handle(3, Group("g", ["alice", "bob"]))
    hub.handle(1, Leave("g"))
    assert hub.handle(3, Broadcast("g", b"x")) == []


def test_a_group_ends_with_its_last_member_and_can_be_made_again() -> None:
    hub = hub_of("alice", "bob")
    hub.handle(1, Group("g", ["bob"]))
    hub.handle(2, Leave("g"))
    assert hub.groups == 0
    assert refused(hub, 1, Broadcast("g", b"x")) is ErrorCode.NO_SUCH_GROUP
    assert hub.handle(2, Group("g", ["alice"])) == []
    assert hub.handle(2, Broadcast("g", b"x")) == delivery("bob", b"x", 1, group="g")
    assert refused(hub, 2, Leave("g")) is ErrorCode.NOT_A_MEMBER


@pytest.mark.parametrize("end", [Logout(), ConnectionClosed()])
def test_membership_survives_the_end_of_a_connection(end: Event) -> None:
    hub = hub_of("alice", "bob")
    hub.handle(1, Group("g", ["alice", "bob"]))
    assert hub.handle(2, end) == [Disconnect(2, None)]
    assert hub.handle(1, Broadcast("g", b"x")) == []
    hub.connect(3)
    hub.handle(3, Login("bob"))
    assert hub.handle(1, Broadcast("g", b"x")) == delivery("alice", b"x", 3, group="g")


def test_recipients_are_in_the_order_in_which_members_were_named() -> None:
    hub = hub_of("alice", "bob", "carol", "dave")
    hub.handle(1, Group("g", ["dave", "bob", "alice", "carol"]))
    assert hub.handle(1, Broadcast("g", b"x")) == [delivery("alice", b"x", 4, 2, 3, group="g")[0]]
