"""chatproto.routing.groups: which groups there are, and which give way when there are too many."""

import pytest

from chatproto import GroupLimits
from chatproto.routing.groups import SEARCH, GroupRecord, Groups

IN_TOTAL = "there are too many groups"
FROM_NETWORK = "there are too many groups from your address"


class Table:
    """Groups, and who is online."""

    def __init__(self, *online: str, limits: GroupLimits = GroupLimits()) -> None:
        self.online = dict.fromkeys(online)
        self.groups: Groups[int] = Groups(limits, self.online.keys())

    def make(
        self, name: str, *members: str, creator: str = "alice", maker: int = 1, network: str = ""
    ) -> tuple[str, list[str]]:
        return self.groups.make(name, members, creator, maker, network)

    def names(self, *names: str) -> list[str]:
        """Those of some names that are names of groups."""
        return [name for name in names if self.groups.get(name) is not None]


def test_a_group_has_its_members_and_ends_with_the_last_one() -> None:
    table = Table()
    assert table.make("g", "bob", "carol", "bob") == ("", [])
    group = table.groups.get("g")
    assert group is not None
    assert (group.creator, list(group.members)) == ("alice", ["bob", "carol"])
    table.groups.leave("g", "bob")
    assert len(table.groups) == 1
    table.groups.leave("g", "carol")
    assert (len(table.groups), table.groups.get("g")) == (0, None)


@pytest.mark.parametrize("maker", [1, 2])
def test_a_group_counts_with_its_maker_until_that_has_ended(maker: int) -> None:
    table = Table("alice", limits=GroupLimits(max_groups_per_connection=1))
    table.make("g", "bob", maker=1)
    assert table.make("h", "bob", maker=maker)[0] == (
        "you have made too many groups" if maker == 1 else ""
    )
    table.groups.forget_maker(1)
    assert table.make("i", "bob", maker=1) == ("", [])
    # Its end makes no room for a connection that is gone.
    table.groups.leave("g", "bob")
    assert table.make("j", "bob", maker=1)[0] == "you have made too many groups"


# Room


FEW = GroupLimits(max_groups=2)
SMALL = GroupLimits(max_memberships=4)


@pytest.mark.parametrize("limits", [FEW, SMALL])
def test_groups_in_which_nobody_is_online_give_way_oldest_first(limits: GroupLimits) -> None:
    table = Table(limits=limits)
    for name in "abc":
        assert table.make(name, "bob", "carol") == ("", ["a"] if name == "c" else [])
    assert table.make("d", "bob", "carol") == ("", ["b"])
    assert table.names(*"abcd") == ["c", "d"]


@pytest.mark.parametrize("online", ["alice", "carol"])
def test_one_in_which_somebody_is_online_stays(online: str) -> None:
    table = Table(online, limits=FEW)
    table.make("a", "bob", "carol")
    table.make("b", "bob", creator="dave")
    assert table.make("c", "bob") == ("", ["b"])
    table.online.clear()
    table.online["bob"] = None
    assert table.make("d", "bob") == (IN_TOTAL, [])


def test_as_many_give_way_as_have_to() -> None:
    table = Table(limits=GroupLimits(max_memberships=6))
    for name in "abcdef":
        table.make(name, "bob")
    assert table.make("g", *"vwxyz") == ("", list("abcde"))
    assert table.names(*"abcdefg") == ["f", "g"]


def test_a_group_that_is_too_large_for_all_room_is_refused() -> None:
    table = Table(limits=GroupLimits(max_memberships=2))
    assert table.make("g", *"abc") == (IN_TOTAL, [])


def test_a_search_ends_and_the_next_one_goes_on() -> None:
    table = Table("alice", limits=GroupLimits(max_groups=SEARCH, max_groups_per_connection=10**6))
    for number in range(SEARCH - 1):
        table.make(f"g{number}", "bob")
    table.make("old", "bob", creator="carol")
    assert table.make("new", "bob") == (IN_TOTAL, [])
    assert table.make("new", "bob") == ("", ["old"])
    # A name for each group, and one for its member, and not more.
    assert table.groups.looked_up <= 2 * SEARCH + 4


def test_nothing_gives_way_to_a_group_that_is_refused() -> None:
    limits = GroupLimits(max_memberships=5, max_memberships_per_address=5)
    table = Table(limits=limits)
    table.make("tea", "bob", "carol")
    table.make("mine", "bob", "carol", "dave", network="n", creator="alice")
    table.online["alice"] = None
    assert table.make("new", "bob", network="n") == (FROM_NETWORK, [])
    assert table.make("new", *"abcd") == (IN_TOTAL, [])
    assert table.names("tea", "mine", "new") == ["tea", "mine"]


def test_what_gives_way_in_a_network_counts_in_total_too() -> None:
    limits = GroupLimits(max_groups=2, max_memberships_per_address=5)
    table = Table(limits=limits)
    table.make("tea", "bob")
    table.make("mine", "bob", "carol", network="n")
    assert table.make("new", "bob", "dave", network="n") == ("", ["mine"])
    assert table.names("tea", "mine", "new") == ["tea", "new"]


# Networks


def test_what_one_network_has_made_is_bounded() -> None:
    limits = GroupLimits(max_memberships_per_address=6)
    table = Table("alice", limits=limits)
    # A group counts as one more.
    assert table.make("a", "bob", network="n") == ("", [])
    assert table.make("b", "bob", "carol", network="n") == ("", [])
    assert table.make("c", "bob", network="n") == (FROM_NETWORK, [])
    assert table.make("c", "bob", network="m") == ("", [])
    assert table.make("d", *"bcdefgh") == ("", [])
    table.groups.leave("b", "bob")
    assert table.make("e", network="n") == ("", [])
    assert table.make("f", network="n") == ("", [])
    assert table.make("g", network="n") == (FROM_NETWORK, [])
    table.groups.leave("a", "bob")
    assert table.make("g", network="n") == ("", [])


