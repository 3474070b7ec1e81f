"""chatproto.routing.services: requests to `*groups*` (protocol.md, section 5)."""

import pytest

from chatproto import (
    GROUPS_NAME,
    Action,
    Adding,
    Answer,
    ChatHub,
    Deliver,
    Expire,
    Group,
    GroupLimits,
    Joined,
    Leave,
    Limits,
    Login,
    Logout,
    Policy,
    Receive,
    Send,
)
from chatproto.routing import services

from .hubs import hub_of


def ask(hub: ChatHub[int], cid: int, request: str) -> list[Action[int]]:
    return hub.handle(cid, Send(GROUPS_NAME, request.encode()))


def answer(cid: int, head: str, *names: str) -> list[Action[int]]:
    return [Answer(cid, head, names)]


def added(group: str, member: str, by: str, *to: int) -> list[Action[int]]:
    return [Joined(group, member), *told(group, member, by, *to)]


def told(group: str, member: str, by: str, *to: int) -> list[Action[int]]:
    return [Deliver(to, Receive(GROUPS_NAME, f"added {group} {member} {by}".encode()))]


def test_labels_go_with_the_connection() -> None:
    hub = hub_of("alice", "bob")
    assert ask(hub, 1, "on") == ask(hub, 1, "on") == answer(1, "on")
    assert ask(hub, 2, "on") == answer(2, "on")
    assert ask(hub, 2, "off") == ask(hub, 2, "off") == answer(2, "off")
    assert list(hub.labelled) == [1]
    hub.handle(1, Login("carol"))
    assert list(hub.labelled) == [1]
    hub.handle(1, Logout())
    assert not hub.labelled


def test_a_list_has_the_groups_that_one_is_in() -> None:
    hub = hub_of("alice", "bob")
    assert ask(hub, 1, "list") == answer(1, "list")
    for group, members in ("tea", ["alice", "bob"]), ("chess", ["bob"]), ("go", ["alice"]):
        hub.handle(1, Group(group, members))
    assert ask(hub, 1, "list") == answer(1, "list", "tea", "go")
    hub.handle(1, Leave("go"))
    assert ask(hub, 1, "list") == answer(1, "list", "tea")
    assert hub.looked_up == 0 + 3 + 2


def test_members_and_the_creator_learn_who_is_in_a_group() -> None:
    hub = hub_of("alice", "bob", "carol")
    hub.handle(1, Group("tea", ["dave", "bob"]))
    assert ask(hub, 1, "members tea") == answer(1, "members tea", "dave", "bob")
    assert ask(hub, 2, "members tea") == answer(2, "members tea", "dave", "bob")
    nothing = answer(3, "refused NO_SUCH_GROUP members tea")
    assert ask(hub, 3, "members tea") == nothing
    assert ask(hub, 3, "members x") == answer(3, "refused NO_SUCH_GROUP members x")


def test_the_creator_adds_members() -> None:
    hub = hub_of("alice", "bob", "carol", "carol")
    hub.handle(1, Group("tea", ["bob"]))
    assert ask(hub, 1, "add tea carol") == added("tea", "carol", "alice", 1, 3, 4)
    # Once more is no mistake, and no news for the operators.
    assert ask(hub, 1, "add tea carol") == told("tea", "carol", "alice", 1, 3, 4)
    assert ask(hub, 1, "add tea dave") == added("tea", "dave", "alice", 1)
    assert ask(hub, 1, "add tea alice") == added("tea", "alice", "alice", 1)
    assert ask(hub, 2, "members tea") == answer(2, "members tea", "bob", "carol", "dave", "alice")
    assert ask(hub, 2, "add tea zoe") == answer(2, "refused NOT_ALLOWED add tea zoe")
    assert ask(hub, 1, "add tea *x") == answer(1, "refused NAME_RESERVED add tea *x")
    assert ask(hub, 1, "add x zoe") == answer(1, "refused NO_SUCH_GROUP add x zoe")


@pytest.mark.parametrize(
    ("adding", "creator", "member"),
    [(Adding.CREATOR, True, False), (Adding.MEMBERS, True, True), (Adding.NOBODY, False, False)],
)
def test_the_policy_says_who_adds(adding: Adding, creator: bool, member: bool) -> None:
    hub = hub_of("alice", "bob", "carol", policy=Policy(adding=adding))
    hub.handle(1, Group("tea", ["bob"]))
    for cid, name, may in (1, "alice", creator), (2, "bob", member):
        new = f"zoe{cid}"
        refused = answer(cid, f"refused NOT_ALLOWED add tea {new}")
        assert ask(hub, cid, f"add tea {new}") == (added("tea", new, name, cid) if may else refused)
    assert ask(hub, 3, "add tea zoe") == answer(3, "refused NO_SUCH_GROUP add tea zoe")


