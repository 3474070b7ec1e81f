"""chatproto._notices: answers in the one form that there is (protocol.md, section 3)."""

import pytest

from chatproto import (
    Broadcast,
    CloseReason,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Leave,
    Login,
    Logout,
    Receive,
    Send,
)
from chatproto._codec import decode, encode
from chatproto._notices import command_of, last_words, notice


def test_the_example_of_the_protocol() -> None:
    line = encode(notice(ErrorCode.NO_SUCH_USER, "SEND", "bob is not online"))
    assert line == b"CHAT/1.0 RECEIVE *server* ERR NO_SUCH_USER SEND bob is not online\n"


@pytest.mark.parametrize(
    ("event", "command"),
    [
        (Login("a"), "LOGIN"),
        (Logout(), "LOGOUT"),
        (Send("a", b""), "SEND"),
        (Broadcast("a", b""), "BROADCAST"),
        (Group("a"), "GROUP"),
        (Leave("a"), "LEAVE"),
        (Receive("a", b""), "RECEIVE"),
        (Invalid(ErrorCode.MALFORMED, b"CHAT/1.0 SEND bob"), "SEND"),
        (Invalid(ErrorCode.UNSUPPORTED_COMMAND, b"CHAT/1.0 STAR hello"), "-"),
        (Invalid(ErrorCode.TRUNCATED, b"CHA"), "-"),
    ],
)
def test_the_command_that_is_answered(event: Event, command: str) -> None:
    assert command_of(event) == command


@pytest.mark.parametrize("code", ErrorCode)
def test_a_notice_is_read_back(code: ErrorCode) -> None:
    answer = notice(code, "BROADCAST", "in words: π")
    assert decode(encode(answer)[:-1]) == answer
    assert answer.sender == "*server*"
    assert answer.data == f"ERR {code.value} BROADCAST in words: π".encode()


@pytest.mark.parametrize("reason", CloseReason)
def test_last_words(reason: CloseReason) -> None:
    """Who did not bring it about is told; the code says of what kind it is."""
    codes = {
        CloseReason.BAD_LINES: b"TOO_MANY",
        CloseReason.REPLACED: b"NAME_IN_USE",
        CloseReason.SHUTTING_DOWN: b"SHUTTING_DOWN",
    }
    words = last_words(reason)
    if reason in codes:
        assert words is not None
        assert words.data.split(b" ", 3)[:3] == [b"ERR", codes[reason], b"-"]
        assert len(encode(words)) <= 512
    else:
        assert words is None