def test_a_network_makes_room_among_its_own_groups() -> None:
    table = Table(limits=GroupLimits(max_memberships_per_address=5))
    table.make("other", "bob", network="m")
    for name in "ab":
        table.make(name, "bob", network="n")
    assert table.make("c", "bob", network="n") == ("", ["a"])
    assert table.names("other", *"abc") == ["other", "b", "c"]


@pytest.mark.parametrize(("members", "gone"), [("b", "a"), ("bc", "a"), ("bcd", "ab")])
def test_a_group_that_gives_way_makes_room_for_one_more_than_its_members(
    members: str, gone: str
) -> None:
    table = Table(limits=GroupLimits(max_memberships_per_address=5))
    for name in "ab":
        table.make(name, "bob", network="n")
    assert table.make("new", *members, network="n") == ("", list(gone))


def test_a_new_member_counts_once_and_with_the_network_of_the_group() -> None:
    limits = GroupLimits(max_memberships=4, max_memberships_per_address=4)
    table = Table("alice", limits=limits)
    table.make("mine", "bob", network="n")
    assert table.groups.add("mine", "carol") == ("", [])
    assert table.groups.add("mine", "dave") == ("", [])
    assert table.groups.add("mine", "erin") == (FROM_NETWORK, [])
    table.make("tea", "bob")
    assert table.groups.add("tea", "carol") == (IN_TOTAL, [])


def test_a_group_does_not_give_way_to_its_own_new_member() -> None:
    table = Table(limits=GroupLimits(max_memberships=2, max_memberships_per_address=2))
    table.make("mine", "bob", network="n")
    assert table.groups.add("mine", "carol") == (FROM_NETWORK, [])
    table.make("tea", "bob")
    assert table.groups.add("tea", "carol") == ("", ["mine"])
    assert table.groups.add("tea", "dave") == (IN_TOTAL, [])
    assert table.names("mine", "tea") == ["tea"]


def test_as_many_groups_give_way_as_a_lower_bound_asks_for() -> None:
    table = Table(limits=GroupLimits(max_groups=4))
    for name in "abcd":
        table.make(name, "bob")
    table.groups.reconfigure(GroupLimits(max_groups=3))
    assert table.make("e", "bob") == ("", ["a", "b"])


def test_a_group_that_is_too_large_for_its_network_is_refused() -> None:
    table = Table(limits=GroupLimits(max_memberships_per_address=2))
    assert table.make("g", *"abc", network="n") == (FROM_NETWORK, [])


def test_nothing_is_left_of_groups_that_are_gone() -> None:
    table = Table("alice")
    for maker in (1, 2):
        table.make(f"g{maker}", "bob", maker=maker, network="n")
        table.groups.leave(f"g{maker}", "bob")
        table.groups.forget_maker(maker)
    groups = table.groups
    assert not any(
        [groups._by_name, groups._order, groups._by_network, groups._memberships, groups._by_maker]
    )
    assert groups._total == 0


def test_what_gives_way_in_a_network_is_not_found_once_more_in_total() -> None:
    table = Table(limits=GroupLimits(max_memberships=4, max_memberships_per_address=5))
    table.make("mine", "bob", "carol", network="n")
    table.make("tea", "bob", "carol")
    assert table.make("new", "bob", "carol", "dave", network="n") == ("", ["mine", "tea"])
    assert table.names("mine", "tea", "new") == ["new"]


# Copies


def parts(record: GroupRecord[int] | None) -> tuple[str, list[str], int | None, str]:
    assert record is not None
    return record.creator, list(record.members), record.maker, record.network


def test_records_that_were_read_stay_as_they_were_if_changes_make_copies() -> None:
    table = Table("alice")
    table.make("tea", "bob", network="n")
    records = table.groups.records()
    table.groups.add("tea", "carol")
    assert table.groups.get("tea") is records["tea"]
    table.groups.copy_on_write = True
    table.groups.add("tea", "dave")
    table.groups.leave("tea", "bob")
    assert parts(table.groups.get("tea")) == ("alice", ["carol", "dave"], 1, "n")
    table.groups.forget_maker(1)
    assert parts(records["tea"]) == ("alice", ["bob", "carol"], 1, "n")
    assert parts(table.groups.get("tea")) == ("alice", ["carol", "dave"], None, "n")


def test_a_table_can_be_filled_in_the_order_of_another_and_cleared() -> None:
    limits = GroupLimits(max_memberships=4, max_groups_per_connection=3)
    table = Table(limits=limits)
    for name, network in ("a", "n"), ("b", "m"), ("c", "n"):
        table.make(name, "bob", network=network)
    assert (table.groups.order(), table.groups.orders()) == (["a", "b", "c"], {"n": ["a", "c"]})
    table.groups.reorder("n", ["c", "a"])
    record: GroupRecord[int] = GroupRecord("alice", ["carol"], None, "m")
    table.groups.insert("d", record)
    assert table.groups.get("d") is record
    assert table.groups.order() == ["a", "b", "c", "d"]
    assert table.groups.orders() == {"n": ["c", "a"], "m": ["b", "d"]}
    table.groups.clear()
    table.online["alice"] = None
    assert table.make("e", *"wxyz") == ("", [])
    assert table.groups.order() == list(table.groups.records()) == ["e"]
    assert table.make("f", "bob") == (IN_TOTAL, [])
