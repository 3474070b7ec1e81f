"""chatproto._notices: answers in the one form that there is (protocol.md, section 3)."""

import pytest

from chatproto import (
    Broadcast,
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
from chatproto._notices import WORDS, command_of, notice


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


@pytest.mark.parametrize("code", WORDS)
def test_every_notice_fits_into_the_shortest_limit_and_is_read_back(code: ErrorCode) -> None:
    answer = notice(code, "BROADCAST", WORDS[code])
    line = encode(answer)
    assert len(line) <= 512
    assert decode(line[:-1]) == answer
    assert answer.data.split(b" ", 3) == [
        b"ERR",
        code.encode(),
        b"BROADCAST",
        WORDS[code].encode(),
    ]


def test_codes_that_need_more_particular_words_have_no_general_ones() -> None:
    """Each of these names the user or the group that it is about."""
    particular = {
        ErrorCode.NO_SUCH_USER,
        ErrorCode.NO_SUCH_GROUP,
        ErrorCode.GROUP_EXISTS,
        ErrorCode.NOT_A_MEMBER,
    }
    assert particular.isdisjoint(WORDS)
