"""chatproto.routing.hub: how many groups there may be, in all and made by one connection."""

import pytest

from chatproto import ChatHub, ErrorCode, Group, Leave, Limits, Login, Refuse

from .hubs import hub_of, refused


def made(hub: ChatHub[int], cid: int, *groups: str) -> list[bool]:
    """Make groups whose only member is alice.

    Returns:
        For each whether it was made; otherwise it was refused as one too many.
    """
    results = [hub.handle(cid, Group(group, ["alice"])) for group in groups]
    for [refusal] in filter(None, results):
        assert isinstance(refusal, Refuse)
        assert (refusal.cid, refusal.code) == (cid, ErrorCode.TOO_MANY)
    return [not result for result in results]


@pytest.mark.parametrize(("members", "many"), [(0, False), (3, False), (4, True)])
def test_a_group_has_a_bounded_number_of_members(members: int, many: bool) -> None:
    hub = hub_of("alice", limits=Limits(max_members=3))
    event = Group("g", [f"member{number}" for number in range(members)])
    if many:
        assert refused(hub, 1, event) is ErrorCode.TOO_MANY
    else:
        assert hub.handle(1, event) == []
    assert hub.groups == int(not many)


def test_there_is_a_bounded_number_of_groups() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=2))
    assert made(hub, 1, "a") == made(hub, 2, "b") == [True]
    assert made(hub, 1, "c") == made(hub, 2, "c") == [False]
    assert hub.groups == 2


def test_a_group_that_ends_makes_room() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=1))
    assert made(hub, 2, "a", "b") == [True, False]
    hub.handle(1, Leave("a"))
    assert made(hub, 2, "b", "a") == [True, False]


def test_a_connection_makes_a_bounded_number_of_groups() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups_per_connection=2))
    assert made(hub, 1, "a", "b", "c") == [True, True, False]
    assert made(hub, 2, "c") == [True]


def test_a_group_that_ends_makes_room_for_its_maker() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups_per_connection=1))
    assert made(hub, 2, "a", "b") == [True, False]
    hub.handle(1, Leave("a"))
    assert made(hub, 2, "b", "a") == [True, False]


def test_groups_count_for_the_connection_that_made_them_under_any_name() -> None:
    hub = hub_of("alice", limits=Limits(max_groups_per_connection=1))
    assert made(hub, 1, "a") == [True]
    hub.handle(1, Login("bob"))
    assert made(hub, 1, "b") == [False]


def test_groups_do_not_count_for_other_connections_of_the_name() -> None:
    hub = hub_of("alice", "alice", limits=Limits(max_groups_per_connection=1))
    assert made(hub, 1, "a", "b") == [True, False]
    assert made(hub, 2, "b", "c") == [True, False]


def test_groups_whose_maker_is_gone_count_for_no_connection() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_groups=2, max_groups_per_connection=1))
    assert made(hub, 1, "a") == [True]
    hub.disconnect(1)
    hub.connect(1)
    hub.handle(1, Login("alice"))
    assert made(hub, 1, "b") == [True]
    assert made(hub, 2, "c") == [False]
    # The end of such a group makes room in all, and for no connection.
    hub.handle(1, Leave("a"))
    assert made(hub, 1, "c") == [False]
    assert made(hub, 2, "c") == [True]


def test_groups_of_connections_without_a_network_count_with_none() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_memberships_per_address=2))
    assert made(hub, 1, "a", "b") == made(hub, 2, "c", "d") == [True, True]


def test_a_refusal_names_the_limit() -> None:
    hub = hub_of(
        "a", "b", "c", limits=Limits(max_groups=2, max_groups_per_connection=1, max_members=1)
    )
    texts = []
    for cid, event in (
        (1, Group("g", ["a", "b"])),
        (1, Group("g")),
        (1, Group("h")),
        (2, Group("h")),
        (3, Group("i")),
    ):
        texts += [action.text for action in hub.handle(cid, event) if isinstance(action, Refuse)]
    assert texts == [
        "a group has at most 1 members",
        "you have made too many groups",
        "there are too many groups",
    ]


def test_a_group_that_exists_is_refused_as_such_at_any_limit() -> None:
    hub = hub_of("alice", limits=Limits(max_groups=1, max_members=1))
    assert made(hub, 1, "a") == [True]
    assert refused(hub, 1, Group("a", ["x", "y", "z"])) is ErrorCode.GROUP_EXISTS


def test_a_name_has_a_bounded_number_of_connections() -> None:
    hub = hub_of("alice", "bob", "bob", limits=Limits(max_connections_per_name=2))
    text = "bob is logged in 2 times already"
    assert hub.handle(1, Login("bob")) == [Refuse(1, ErrorCode.TOO_MANY, text)]
    hub.disconnect(2)
    assert hub.handle(1, Login("bob")) == []


def test_somebody_who_is_in_a_full_group_may_be_added_to_it_again() -> None:
    hub = hub_of("alice", limits=Limits(max_members=1))
    hub.handle(1, Group("g", ["alice"]))
    assert hub.add_member("g", "alice") == ("", [])
    assert hub.add_member("g", "bob") == ("a group has at most 1 members", [])
    # It may have ended meanwhile.
    hub.remove_member("h", "alice")
    assert (hub.members("g"), hub.members("h")) == (1, 0)
