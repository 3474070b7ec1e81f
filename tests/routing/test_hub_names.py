"""chatproto.routing.hub: which names the policy takes (protocol.md, section 4)."""

import pytest

from chatproto import (
    GROUPS_NAME,
    Answer,
    DuplicateLogin,
    ErrorCode,
    Group,
    Limits,
    Login,
    Logout,
    NameRule,
    Policy,
    Send,
)

from .hubs import DISTINCT, SHARE, delivery, hub_of, refused

HIDDEN = ["bob\ufe0f", "\u3164", "b\u034fob", "tea\u2800", "\u200dbob"]


@pytest.mark.parametrize("policy", [SHARE, DISTINCT])
@pytest.mark.parametrize("name", HIDDEN)
def test_names_that_hide_something_are_refused(name: str, policy: Policy) -> None:
    hub = hub_of("bob", policy=policy)
    hub.connect(2)
    assert refused(hub, 2, Login(name)) is ErrorCode.BAD_NAME
    assert hub.name_of(2) is None
    assert refused(hub, 1, Group(name, ["bob"])) is ErrorCode.BAD_NAME
    assert refused(hub, 1, Group("tea", ["bob", name])) is ErrorCode.BAD_NAME
    assert hub.groups == 0
    hub.handle(1, Group("tea", ["bob"]))
    answer = Answer(1, f"refused BAD_NAME add tea {name}", ())
    assert hub.handle(1, Send(GROUPS_NAME, f"add tea {name}".encode())) == [answer]
    assert hub.members("tea") == 1


@pytest.mark.parametrize("name", HIDDEN)
def test_a_policy_may_take_them(name: str) -> None:
    hub = hub_of("bob", name, policy=Policy(names=NameRule.ANY))
    assert hub.handle(1, Send(name, b"x")) == delivery("bob", b"x", 2)
    assert hub.handle(1, Group(name, ["bob", name])) == []
    hub.handle(1, Send(GROUPS_NAME, f"add {name} {name}2".encode()))
    assert hub.members(name) == 3


@pytest.mark.parametrize(
    ("name", "other"),
    [("bob", "BOB"), ("straße", "STRASSE"), ("ﬁ", "fi"), ("\u1fb7", "\u1fbc\u0342")],
)
def test_distinct_names_differ_in_more_than_their_case(name: str, other: str) -> None:
    hub = hub_of(name, policy=DISTINCT)
    hub.connect(2)
    assert refused(hub, 2, Login(other)) is ErrorCode.NAME_IN_USE
    hub.handle(1, Logout())
    assert hub.handle(2, Login(other)) == []


def test_a_distinct_name_may_be_shared_and_goes_with_the_last_connection() -> None:
    hub = hub_of("bob", "bob", policy=DISTINCT)
    hub.connect(3)
    hub.handle(1, Logout())
    assert refused(hub, 3, Login("Bob")) is ErrorCode.NAME_IN_USE
    hub.handle(2, Logout())
    assert hub.handle(3, Login("Bob")) == []


def test_a_user_may_change_the_case_of_a_distinct_name() -> None:
    hub = hub_of("bob", policy=DISTINCT)
    assert hub.handle(1, Login("Bob")) == []
    hub.connect(2)
    assert refused(hub, 2, Login("bob")) is ErrorCode.NAME_IN_USE
    # Not while others have it.
    assert hub.handle(2, Login("Bob")) == []
    assert refused(hub, 1, Login("bob")) is ErrorCode.NAME_IN_USE


def test_nobody_takes_over_a_name_that_only_looks_the_same() -> None:
    policy = Policy(names=NameRule.DISTINCT, duplicate_login=DuplicateLogin.REPLACE)
    hub = hub_of("bob", policy=policy)
    hub.connect(2)
    assert refused(hub, 2, Login("BOB")) is ErrorCode.NAME_IN_USE


def test_names_that_look_different_are_taken() -> None:
    assert hub_of("bob", "Bob", "BOB", "b\xf6b").users == 4
    assert hub_of("bob", "alice", "张三", policy=DISTINCT).users == 3


def test_a_distinct_name_differs_from_reserved_ones() -> None:
    hub = hub_of("\uff0aserver\uff0a")
    hub.reconfigure(DISTINCT, Limits())
    hub.connect(2)
    for name in "\uff0aserver\uff0a", "\ufe61x":
        assert refused(hub, 2, Login(name)) is ErrorCode.NAME_RESERVED


@pytest.mark.parametrize("first", [1, 2])
def test_every_name_that_was_there_before_the_rule_counts(first: int) -> None:
    hub = hub_of("bob", "BOB")
    hub.reconfigure(DISTINCT, Limits())
    hub.handle(first, Logout())
    hub.connect(3)
    assert refused(hub, 3, Login("Bob")) is ErrorCode.NAME_IN_USE
    hub.handle(3 - first, Logout())
    assert hub.handle(3, Login("Bob")) == []
