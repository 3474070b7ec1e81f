"""chatproto.server.notices: their form and their rate (protocol.md, section 3)."""

import pytest

from chatproto import (
    Broadcast,
    CloseReason,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Leave,
    Limits,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    Send,
)
from chatproto.server.notices import Notices, check_text, command_of, notice
from chatproto.server.peer import Peer
from chatproto.wire.codec import decode, encode


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
def test_the_command_that_a_notice_names(event: Event, command: str) -> None:
    assert command_of(event) == command


@pytest.mark.parametrize("code", ErrorCode)
def test_a_notice_is_a_message_that_can_be_decoded(code: ErrorCode) -> None:
    receive = notice(code, "BROADCAST", "in words: π")
    assert decode(encode(receive)[:-1]) == receive
    assert receive.sender == "*server*"
    assert receive.data == f"ERR {code.value} BROADCAST in words: π".encode()


# No notice where the peer closes itself, or where nothing can be written any more.
CLOSE_NOTICES = {
    CloseReason.BAD_LINES: b"TOO_MANY",
    CloseReason.REPLACED: b"NAME_IN_USE",
    CloseReason.PLAINTEXT: b"NOT_LOGGED_IN",
    CloseReason.LOGIN_TIMEOUT: b"NOT_LOGGED_IN",
    CloseReason.TOO_MANY_CONNECTIONS: b"TOO_MANY",
    CloseReason.TOO_MANY_FROM_ADDRESS: b"TOO_MANY",
    CloseReason.BANNED: b"REFUSED",
    CloseReason.KICKED: b"REFUSED",
    CloseReason.UNAVAILABLE: b"UNAVAILABLE",
    CloseReason.SHUTTING_DOWN: b"SHUTTING_DOWN",
}


@pytest.mark.parametrize("reason", CloseReason)
def test_the_notice_before_a_close(reason: CloseReason) -> None:
    line = Notices(Limits(), enabled=True).closing(reason)
    if reason in CLOSE_NOTICES:
        receive = decode(line.removesuffix(b"\n"))
        assert isinstance(receive, Receive)
        assert receive.data.split(b" ", 3)[:3] == [b"ERR", CLOSE_NOTICES[reason], b"-"]
        assert len(line) <= 512
    else:
        assert line == b""


@pytest.mark.parametrize("reason", CloseReason)
def test_without_notices_there_is_none_before_a_close(reason: CloseReason) -> None:
    assert Notices(Limits(), enabled=False).closing(reason) == b""


def test_the_notice_about_a_refusal() -> None:
    limits = Limits(notice_burst=2, notice_rate=1.0)
    notices, peer = Notices(limits, enabled=True), Peer(1, "peer", "", limits)
    event = Send("bob", b"hi")
    line = b"CHAT/1.0 RECEIVE *server* ERR NO_SUCH_USER SEND who?\n"
    for now, expected in ((0.0, line), (0.0, line), (0.0, b""), (1.0, line), (1.0, b"")):
        assert notices.refusal(peer, event, ErrorCode.NO_SUCH_USER, "who?", now) == expected


def test_what_is_too_long_for_a_line_is_cut_off() -> None:
    notices = Notices(Limits(max_line=512), enabled=True)
    beginning = b"CHAT/1.0 RECEIVE *server* ERR REFUSED - "
    for text, fitting in (
        ("x" * 1000, b"x" * 471),
        # Neither half a character nor a CR is the end.
        ("x" + "ü" * 500, b"x" + "ü".encode() * 235),
        ("x" * 470 + "\ry" * 9, b"x" * 470),
    ):
        assert notices.closing(CloseReason.KICKED, text) == beginning + fitting + b"\n"


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\ud800"])
def test_texts_that_no_notice_can_hold(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        check_text(text)


def test_a_text_is_no_bytes() -> None:
    with pytest.raises(TypeError, match="is a str, and no bytes"):
        check_text(b"bytes")  # type: ignore[arg-type]


def test_without_notices_there_is_none_about_a_refusal() -> None:
    notices, peer = Notices(Limits(), enabled=False), Peer(1, "peer", "", Limits())
    assert notices.refusal(peer, Logout(), ErrorCode.MALFORMED, "no", 0.0) == b""
