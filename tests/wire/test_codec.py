"""chatproto.wire.codec: lines to events and back (protocol.md, sections 1 and 4)."""

from collections.abc import Callable
from typing import Any

import pytest

from chatproto import (
    Broadcast,
    Command,
    ConnectionClosed,
    ErrorCode,
    Group,
    Invalid,
    Leave,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    RemoteProtocolError,
    Send,
)
from chatproto.wire.codec import (
    command_word,
    decode,
    decode_run,
    encode,
    is_for_server,
    with_label,
)

# First the published tests of the reference server for each command, then the edges.
BOTH_WAYS: list[tuple[bytes, Command]] = [
    (b"CHAT/1.0 SEND zhenghe hello world\n", Send("zhenghe", b"hello world")),
    (b"CHAT/1.0 BROADCAST g1 hello world\n", Broadcast("g1", b"hello world")),
    (b"CHAT/1.0 LOGIN zhenghe\n", Login("zhenghe")),
    (b"CHAT/1.0 LOGOUT\n", Logout()),
    (b"CHAT/1.0 RECEIVE zhenghe hello world\n", Receive("zhenghe", b"hello world")),
    (b"CHAT/1.0 GROUP g1 zhenghe xixi\n", Group("g1", ["zhenghe", "xixi"])),
    (b"CHAT/1.0 LEAVE g1\n", Leave("g1")),
    (b"CHAT/1.0 GROUP g1\n", Group("g1")),
    (b"CHAT/1.0 GROUP g1 bob\n", Group("g1", ["bob"])),
    (b"CHAT/1.0 SEND bob \n", Send("bob", b"")),
    (b"CHAT/1.0 SEND bob  hi  there \n", Send("bob", b" hi  there ")),
    (b"CHAT/1.0 SEND * \0\r\xff\n", Send("*", b"\0\r\xff")),
    (b"CHAT/1.0 RECEIVE *server* ERR X\n", Receive("*server*", b"ERR X")),
    ("CHAT/1.0 LOGIN zoë\n".encode(), Login("zoë")),
    (b"CHAT/1.0 LOGIN LOGIN\n", Login("LOGIN")),
]
both_ways = pytest.mark.parametrize(("line", "event"), BOTH_WAYS)


@both_ways
def test_decode(line: bytes, event: Command) -> None:
    assert decode(line.removesuffix(b"\n")) == event


@both_ways
def test_encode(line: bytes, event: Command) -> None:
    assert encode(event) == line


@pytest.mark.parametrize(
    "rest", [b"", b" ", b" now please", b" *x \xff\0 ", b"  "], ids=lambda rest: repr(rest)
)
def test_what_follows_the_name_in_leave_is_ignored(rest: bytes) -> None:
    assert decode(b"CHAT/1.0 LEAVE g1" + rest) == Leave("g1")


MALFORMED = ErrorCode.MALFORMED
BAD_NAME = ErrorCode.BAD_NAME


