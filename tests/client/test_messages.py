"""chatproto.client.messages: what a client receives, as values; data, encoded."""

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from chatproto import (
    Added,
    CloseReason,
    ErrorCode,
    LocalProtocolError,
    Message,
    Notice,
    Reconnected,
    encode_data,
)
from chatproto.client.messages import read_notice
from chatproto.server.notices import notice

from .sessions import closing_notice

VALUES = [
    Message("bob", b"hi"),
    Message("bob", b"hi", "tea"),
    Added("tea", "alice", "bob"),
    Notice(ErrorCode.NO_SUCH_USER, "SEND", "bob is not online"),
    Reconnected(1.5),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_equal_hashable_and_can_be_copied(value: Any) -> None:
    for twin in (copy.copy(value), pickle.loads(pickle.dumps(value)), dataclasses.replace(value)):
        assert twin == value
        assert hash(twin) == hash(value)
    assert len({*VALUES, value}) == len(VALUES)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_do_not_change(value: Any) -> None:
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")
    assert not hasattr(value, "__dict__")


def test_values_can_be_matched() -> None:
    match VALUES:
        case [
            Message(sender, data),
            Message("bob", b"hi", group),
            Added(to, member, by),
            Notice(code, command, text),
            Reconnected(downtime),
        ]:
            assert (sender, data, downtime) == ("bob", b"hi", 1.5)
            assert (group, to, member, by) == ("tea", "tea", "alice", "bob")
            assert (code, command, text) == ("NO_SUCH_USER", "SEND", "bob is not online")
        case _:
            pytest.fail("the values do not match")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b" hi ", " hi "),
        ("π 語 😀".encode(), "π 語 😀"),
        (b"\0\x1b[2J", "\0\x1b[2J"),
        (b"a\xffb", "a\ufffdb"),
        ("é".encode()[:1], "\ufffd"),
    ],
)
def test_a_message_as_text(data: bytes, text: str) -> None:
    assert Message("bob", data).text == text


@pytest.mark.parametrize("code", ErrorCode)
def test_a_notice_of_this_server_is_parsed(code: ErrorCode) -> None:
    for text in ("", "π", "in  words ", "ERR NO_SUCH_USER SEND x"):
        read = read_notice(notice(code, "SEND", text).data)
        assert read == Notice(code, "SEND", text)
        assert type(read.code) is ErrorCode


@pytest.mark.parametrize("reason", CloseReason)
def test_the_notice_before_closing_answers_no_command(reason: CloseReason) -> None:
    words = closing_notice(reason)
    assert words is None or read_notice(words.data).command == "-"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"ERR MOVED LOGIN to another port", Notice("MOVED", "LOGIN", "to another port")),
        (b"ERR no_such_user SEND x", Notice("no_such_user", "SEND", "x")),
        (b"ERR TOO_MANY STAR x", Notice(ErrorCode.TOO_MANY, "STAR", "x")),
        (b"ERR TOO_MANY - ", Notice(ErrorCode.TOO_MANY, "-", "")),
        (b"ERR TOO_MANY - \xff", Notice(ErrorCode.TOO_MANY, "-", "\ufffd")),
    ],
)
def test_a_notice_of_another_server(data: bytes, expected: Notice) -> None:
    assert read_notice(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Welcome!",
        b"ERR",
        b"ERR TOO_MANY",
        b"ERR TOO_MANY -",
        b"err TOO_MANY - x",
        b" ERR A B c",
    ],
)
def test_a_notice_without_the_usual_form(data: bytes) -> None:
    assert read_notice(data) == Notice("", "-", data.decode())


def test_a_notice_that_is_not_utf_8() -> None:
    assert read_notice(b"a\xff b c d") == Notice("", "-", "a\ufffd b c d")


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"\xff", b"\xff"), (b"", b""), ("", b""), ("π", b"\xcf\x80"), ("a\nb", b"a\nb")],
)
def test_text_becomes_utf_8_and_bytes_stay_as_they_are(data: str | bytes, expected: bytes) -> None:
    assert encode_data(data) == expected


def test_text_with_a_lone_surrogate_cannot_be_encoded() -> None:
    with pytest.raises(LocalProtocolError, match="lone surrogate") as caught:
        encode_data("a\ud800")
    assert caught.value.code is ErrorCode.MALFORMED
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_buffers_become_bytes(kind: type[Any]) -> None:
    data = encode_data(kind(b"x"))
    assert (type(data), data) == (bytes, b"x")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "data is str or bytes, not NoneType"),
        (5, "data is str or bytes, not int"),
        ({"a": 1}, "data is str or bytes, not dict; json.dumps makes a str of it"),
    ],
)
def test_data_of_the_wrong_type_is_a_type_error(data: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}$"):
        encode_data(data)
