"""`Unwritten`: what it holds is the difference between two sets of groups, whatever happens."""

from hypothesis import given
from hypothesis import strategies as st

from chatproto import (
    ChatHub,
    Group,
    GroupChange,
    GroupEnded,
    GroupMade,
    Leave,
    Login,
    MemberAdded,
    MemberLeft,
)
from chatproto_sync.state.unwritten import Unwritten

Groups = dict[str, tuple[str, frozenset[str]]]
"""The creator and the members of each group."""

GROUPS = "abc"
USERS = "xyz"


def happen(groups: Groups, change: GroupChange) -> None:
    """The plain meaning of a change."""
    match change:
        case GroupMade(group, creator, members):
            assert group not in groups
            groups[group] = creator, frozenset(members)
        case MemberAdded(group, member):
            creator, there = groups[group]
            assert member not in there
            groups[group] = creator, there | {member}
        case MemberLeft(group, member):
            creator, there = groups[group]
            assert member in there
            groups[group] = creator, there - {member}
        case GroupEnded(group):
            del groups[group]


def write(groups: Groups, unwritten: Unwritten) -> None:
    """Apply differences, in the order in which the file does."""
    for group, there in unwritten.by_group.items():
        if there.ended:
            del groups[group]
        if there.creator is not None:
            assert group not in groups
            groups[group] = there.creator, frozenset()
        if group in groups:
            creator, members = groups[group]
            left, added = (
                {name for name, is_new in there.members.items() if is_new is wanted}
                for wanted in (False, True)
            )
            assert left <= members
            assert not added & members
            groups[group] = creator, (members - left) | added


def possible(groups: Groups) -> list[GroupChange]:
    """What can happen next."""
    found: list[GroupChange] = []
    for group in GROUPS:
        if group not in groups:
            found += [GroupMade(group, "x", ()), GroupMade(group, "y", ("x", "y"))]
            continue
        found.append(GroupEnded(group))
        _, members = groups[group]
        for user in USERS:
            found.append(MemberLeft(group, user) if user in members else MemberAdded(group, user))
    return found


@given(st.data())
def test_what_is_written_is_what_has_happened(data: st.DataObject) -> None:
    """Also if a part is taken out, other things happen, and it comes back because of an error."""
    unwritten, taken = Unwritten(), Unwritten()
    here: Groups = {}
    file: Groups = {}
    for _ in range(data.draw(st.integers(0, 30))):
        match data.draw(st.sampled_from(("change", "change", "take", "fail", "write"))):
            case "change":
                change = data.draw(st.sampled_from(possible(here)))
                happen(here, change)
                unwritten.note([change])
            case "take" if not taken:
                taken = unwritten.take(data.draw(st.integers(1, 6)))
            case "fail":
                unwritten.put_back(taken)
                taken = Unwritten()
            case "write":
                write(file, taken)
                taken = Unwritten()
        # Nothing is kept for a group that neither the file nor the server has.
        assert unwritten.by_group.keys() <= file.keys() | here.keys() | taken.by_group.keys()
    unwritten.put_back(taken)
    write(file, unwritten)
    assert file == here


def test_what_cancels_out_takes_no_place() -> None:
    unwritten = Unwritten()
    unwritten.note([GroupMade("tea", "alice", ("bob",)), GroupEnded("tea")])
    assert len(unwritten) == 0


def test_a_batch_is_bounded() -> None:
    """By groups and members together; a group is never divided."""
    unwritten = Unwritten()
    unwritten.note(GroupMade(f"g{number}", "x", ("a", "b")) for number in range(10))
    assert list(unwritten.take(6).by_group) == ["g0", "g1"]
    assert list(unwritten.take(7).by_group) == ["g2", "g3", "g4"]
    assert len(unwritten) == 5


def test_the_changes_of_a_hub_sum_up() -> None:
    hub: ChatHub[int] = ChatHub()
    hub.note_changes()
    hub.connect(1)
    hub.handle(1, Login("alice"))
    for event in (
        Group("tea", ("alice", "bob")),
        Group("tee", ("alice",)),
        Leave("tea"),
        Leave("tee"),
    ):
        hub.handle(1, event)
    unwritten = Unwritten()
    unwritten.note(hub.take_changes())
    [(group, there)] = unwritten.by_group.items()
    assert (group, there.creator, list(there.members)) == ("tea", "alice", ["bob"])


def test_changes_of_bans_sum_up() -> None:
    """Also those that a failed write puts back."""
    found = Unwritten()
    found.note_bans({"alice": True, "bob": False, "carol": True})
    found.note_bans({"alice": False})
    taken = found.take(1)
    assert taken.bans == {"bob": False, "carol": True}
    assert not found
    found.note_bans({"bob": True, "dan": True})
    found.put_back(taken)
    assert found.bans == {"carol": True, "dan": True}
    assert len(found) == 2