@pytest.mark.parametrize(
    ("line", "code"),
    [
        # The published tests of the reference server.
        (b"hello world", MALFORMED),
        (b"HTTP/1.0 SEND hello", MALFORMED),
        (b"CHAT/1.1 SEND hello", ErrorCode.UNSUPPORTED_VERSION),
        (b"CHAT/1.0 STAR hello", ErrorCode.UNSUPPORTED_COMMAND),
        # The version.
        (b"", MALFORMED),
        (b"CHAT/1.0", MALFORMED),
        (b"CHAT/", MALFORMED),
        (b"CHAT/ SEND bob hi", MALFORMED),
        (b"CHAT", MALFORMED),
        (b"chat/1.0 LOGIN a", MALFORMED),
        (b"CHAT/2", ErrorCode.UNSUPPORTED_VERSION),
        (b"CHAT/1.0.0 LOGIN a", ErrorCode.UNSUPPORTED_VERSION),
        (b"CHAT/1.0\tLOGIN a", MALFORMED),
        (b"CHAT/1.0\xc2\xa0 LOGIN a", MALFORMED),
        (b" CHAT/1.0 LOGIN a", MALFORMED),
        (b"\xef\xbb\xbfCHAT/1.0 LOGIN a", MALFORMED),
        # The command.
        (b"CHAT/1.0 ", MALFORMED),
        (b"CHAT/1.0  LOGIN a", MALFORMED),
        (b"CHAT/1.0 login a", ErrorCode.UNSUPPORTED_COMMAND),
        (b"CHAT/1.0 Send bob hi", ErrorCode.UNSUPPORTED_COMMAND),
        (b"CHAT/1.0 LOGIN\ta", MALFORMED),
        (b"CHAT/1.0 \tLOGIN a", MALFORMED),
        (b"CHAT/1.0 LOGIN\xc2\xa0 a", MALFORMED),
        (b"CHAT/1.0 \xe3\x80\x80LOGIN a", MALFORMED),
        # The parts.
        (b"CHAT/1.0 LOGIN", MALFORMED),
        (b"CHAT/1.0 LOGIN a b", MALFORMED),
        (b"CHAT/1.0 LOGIN a ", MALFORMED),
        (b"CHAT/1.0 LOGIN  a", MALFORMED),
        (b"CHAT/1.0 LOGIN ", BAD_NAME),
        (b"CHAT/1.0 LOGIN a\tb", BAD_NAME),
        (b"CHAT/1.0 LOGIN \xc2\xa0a", BAD_NAME),
        (b"CHAT/1.0 LOGIN \xff", BAD_NAME),
        (b"CHAT/1.0 LOGIN " + b"a" * 65, BAD_NAME),
        (b"CHAT/1.0 LOGIN *a", ErrorCode.NAME_RESERVED),
        (b"CHAT/1.0 LOGOUT ", MALFORMED),
        (b"CHAT/1.0 LOGOUT now", MALFORMED),
        (b"CHAT/1.0 SEND", MALFORMED),
        (b"CHAT/1.0 SEND ", MALFORMED),
        (b"CHAT/1.0 SEND bob", MALFORMED),
        (b"CHAT/1.0 SEND bob\thi", MALFORMED),
        (b"CHAT/1.0 SEND  hi", MALFORMED),
        (b"CHAT/1.0 SEND  bob hi", MALFORMED),
        (b"CHAT/1.0 SEND b\tob hi", BAD_NAME),
        (b"CHAT/1.0 BROADCAST g1", MALFORMED),
        (b"CHAT/1.0 BROADCAST  hi", MALFORMED),
        (b"CHAT/1.0 BROADCAST \x7f hi", BAD_NAME),
        (b"CHAT/1.0 RECEIVE bob", MALFORMED),
        (b"CHAT/1.0 RECEIVE  hi", MALFORMED),
        (b"CHAT/1.0 RECEIVE \x85 hi", BAD_NAME),
        (b"CHAT/1.0 GROUP", MALFORMED),
        (b"CHAT/1.0 GROUP ", BAD_NAME),
        (b"CHAT/1.0 GROUP  bob", MALFORMED),
        (b"CHAT/1.0 GROUP g bob ", MALFORMED),
        (b"CHAT/1.0 GROUP g ", MALFORMED),
        (b"CHAT/1.0 GROUP g  bob", MALFORMED),
        (b"CHAT/1.0 GROUP g bob  carol", MALFORMED),
        (b"CHAT/1.0 GROUP g b\tob", BAD_NAME),
        (b"CHAT/1.0 GROUP *g bob", ErrorCode.NAME_RESERVED),
        (b"CHAT/1.0 GROUP g bob *x", ErrorCode.NAME_RESERVED),
        (b"CHAT/1.0 LEAVE", MALFORMED),
        (b"CHAT/1.0 LEAVE ", BAD_NAME),
        (b"CHAT/1.0 LEAVE  g", MALFORMED),
        (b"CHAT/1.0 LEAVE g\t", BAD_NAME),
        # A CR at the end, after whatever it is.
        (b"CHAT/1.0 SEND bob x\r", MALFORMED),
        (b"CHAT/1.0 LEAVE g x\r", MALFORMED),
        (b"CHAT/1.0 LOGOUT\r", MALFORMED),
        (b"CHAT/1.1 SEND\r", MALFORMED),
        (b"CHAT/1.0 STAR\r", MALFORMED),
        (b"\r", MALFORMED),
    ],
)
def test_decode_raises_with_a_code(line: bytes, code: ErrorCode) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(line)
    assert caught.value.code is code
    assert caught.value.text


