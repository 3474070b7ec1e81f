"""chatproto.client.group_requests: requests about groups, and what answers them."""

import pytest

from chatproto import (
    ErrorCode,
    GroupRequest,
    LocalProtocolError,
    Message,
    NotSupportedError,
    Ping,
    RequestRefusedError,
)
from chatproto.client.group_requests import check_words, read_label, read_words

from .sessions import CABLE


def request_of(asked: str) -> GroupRequest:
    return GroupRequest(asked.split(), Ping("alice", b"x"))


def answered(asked: str, *lines: str) -> GroupRequest:
    """A request with an answer of which each line is taken, and its ping done."""
    request = request_of(asked)
    for line in lines:
        assert request.receive(line.split())
    request.ping.finish()
    return request


@pytest.mark.parametrize(
    ("asked", "lines", "names"),
    [
        ("list", ["list"], []),
        ("list", ["list tea chess"], ["tea", "chess"]),
        ("list", ["list tea", "list chess"], ["tea", "chess"]),
        ("members tea", ["members tea"], []),
        ("members tea", ["members tea alice bob", "members tea tea"], ["alice", "bob", "tea"]),
        ("add tea carol", ["added tea carol alice"], []),
        ("on", ["on"], []),
    ],
)
def test_an_answer(asked: str, lines: list[str], names: list[str]) -> None:
    assert answered(asked, *lines).result() == names


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ("list", ""),
        ("list", "on"),
        ("list", "members tea alice"),
        ("list", "refused TOO_MANY members tea"),
        ("list", "refused TOO_MANY list tea"),
        ("list", "refused list"),
        ("list", "in tea bob hi"),
        ("members tea", "members"),
        ("members tea", "members chess alice"),
        ("members tea", "refused NO_SUCH_GROUP members chess"),
        ("add tea carol", "add tea carol"),
        ("add tea carol", "added tea carol"),
        ("add tea carol", "added tea carol bob"),
        ("add tea carol", "added tea dave alice"),
        ("add tea carol", "added tea carol alice bob"),
        ("add tea carol", "refused NOT_ALLOWED add tea dave"),
        ("on", "on on"),
        ("on", "off"),
    ],
)
def test_what_answers_something_else(asked: str, line: str) -> None:
    request = request_of(asked)
    assert not request.receive(line.split())
    request.ping.finish()
    with pytest.raises(NotSupportedError, match="does not answer requests about groups"):
        request.result()


@pytest.mark.parametrize("line", ["added tea alice alice", "refused TOO_MANY add tea alice"])
def test_only_a_list_goes_on(line: str) -> None:
    """What comes twice is news of another client with the same name."""
    request = request_of("add tea alice")
    assert request.receive(line.split())
    assert not request.receive(["added", "tea", "alice", "alice"])


@pytest.mark.parametrize(
    ("code", "asked", "text"),
    [
        ("NO_SUCH_GROUP", "members tea", "no group tea that you are in"),
        ("NO_SUCH_GROUP", "add tea carol", "no group tea that you are in"),
        ("NOT_ALLOWED", "add tea carol", "does not let you add members to tea"),
        ("NAME_RESERVED", "add tea *carol", r"can be called \*carol"),
        ("BAD_NAME", "add tea b\u200bob", "it has invisible characters"),
        ("TOO_MANY", "add tea carol", "tea can have no more members"),
        ("TOO_MANY", "members tea", "too long"),
        ("TOO_MANY", "list", "too long"),
        ("NO_SUCH_GROUP", "list", "the server refuses this: list"),
        ("MOVED", "members tea", "the server refuses this: members tea"),
    ],
)
def test_a_refusal_is_said_in_words(code: str, asked: str, text: str) -> None:
    request = answered(asked, f"refused {code} {asked}")
    for _ in range(2):
        with pytest.raises(RequestRefusedError, match=text) as caught:
            request.result()
        assert caught.value.code == code
        assert isinstance(caught.value.code, ErrorCode) is (code != "MOVED")
        assert str(caught.value) == f"{code}: {caught.value.text}"


def test_a_request_on_a_connection_that_is_lost() -> None:
    """Some of the answer may have arrived."""
    request = request_of("list")
    request.receive(["list", "tea"])
    request.ping.finish(CABLE)
    with pytest.raises(type(CABLE), match=str(CABLE)):
        request.result()


@pytest.mark.parametrize("word", ["", "a b", "tea\n", "x" * 65, "a\ud800"])
def test_a_word_is_a_name(word: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        check_words(["members", word])
    assert caught.value.code is ErrorCode.BAD_NAME


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"list", ["list"]),
        ("members tea bob π".encode(), ["members", "tea", "bob", "π"]),
        (b"", []),
        (b"list  tea", []),
        (b"list tea ", []),
        (b"list \xff", []),
        (b"list te\ta", []),
    ],
)
def test_the_words_of_an_answer(data: bytes, words: list[str]) -> None:
    assert read_words(data) == words


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"in tea bob hi", Message("bob", b"hi", "tea")),
        (b"in tea bob  two  spaces ", Message("bob", b" two  spaces ", "tea")),
        (b"in tea bob ", Message("bob", b"", "tea")),
        (b"in in in in", Message("in", b"in", "in")),
        ("in π ü \xff".encode()[:-2] + b"\xff\0", Message("ü", b"\xff\0", "π")),
        (b"in tea bob", None),
        (b"in tea", None),
        (b"", None),
        (b"on tea bob hi", None),
        (b"in  bob hi", None),
        (b"in tea  hi", None),
        (b"in t\xff bob hi", None),
        (b"in tea b\tb hi", None),
    ],
)
def test_a_label(data: bytes, message: Message | None) -> None:
    assert read_label(data) == message