def test_a_group_that_is_full_takes_nobody() -> None:
    hub = hub_of("alice", limits=Limits(max_members=1))
    hub.handle(1, Group("tea", ["bob"]))
    assert ask(hub, 1, "add tea zoe") == answer(1, "refused TOO_MANY add tea zoe")


def test_there_may_be_no_room_for_a_member() -> None:
    hub = hub_of("alice", limits=Limits(max_memberships=2))
    hub.handle(1, Group("tea", ["alice", "bob"]))
    assert ask(hub, 1, "add tea zoe") == answer(1, "refused TOO_MANY add tea zoe")
    assert ask(hub, 1, "members tea") == answer(1, "members tea", "alice", "bob")


def test_groups_in_which_nobody_is_online_give_way_to_a_member() -> None:
    hub = hub_of("alice", "bob", limits=Limits(max_memberships=3))
    hub.handle(2, Group("old", ["bob", "carol"]))
    hub.handle(2, Logout())
    hub.handle(1, Group("tea", ["alice"]))
    assert ask(hub, 1, "add tea zoe") == [Expire("old"), *added("tea", "zoe", "alice", 1)]
    assert hub.groups == 1


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "hello",
        "on ",
        " on",
        "on on",
        "ON",
        "list tea",
        "members",
        "members a b",
        "add tea",
        "add a b c",
        "on on on on on",
        "add  zoe",
        f"members {'x' * 65}",
        "members \t",
        "added tea zoe alice",
    ],
)
def test_what_is_no_request_is_dropped(request_: str) -> None:
    hub = hub_of("alice")
    hub.handle(1, Group("tea", ["alice"]))
    assert services.parse_request(request_.encode()) == []
    assert ask(hub, 1, request_) == []
    assert hub.handle(1, Send(GROUPS_NAME, b"members \xff")) == []


def test_before_a_login_all_is_dropped() -> None:
    hub: ChatHub[int] = ChatHub()
    hub.connect(1)
    assert ask(hub, 1, "on") == ask(hub, 1, "list") == []
    assert not hub.labelled


def test_a_policy_without_services_drops_all() -> None:
    hub = hub_of("alice", policy=Policy.reference())
    hub.handle(1, Group("tea", ["alice"]))
    for request in "on", "off", "list", "members tea", "add tea bob":
        assert ask(hub, 1, request) == []
    assert not hub.labelled


def test_no_limit_is_needed_for_a_hub_of_its_own() -> None:
    hub: ChatHub[str] = ChatHub(limits=GroupLimits(max_groups=1))
    hub.connect("x")
    hub.handle("x", Login("x"))
    assert hub.handle("x", Send(GROUPS_NAME, b"list")) == [Answer("x", "list", ())]


def test_a_request_that_was_executed_changes_nothing_more() -> None:
    """Those who have waited for room learn of it, unless it is not so any more."""
    hub = hub_of("alice", "bob", "carol")
    hub.handle(1, Group("tea", ["bob"]))
    event = Send(GROUPS_NAME, b"add tea carol")
    assert hub.handle(1, event) == added("tea", "carol", "alice", 1, 3)
    assert hub.handle(1, event, again=True) == told("tea", "carol", "alice", 1, 3)
    hub.handle(3, Leave("tea"))
    assert hub.handle(1, event, again=True) == []
    assert hub.members("tea") == 1
    hub.handle(2, Leave("tea"))
    assert hub.handle(1, event, again=True) == []


def test_a_long_line_is_not_looked_at_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """That would take a hundred times as long as other lines of its length."""
    looked_at: list[str] = []
    monkeypatch.setattr(services, "check_name", looked_at.append)
    hub = hub_of("alice")
    assert ask(hub, 1, " ".join(["on"] * 1000)) == []
    assert len(looked_at) <= 4


def test_what_comes_unasked_is_no_request() -> None:
    """A program that sends everything back starts no loop."""
    hub = hub_of("alice", "bob")
    hub.handle(1, Group("tea", ["alice"]))
    [delivery] = [each for each in ask(hub, 1, "add tea bob") if isinstance(each, Deliver)]
    assert 2 in delivery.to
    assert hub.handle(2, Send(delivery.message.sender, delivery.message.data)) == []
