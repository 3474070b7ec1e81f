"""chatproto.routing.changes: what a hub notes of its groups, and how another hub gets them."""

import pytest

from chatproto import (
    GROUPS_NAME,
    ChatBroker,
    Group,
    GroupEnded,
    GroupMade,
    Joined,
    Leave,
    Limits,
    Login,
    Logout,
    MemberAdded,
    MemberLeft,
    Send,
)

from .hubs import delivery, hub_of


def test_each_change_is_noted_once_and_in_order() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=1))
    hub.note_changes()
    assert hub.take_changes() == []
    hub.handle(1, Group("tea", ["alice", "bob", "bob"]))
    hub.handle(1, Group("tea", ["zoe"]))
    hub.handle(1, Send(GROUPS_NAME, b"add tea carol"))
    hub.handle(1, Send(GROUPS_NAME, b"add tea carol"))
    hub.handle(1, Leave("tea"))
    assert hub.take_changes() == [
        GroupMade("tea", "alice", ("alice", "bob")),
        MemberAdded("tea", "carol"),
        MemberLeft("tea", "alice"),
    ]
    assert hub.take_changes() == []
    hub.handle(2, Leave("tea"))
    hub.handle(2, Logout())
    hub.handle(1, Logout())
    hub.connect(3)
    hub.handle(3, Login("carol"))
    hub.handle(3, Leave("tea"))
    assert hub.take_changes() == [MemberLeft("tea", "bob"), GroupEnded("tea")]


def test_a_group_that_gives_way_ends_before_the_new_one_is_made() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=1))
    hub.note_changes()
    hub.handle(2, Group("old", ["bob"]))
    hub.handle(2, Logout())
    hub.handle(1, Group("new", ["alice"]))
    assert hub.take_changes() == [
        GroupMade("old", "bob", ("bob",)),
        GroupEnded("old"),
        GroupMade("new", "alice", ("alice",)),
    ]


def test_without_the_wish_nothing_is_noted() -> None:
    hub = hub_of("alice")
    hub.handle(1, Group("tea", ["alice"]))
    assert hub.take_changes() == []


def test_groups_come_back_with_their_creators_and_members() -> None:
    hub = hub_of("alice", "bob", "carol")
    hub.restore([GroupMade("tea", "alice", ("bob", "carol"))])
    assert hub.handle(1, Send(GROUPS_NAME, b"add tea dave")) == [
        Joined("tea", "dave"),
        *delivery(GROUPS_NAME, b"added tea dave alice", 1),
    ]
    hub.handle(2, Leave("tea"))
    assert hub.members("tea") == 2


def test_two_groups_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="there is a group tea already"):
        hub_of().restore([GroupMade("tea", "alice", ()), GroupMade("tea", "bob", ())])


def test_groups_that_came_back_count_in_total_and_in_nobodys_quota() -> None:
    hub = hub_of("alice", limits=Limits(max_groups=2, max_groups_per_connection=1))
    hub.restore([GroupMade("a", "alice", ("alice",)), GroupMade("b", "alice", ("zoe",))])
    # There were more than there may be now: none of them has to go for a member.
    hub.restore([GroupMade("c", "zoe", ("zoe",))])
    assert hub.handle(1, Send(GROUPS_NAME, b"add a dave")) == [
        Joined("a", "dave"),
        *delivery(GROUPS_NAME, b"added a dave alice", 1),
    ]
    assert hub.groups == 3
    hub.handle(1, Leave("a"))
    assert hub.groups == 3


def test_a_broker_gives_out_changes_and_takes_groups() -> None:
    groups = [GroupMade("tea", "alice", ("alice", "bob"))]
    broker: ChatBroker[int] = ChatBroker(groups=groups, note_changes=True)
    assert broker.snapshot().groups == 1
    assert broker.take_group_changes() == []
    broker.connect(1, "peer")
    broker.receive(1, b"CHAT/1.0 LOGIN bob\nCHAT/1.0 LEAVE tea\nCHAT/1.0 GROUP g bob\n")
    assert broker.take_group_changes() == [
        MemberLeft("tea", "bob"),
        GroupMade("g", "bob", ("bob",)),
    ]
