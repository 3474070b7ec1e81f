"""chatproto.testing.grammar: what a right reader says of a line, as protocol.md has it."""

import pytest

from chatproto import Broadcast, ErrorCode, Group, Leave, Login, Logout, Receive, Role, Send
from chatproto.testing import JudgedLine, judge

MALFORMED, BAD_NAME, RESERVED = ErrorCode.MALFORMED, ErrorCode.BAD_NAME, ErrorCode.NAME_RESERVED
VERSION, COMMAND = ErrorCode.UNSUPPORTED_VERSION, ErrorCode.UNSUPPORTED_COMMAND
TOO_LONG, TRUNCATED, DIRECTION = (
    ErrorCode.LINE_TOO_LONG,
    ErrorCode.TRUNCATED,
    ErrorCode.WRONG_DIRECTION,
)


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (b"LOGIN a", Login("a")),
        (b"LOGIN " + b"a" * 64, Login("a" * 64)),
        (b"LOGOUT", Logout()),
        (b"LOGOUT\r", Logout()),
        (b"SEND bob  hi  there ", Send("bob", b" hi  there ")),
        (b"SEND bob ", Send("bob", b"")),
        (b"SEND *server* \0\xff\r.", Send("*server*", b"\0\xff\r.")),
        (b"BROADCAST g hi", Broadcast("g", b"hi")),
        (b"RECEIVE bob hi\r", Receive("bob", b"hi")),
        (b"GROUP g", Group("g")),
        ("GROUP g1 é 語".encode(), Group("g1", ["é", "語"])),
        (b"LEAVE g", Leave("g")),
        (b"LEAVE g  extra ", Leave("g")),
    ],
)
def test_lines_that_follow_the_grammar(command: bytes, event: object) -> None:
    line = b"CHAT/1.0 " + command + b"\n"
    assert judge(line) == JudgedLine(line, event, frozenset())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        # The table of section 4, and the reference server's own tests.
        (b"hello world", {MALFORMED}),
        (b"", {MALFORMED}),
        (b"HTTP/1.0 SEND hello", {MALFORMED}),
        (b"CHAT/1.1 SEND hello", {VERSION}),
        (b"CHAT/1.0 STAR hello", {COMMAND}),
        (b"CHAT/1.0 send bob hi", {COMMAND}),
        (b"chat/1.0 SEND bob hi", {MALFORMED}),
        (b" CHAT/1.0 LOGOUT", {MALFORMED}),
        (b"CHAT/1.0  LOGOUT", {MALFORMED}),
        (b"CHAT/1.0\t LOGOUT", {MALFORMED}),
        (b"CHAT/1.0\xc2\xa0LOGOUT", {MALFORMED}),
        (b"CHAT/1.0 LOGOUT\t", {MALFORMED}),
        (b"CHAT/1.0 SEND bob", {MALFORMED}),
        (b"CHAT/1.0 SEND  hi", {MALFORMED}),
        (b"CHAT/1.0 SEND bob x\r\r", {MALFORMED}),
        (b"CHAT/1.0 LOGIN", {MALFORMED}),
        (b"CHAT/1.0 LOGIN a b", {MALFORMED}),
        (b"CHAT/1.0 LOGIN a ", {MALFORMED}),
        (b"CHAT/1.0 LOGIN ", {BAD_NAME}),
        (b"CHAT/1.0 LOGIN a\tb", {BAD_NAME}),
        (b"CHAT/1.0 LOGIN *", {RESERVED}),
        (b"CHAT/1.0 GROUP g bob ", {MALFORMED}),
        (b"CHAT/1.0 GROUP g  bob", {MALFORMED}),
        (b"CHAT/1.0 GROUP g *bob", {RESERVED}),
        (b"CHAT/1.0 GROUP", {MALFORMED}),
        (b"CHAT/1.0 LOGOUT ", {MALFORMED}),
        # Names.
        (b"CHAT/1.0 LEAVE " + b"a" * 65, {BAD_NAME}),
        (b"CHAT/1.0 LEAVE \xff", {BAD_NAME}),
        (b"CHAT/1.0 LEAVE \xed\xa0\x80", {BAD_NAME}),
        ("CHAT/1.0 LEAVE \u3000".encode(), {BAD_NAME}),
        (b"CHAT/1.0 LEAVE \x7f", {BAD_NAME}),
        (b"CHAT/1.0 LEAVE", {MALFORMED}),
        # Two rules at once: either code is right.
        (b"CHAT/1.0 LOGIN *\xff", {RESERVED, BAD_NAME}),
        (b"CHAT/1.0 LOGIN  a", {MALFORMED, BAD_NAME}),
        (b"CHAT/1.0 LEAVE  a", {MALFORMED, BAD_NAME}),
        (b"CHAT/1.0 GROUP ", {MALFORMED, BAD_NAME}),
        (b"CHAT/1.0 LOGIN a\r\r", {MALFORMED, BAD_NAME}),
        (b"CHAT/1.1 LOGIN a\r\r", {MALFORMED, VERSION}),
        # protocol.md does not say what a version looks like, nor a command.
        (b"CHAT/2", {VERSION}),
        (b"CHAT/", {MALFORMED}),
        (b"CHAT/1.0LOGOUT", {MALFORMED, VERSION}),
        (b"CHAT/1.0 LOG\xffOUT", {MALFORMED, COMMAND}),
        (b"CHAT/1.0", {MALFORMED}),
        (b"CHAT/1.0 ", {MALFORMED}),
    ],
)
def test_lines_that_break_a_rule(line: bytes, codes: set[ErrorCode]) -> None:
    assert judge(line + b"\n") == JudgedLine(line + b"\n", None, frozenset(codes))


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        (b"CHAT/1.0 SEND a ".ljust(4095, b"x") + b"\n", set()),
        (b"CHAT/1.0 SEND a ".ljust(4094, b"x") + b"\r\n", set()),
        (b"CHAT/1.0 SEND a ".ljust(4096, b"x") + b"\n", {TOO_LONG}),
        (b"CHAT/1.0 SEND a ".ljust(4095, b"x") + b"\r\n", {TOO_LONG}),
        (b"CHAT/1.0 LOGOUT", {TRUNCATED}),
        (b"CHAT/1.0 LOGOUT\r", {TRUNCATED}),
        (b"x" * 4095, {TRUNCATED}),
        (b"x" * 4096, {TRUNCATED, TOO_LONG}),
    ],
)
def test_lines_that_are_too_long_or_have_no_end(line: bytes, codes: set[ErrorCode]) -> None:
    assert judge(line).codes == codes


def test_the_limit_of_a_line_is_what_you_say() -> None:
    assert judge(b"x" * 600 + b"\n", max_line=512).codes == {TOO_LONG}
    assert judge(b"CHAT/1.0 SEND a ".ljust(5000, b"x") + b"\n", max_line=5001).event


def test_each_side_has_its_commands() -> None:
    login, receive = b"CHAT/1.0 LOGIN a\n", b"CHAT/1.0 RECEIVE a hi\n"
    assert judge(login, Role.CLIENT).event == Login("a")
    assert judge(receive, Role.SERVER).event == Receive("a", b"hi")
    assert judge(login, Role.SERVER).codes == judge(receive, Role.CLIENT).codes == {DIRECTION}
    assert judge(b"CHAT/1.0 RECEIVE\n", Role.CLIENT).codes == {DIRECTION, MALFORMED}


@pytest.mark.parametrize("line", [b"", b"CHAT/1.0 LOGOUT\nCHAT/1.0 LOGOUT\n", b"\n."])
def test_what_is_no_line_is_a_mistake_of_yours(line: bytes) -> None:
    with pytest.raises(ValueError, match="one line"):
        judge(line)
