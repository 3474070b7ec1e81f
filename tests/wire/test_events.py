"""chatproto.wire.events: immutable values, checked when they are made."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args

import pytest

from chatproto import (
    Broadcast,
    Command,
    ConnectionClosed,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Leave,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    Send,
)
from chatproto.wire.events import unchecked

ONE_OF_EACH: list[Event] = [
    Login("alice"),
    Logout(),
    Send("bob", b"hi"),
    Broadcast("g1", b"hi"),
    Group("g1", ["alice", "bob"]),
    Leave("g1"),
    Receive("alice", b"hi"),
    Invalid(ErrorCode.MALFORMED, b"hello"),
    ConnectionClosed(),
]
each_event = pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)

WITH_DATA: list[Callable[[str, bytes], Event]] = [Send, Broadcast, Receive]
with_data = pytest.mark.parametrize("make", WITH_DATA)
WITH_NAME: list[Callable[[str], Event]] = [
    Login,
    Leave,
    Group,
    lambda name: Group("g1", ["alice", name]),
    lambda name: Send(name, b""),
    lambda name: Broadcast(name, b""),
    lambda name: Receive(name, b""),
]


def test_there_is_one_of_each() -> None:
    kinds = [*get_args(Command), Invalid, ConnectionClosed]
    assert [type(event) for event in ONE_OF_EACH] == kinds


@each_event
def test_events_are_values(event: Event) -> None:
    twins = [copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))]
    assert all(twin == event and hash(twin) == hash(event) for twin in twins)
    assert [other for other in ONE_OF_EACH if other == event] == [event]


@each_event
def test_events_do_not_change(event: Event) -> None:
    for name in [field.name for field in fields(event)] or ["anything"]:
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(event, name, "other")


@each_event
def test_events_are_slotted(event: Event) -> None:
    assert not hasattr(event, "__dict__")


def test_events_match_by_position() -> None:
    match ONE_OF_EACH:
        case [
            Login("alice"),
            Logout(),
            Send("bob", b"hi"),
            Broadcast("g1", b"hi"),
            Group("g1", ("alice", "bob")),
            Leave("g1"),
            Receive("alice", b"hi"),
            Invalid(ErrorCode.MALFORMED, b"hello"),
            ConnectionClosed(),
        ]:
            pass
        case _:
            pytest.fail("the fields are in another order")


@pytest.mark.parametrize("make", WITH_NAME)
@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\n", "\0", "a" * 65, "\u3000", "\udc80"])
def test_bad_names_are_refused(make: Callable[[str], Event], name: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        make(name)
    assert caught.value.code is ErrorCode.BAD_NAME


@pytest.mark.parametrize("make", WITH_NAME)
@pytest.mark.parametrize("name", [b"alice", None, 1])
def test_names_are_str(make: Callable[[Any], Event], name: Any) -> None:
    with pytest.raises(TypeError):
        make(name)


@pytest.mark.parametrize("make", WITH_NAME[:1] + WITH_NAME[2:4])
def test_login_and_group_refuse_reserved_names(make: Callable[[str], Event]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        make("*bob")
    assert caught.value.code is ErrorCode.NAME_RESERVED


@pytest.mark.parametrize("make", WITH_NAME[1:2] + WITH_NAME[4:])
def test_other_events_take_reserved_names(make: Callable[[str], Event]) -> None:
    assert make("*bob") == make("*bob")
    assert make("*bob") != make("bob")


@with_data
@pytest.mark.parametrize("data", [b"\n", b"a\nb", b"a\r", b"\r", b"a\n", b"\r\n"])
def test_data_that_no_line_can_hold_is_refused(
    make: Callable[[str, bytes], Event], data: bytes
) -> None:
    with pytest.raises(LocalProtocolError, match="holds no LF") as caught:
        make("bob", data)
    assert caught.value.code is ErrorCode.MALFORMED


@with_data
@pytest.mark.parametrize("data", [b"", b" ", b"\0", b"\r.", b"a\rb", b"\xff", b" x  "])
def test_any_other_data_is_fine(make: Callable[[str, bytes], Any], data: bytes) -> None:
    event = make("bob", data)
    assert getattr(event, "data") == data  # noqa: B009 - three classes, one field


@with_data
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_data_may_be_in_any_buffer(make: Callable[[str, Any], Event], kind: type[Any]) -> None:
    """It is copied, because buffers change."""
    buffer = bytearray(b"hi")
    event = make("bob", kind(buffer))
    buffer[:] = b"no"
    assert event == make("bob", b"hi")
    assert type(getattr(event, "data")) is bytes  # noqa: B009 - three classes, one field
    assert hash(event) == hash(make("bob", b"hi"))
    with pytest.raises(LocalProtocolError, match="MALFORMED"):
        make("bob", kind(b"two\nlines"))


@with_data
@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("hi", "str; encode\\(\\) makes bytes of it"),
        (2, "int"),
        ([104, 105], "list"),
        (None, "NoneType"),
    ],
)
def test_data_is_bytes(make: Callable[[str, Any], Event], data: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"^data is bytes, not {text}$"):
        make("bob", data)


def test_a_group_keeps_its_members_as_a_tuple_in_order() -> None:
    members = iter(["b", "a", "b"])
    assert Group("g", members).members == ("b", "a", "b")


def test_a_group_may_have_no_members() -> None:
    assert Group("g") == Group("g", [])
    assert Group("g").members == ()


def test_members_are_not_one_str() -> None:
    with pytest.raises(TypeError, match="not one str"):
        Group("g", "bob")


@with_data
def test_unchecked_makes_the_same_value(make: Callable[[str, bytes], object]) -> None:
    event = unchecked(make)("bob", b"hi")
    assert event == make("bob", b"hi")
    assert type(event) is type(make("bob", b"hi"))
    assert hash(event) == hash(make("bob", b"hi"))
