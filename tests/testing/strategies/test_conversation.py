"""chatproto.testing.strategies.conversation."""

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given

from chatproto import (
    Broadcast,
    ChatBroker,
    Command,
    Group,
    Leave,
    Login,
    Logout,
    Receive,
    Send,
    testing,
)
from chatproto.testing import Turn
from chatproto.wire.codec import encode

from ..searching import examples, shown


@given(testing.conversations())
def test_a_server_executes_all_and_refuses_nothing(conversation: list[Turn]) -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.tick(0.0)
    for client in range(3):
        broker.connect(client, "memory")
    for client, command in conversation:
        broker.receive(client, encode(command))
        broker.take_ready()
        assert not broker.snapshot().refusals, command


@given(testing.conversations(clients=2))
def test_each_client_logs_in_first_and_says_nothing_after_its_logout(
    conversation: list[Turn],
) -> None:
    assert {turn.client for turn in conversation} <= {0, 1}
    for client in range(2):
        commands = [turn.command for turn in conversation if turn.client == client]
        assert all(isinstance(command, Login) for command in commands[:1])
        assert not any(isinstance(command, Logout) for command in commands[:-1])


def test_conversations_reach_every_command() -> None:
    found = examples(testing.conversations(), 80)
    kinds = {type(turn.command) for conversation in found for turn in conversation}
    assert kinds == set(get_args(Command)) - {Receive}


# What servers with a mistake do with a conversation: whether they show it.
def has_one_client_for_each_name(conversation: list[Turn]) -> bool:
    """The server delivers to the connection that logged in last."""
    names: dict[str, int] = {}
    for client, command in conversation:
        if isinstance(command, Login) and names.setdefault(command.name, client) != client:
            return True
    return False


def tells_the_sender_of_a_broadcast(conversation: list[Turn]) -> bool:
    return any(isinstance(turn.command, Broadcast) for turn in conversation)


def keeps_groups_that_have_ended(conversation: list[Turn]) -> bool:
    made: set[str] = set()
    for _, command in conversation:
        if isinstance(command, Group):
            if command.name in made:
                return True
            made.add(command.name)
    return False


@pytest.mark.parametrize(
    ("is_wrong", "simplest"),
    [
        (has_one_client_for_each_name, [Turn(0, Login("a")), Turn(1, Login("a"))]),
        (
            tells_the_sender_of_a_broadcast,
            [Turn(0, Login("a")), Turn(0, Group("a", ["a"])), Turn(0, Broadcast("a", b""))],
        ),
        (
            keeps_groups_that_have_ended,
            [
                Turn(0, Login("a")),
                Turn(0, Group("a", ["a"])),
                Turn(0, Leave("a")),
                Turn(0, Group("a", ["a"])),
            ],
        ),
    ],
)
def test_a_mistake_is_shown_with_the_shortest_conversation(
    is_wrong: Callable[[list[Turn]], bool], simplest: list[Turn]
) -> None:
    assert shown(testing.conversations(), is_wrong) == simplest


def test_a_send_that_is_lost_is_shown_with_one() -> None:
    wrong = shown(
        testing.conversations(),
        lambda conversation: any(
            isinstance(turn.command, Send) and len(turn.command.data) > 3 for turn in conversation
        ),
    )
    assert len(wrong) == 2
