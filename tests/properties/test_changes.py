"""The changes that a hub notes are all that another one needs to have the same groups."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from chatproto import (
    GROUPS_NAME,
    Action,
    Adding,
    Answer,
    ChatHub,
    Event,
    Expire,
    Group,
    GroupChange,
    GroupEnded,
    GroupMade,
    Leave,
    Limits,
    Login,
    Logout,
    MemberAdded,
    MemberLeft,
    Policy,
    Send,
)

CONNECTIONS = range(4)
NAMES = st.sampled_from(["alice", "bob", "carol", "dave"])
GROUPS = st.sampled_from(["g", "h"])
EVENTS = st.one_of(
    st.builds(Login, NAMES),
    st.builds(Group, GROUPS, st.lists(NAMES, max_size=3)),
    st.builds(Leave, GROUPS),
    st.builds(lambda group, name: Send(GROUPS_NAME, f"add {group} {name}".encode()), GROUPS, NAMES),
    st.builds(Logout),
)
LIMITS = st.builds(
    Limits,
    max_groups=st.integers(1, 3),
    max_members=st.integers(2, 5),
    max_memberships=st.integers(3, 9),
    max_memberships_per_address=st.integers(3, 12),
)


def replay(changes: Iterable[GroupChange]) -> dict[str, GroupMade]:
    """The groups that there are after some changes, each of which has to make sense."""
    groups: dict[str, GroupMade] = {}
    for change in changes:
        match change:
            case GroupMade(group):
                assert group not in groups
                groups[group] = change
            case GroupEnded(group):
                del groups[group]
            case MemberAdded(group, member):
                made = groups[group]
                assert member not in made.members
                groups[group] = GroupMade(group, made.creator, (*made.members, member))
            case MemberLeft(group, member):
                made = groups[group]
                left = tuple(each for each in made.members if each != member)
                # The last one to leave ends the group.
                assert left
                assert len(left) == len(made.members) - 1
                groups[group] = GroupMade(group, made.creator, left)
    return groups


def handle(hub: ChatHub[int], cid: int, event: Event) -> list[Action[int]]:
    """Let a connection send something; one that has ended begins anew."""
    try:
        actions = hub.handle(cid, event)
    except KeyError:
        hub.disconnect(cid)
        hub.connect(cid, "192.0.2.1" if cid % 2 else "")
        return handle(hub, cid, event)
    return actions


@given(
    st.lists(st.tuples(st.sampled_from(CONNECTIONS), EVENTS), min_size=20, max_size=40),
    LIMITS,
    st.sampled_from(Adding),
)
def test_another_hub_has_the_same_groups(
    events: list[tuple[int, Event]], limits: Limits, adding: Adding
) -> None:
    hub: ChatHub[int] = ChatHub(Policy(adding=adding), limits)
    hub.note_changes()
    changes: list[GroupChange] = []
    logins = [(cid, Login(name)) for cid, name in enumerate(("alice", "bob", "bob", "carol"))]
    for cid, event in [*logins, *events]:
        actions = handle(hub, cid, event)
        new = hub.take_changes()
        changes += new
        ended = [each.group for each in actions if isinstance(each, Expire)]
        assert ended == [each.group for each in new if isinstance(each, GroupEnded) and ended], (
            "each group that gives way is noted, in order"
        )
    groups = replay(changes)
    other: ChatHub[int] = ChatHub()
    other.restore(groups.values())
    assert other.groups == hub.groups == len(groups)
    for name, made in groups.items():
        for each in hub, other:
            each.connect(-1)
            each.handle(-1, Login(made.creator))
            [answer] = each.handle(-1, Send(GROUPS_NAME, f"members {name}".encode()))
            assert answer == Answer(-1, f"members {name}", made.members)
            each.disconnect(-1)