@pytest.mark.parametrize("event", [Invalid(MALFORMED, b"x"), ConnectionClosed(), None, b"bytes"])
def test_encode_refuses_what_does_not_travel(event: Any) -> None:
    with pytest.raises(LocalProtocolError, match=f"{type(event).__name__} does not") as caught:
        encode(event)
    assert caught.value.code is MALFORMED


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"CHAT/1.0 SEND bob hi", "SEND"),
        (b"CHAT/1.0 LOGOUT ", "LOGOUT"),
        (b"CHAT/1.0 GROUP", "GROUP"),
        (b"x RECEIVE", "RECEIVE"),
        (b"CHAT/1.0 STAR hello", "-"),
        (b"CHAT/1.0 send x", "-"),
        (b"CHAT/1.0 \x1b[31m", "-"),
        (b"CHAT/1.0", "-"),
        (b"", "-"),
    ],
)
def test_the_command_word_of_a_line(line: bytes, word: str) -> None:
    assert command_word(line) == word


@pytest.mark.parametrize(
    ("line", "is_for"),
    [
        (b"CHAT/1.0 SEND *server* hi", True),
        (b"CHAT/1.0 BROADCAST *x", True),
        (b"chat/1.1 SEND *groups* add g  bob", True),
        (b"CHAT/1.0 SEND bob *server*", False),
        (b"CHAT/1.0 SEND  *server* hi", False),
        (b"CHAT/1.0 LEAVE *server*", False),
        (b"CHAT/1.0 SEND", False),
        (b"CHAT/1.0 SEND ", False),
        (b"SEND", False),
        (b"", False),
    ],
)
def test_whether_a_line_is_for_the_server(line: bytes, is_for: bool) -> None:
    assert is_for_server(line) is is_for


def test_a_label_changes_the_beginning_of_a_line_only() -> None:
    line = encode(Receive("bob", b"CHAT/1.0 RECEIVE ann hi"))
    labelled = b"CHAT/1.0 RECEIVE *groups* in tea bob CHAT/1.0 RECEIVE ann hi\n"
    assert with_label(line, "tea") == labelled


# Runs


def run_of(*lines: bytes) -> list[Command]:
    return decode_run(b"".join(lines), len(lines), 512)


@pytest.mark.parametrize("names", [["bob"], ["bob", "carol"], ["bob", "bücher", "bob", "b"]])
@pytest.mark.parametrize("make", [Send, Broadcast, Receive])
def test_a_run_gives_the_events_of_its_lines(
    make: Callable[[str, bytes], Command], names: list[str]
) -> None:
    data = [b"", b" x", b"CHAT/1.0 SEND bob ", b"\xff\0"]
    events = [make(name, each) for each in data for name in names]
    assert run_of(*map(encode, events)) == events
    assert run_of(encode(events[0])) == events[:1]


@pytest.mark.parametrize(
    "lines",
    [
        b"\n",
        b"CHAT/1.0 LOGOUT\n",
        b"CHAT/1.0 LOGIN a b\n",
        b"CHAT/1.0 SEND bob\n",
        b"CHAT/1.0 SEND  hi\n",
        b"CHAT/1.0 SEND bob\nCHAT/1.0 SEND bob hi\n",
        b"CHAT/1.0 SEND bob hi\nCHAT/1.0 SEND carol\n",
        b"CHAT/1.0 SEND bob hi\nCHAT/1.0 SEND  hi\n",
        b"CHAT/1.0 SEND bob hi\nCHAT/1.0 SEND b\tb hi\n",
        b"CHAT/1.0 SEND bob 1\nCHAT/1.0 BROADCAST bob 2\n",
        b"CHAT/1.0 SEND bob 1\r\nCHAT/1.0 SEND bob 2\r\n",
        b"CHAT/1.0 SEND bob 1\nCHAT/1.0 LOGOUT\n",
        b"CHAT/2.0 SEND bob 1\n",
    ],
)
def test_other_lines_are_no_run(lines: bytes) -> None:
    assert run_of(*lines.splitlines(keepends=True)) == []


@pytest.mark.parametrize("other", ["bob", "carol"])
def test_a_run_has_no_line_that_is_too_long(other: str) -> None:
    fits = 511 - len("CHAT/1.0 SEND bob ")
    events: list[Command] = [Send(other, b"1"), Send("bob", b"x" * fits)]
    assert run_of(*map(encode, events)) == events
    assert run_of(encode(events[0]), encode(Send("bob", b"x" * (fits + 1)))) == []
