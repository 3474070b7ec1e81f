"""chatproto.routing.hub: how many groups there may be, and because of whom."""

import pytest

from chatproto import ChatHub, ErrorCode, Group, Leave, Limits, Login, Refuse

from .hubs import hub_of, refused


def made(hub: ChatHub[int], cid: int, *groups: str) -> list[bool]:
    """Which of some groups a connection can make; their only member is alice."""
    results = [hub.handle(cid, Group(group, ["alice"])) for group in groups]
    for [refusal] in filter(None, results):
        assert isinstance(refusal, Refuse)
        assert (refusal.cid, refusal.code) == (cid, ErrorCode.TOO_MANY)
    return [not result for result in results]


@pytest.mark.parametrize(("members", "many"), [(0, False), (3, False), (4, True)])
def test_members(members: int, many: bool) -> None:
    hub = hub_of("alice", limits=Limits(max_members=3))
    event = Group("g", [f"member{number}" for number in range(members)])
    if many:
        assert refused(hub, 1, event) is ErrorCode.TOO_MANY
    else:
        assert hub.handle(1, event) == []
    assert hub.groups == int(not many)


def test_groups_altogether() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=2))
    assert made(hub, 1, "a") == made(hub, 2, "b") == [True]
    assert made(hub, 1, "c") == made(hub, 2, "c") == [False]
    assert hub.groups == 2


def test_a_group_that_ends_makes_room() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=1))
    assert made(hub, 2, "a", "b") == [True, False]
    hub.handle(1, Leave("a"))
    assert made(hub, 2, "b", "a") == [True, False]


def test_groups_of_one_connection() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups_per_connection=2))
    assert made(hub, 1, "a", "b", "c") == [True, True, False]
    assert made(hub, 2, "c") == [True]


def test_who_ends_a_group_makes_room_for_its_maker() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups_per_connection=1))
    assert made(hub, 2, "a", "b") == [True, False]
    hub.handle(1, Leave("a"))
    assert made(hub, 2, "b", "a") == [True, False]


def test_a_new_name_is_no_new_connection() -> None:
    hub = hub_of("alice", limits=Limits(max_groups_per_connection=1))
    assert made(hub, 1, "a") == [True]
    hub.handle(1, Login("bob"))
    assert made(hub, 1, "b") == [False]


def test_connections_of_one_name_count_by_themselves() -> None:
    hub = hub_of("alice", "alice", limits=Limits(max_groups_per_connection=1))
    assert made(hub, 1, "a", "b") == [True, False]
    assert made(hub, 2, "b", "c") == [True, False]


def test_groups_outlive_their_makers_and_count_for_all_only() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=2, max_groups_per_connection=1))
    assert made(hub, 1, "a") == [True]
    hub.disconnect(1)
    hub.connect(1)
    hub.handle(1, Login("alice"))
    assert made(hub, 1, "b") == [True]
    assert made(hub, 2, "c") == [False]
    # Ending a group whose maker is gone takes nothing from anybody.
    hub.handle(1, Leave("a"))
    assert made(hub, 1, "c") == [False]
    assert made(hub, 2, "c") == [True]


def test_a_refusal_says_which_limit_it_is() -> None:
    hub = hub_of("a", "b", limits=Limits(max_groups=2, max_groups_per_connection=1, max_members=1))
    texts = []
    for cid, event in (
        (1, Group("g", ["a", "b"])),
        (1, Group("g")),
        (1, Group("h")),
        (2, Group("h")),
        (2, Group("i")),
    ):
        texts += [action.text for action in hub.handle(cid, event) if isinstance(action, Refuse)]
    assert texts == [
        "a group has at most 1 members",
        "you have made too many groups",
        "there are too many groups",
    ]


def test_a_group_that_exists_is_no_group_too_many() -> None:
    hub = hub_of("alice", limits=Limits(max_groups=1, max_members=1))
    assert made(hub, 1, "a") == [True]
    assert refused(hub, 1, Group("a", ["x", "y", "z"])) is ErrorCode.GROUP_EXISTS
