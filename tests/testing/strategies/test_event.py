"""chatproto.testing.strategies.event."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chatproto import (
    Broadcast,
    ChatConnection,
    Command,
    Event,
    Group,
    Leave,
    Limits,
    Login,
    Logout,
    Receive,
    Role,
    Send,
    testing,
)
from chatproto.wire.codec import encode

from ..searching import reaches, shown


@given(testing.commands())
def test_commands_with_cr_lf_fit_into_the_default_limit(command: Command) -> None:
    assert len(encode(command)) < Limits().max_line


@given(testing.client_commands())
def test_client_commands_may_be_sent_by_a_client(command: Command) -> None:
    connection = ChatConnection(Role.CLIENT)
    connection.send(Login("alice"))
    assert connection.send(command)


# The simplest of each kind is what a mistake with any of them is shown with.
EVENTS: list[tuple[SearchStrategy[Event], Event]] = [
    (testing.logins(), Login("a")),
    (testing.logouts(), Logout()),
    (testing.sends(), Send("a", b"")),
    (testing.broadcasts(), Broadcast("a", b"")),
    (testing.groups(), Group("a")),
    (testing.leaves(), Leave("a")),
    (testing.receives(), Receive("a", b"")),
]


@pytest.mark.parametrize(("strategy", "simplest"), EVENTS)
@given(draw=st.data())
def test_one_strategy_for_each_event(
    strategy: SearchStrategy[Event], simplest: Event, draw: st.DataObject
) -> None:
    assert type(draw.draw(strategy)) is type(simplest)


@pytest.mark.parametrize(("strategy", "simplest"), EVENTS)
def test_a_mistake_is_shown_with_the_simplest_event(
    strategy: SearchStrategy[Event], simplest: Event
) -> None:
    assert shown(strategy, lambda _: True) == simplest


def test_a_mistake_with_members_is_shown_with_few() -> None:
    """The planted mistake counts a member twice that is named twice."""
    wrong = shown(testing.groups(), lambda group: len(set(group.members)) < len(group.members))
    assert wrong == Group("a", ["a", "a"])


@pytest.mark.parametrize("kind", get_args(Event))
def test_events_and_commands_reach_every_kind(kind: type[Event]) -> None:
    assert reaches(testing.events(), lambda event: type(event) is kind)
    if kind in get_args(Command):
        assert reaches(testing.commands(), lambda event: type(event) is kind)
