"""chatproto_anyio.cli.chat.parsing: what a typed line asks for."""

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproto import (
    Broadcast,
    ErrorCode,
    Group,
    Leave,
    LocalProtocolError,
    Login,
    Send,
)
from chatproto.testing import names
from chatproto_anyio.cli.chat.parsing import (
    USAGES,
    AddMember,
    Hint,
    LastMessage,
    ListGroups,
    ListMembers,
    ParsedInput,
    Recipient,
    SetRecipient,
    SimpleCommand,
    length_of_names,
    parse,
    parse_lines,
    without_controls,
)

BOB = Recipient("bob")
CAROL = Recipient("carol")
TEAM = Recipient("team", group=True)
IN_TEAM = LastMessage(CAROL, TEAM)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hi", Send("bob", b"hi")),
        ("  hi  there ", Send("bob", b"  hi  there ")),
        (" /quit", Send("bob", b" /quit")),
        ("//quit", Send("bob", b"/quit")),
        ("//", Send("bob", b"/")),
        ("///", Send("bob", b"//")),
        ("häß 日本", Send("bob", "häß 日本".encode())),
        ("not \udcff UTF-8", Send("bob", b"not \xff UTF-8")),
        ("a\tb\x1b[31m\x1a\x7f\x9b c", Send("bob", b"a   b[31m c")),
        ("//\x1b]0;x\x07", Send("bob", b"/]0;x")),
        ("/msg carol \tx\x1a", Send("carol", b"    x")),
        ("/say team \0x", Broadcast("team", b"x")),
        ("family \u200d zwj, \u202fspace", Send("bob", "family \u200d zwj, \u202fspace".encode())),
        ("", None),
        ("  \t", None),
        ("\x1a", None),
        ("/msg carol hi  there ", Send("carol", b"hi  there ")),
        ("/msg  carol  hi", Send("carol", b" hi")),
        ("/msg carol /quit", Send("carol", b"/quit")),
        ("/msg #c,/x hi", Send("#c,/x", b"hi")),
        ("/say team hi  there", Broadcast("team", b"hi  there")),
        ("/to carol", SetRecipient(Recipient("carol"))),
        ("/to  carol ", SetRecipient(Recipient("carol"))),
        ("/to #team", SetRecipient(Recipient("#team"))),
        ("/to", SetRecipient(None)),
        ("/to ", SetRecipient(None)),
        ("/to-group team", SetRecipient(TEAM)),
        ("/group team bob  carol ", Group("team", ["bob", "carol"])),
        ("/leave team", Leave("team")),
        ("/add team  carol ", AddMember(TEAM, Recipient("carol"))),
        ("/names team ", ListMembers(TEAM)),
        ("/groups ", ListGroups()),
        ("/nick carol ", Login("carol")),
        ("/ping", SimpleCommand.PING),
        ("/ping ", SimpleCommand.PING),
        ("/help", SimpleCommand.HELP),
        ("/quit", SimpleCommand.QUIT),
    ],
)
def test_lines(line: str, expected: ParsedInput | None) -> None:
    assert parse(line, BOB) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/reply hi  there ", Broadcast("team", b"hi  there ")),
        ("/reply /quit", Broadcast("team", b"/quit")),
        ("/reply \tx\x1a", Broadcast("team", b"    x")),
        ("/reply \udcff", Broadcast("team", b"\xff")),
        ("/reply", Hint("type /reply TEXT")),
        ("/r", Hint("type /r TEXT")),
        ("/reply \x1b", Hint("type /reply TEXT")),
        ("hi", Send("bob", b"hi")),
    ],
)
def test_a_reply(line: str, expected: ParsedInput) -> None:
    assert parse(line, BOB, IN_TEAM) == expected
    if isinstance(expected, Broadcast):
        private = LastMessage(CAROL, CAROL)
        assert parse(line, BOB, private) == Send("carol", expected.data)
        to_sender = line.replace("/reply", "/r", 1)
        for last in (private, IN_TEAM):
            assert parse(to_sender, BOB, last) == Send("carol", expected.data)


def test_a_reply_to_nobody() -> None:
    assert parse("/reply hi", BOB) == Hint("nobody has written to you so far")
    assert parse("/r hi", BOB) == Hint("nobody has written to you so far")
    assert parse("/reply", BOB) == Hint("type /reply TEXT")


@given(name=names(), group=st.booleans(), text=st.text(st.characters(codec="ascii"), min_size=1))
def test_a_recipient_names_the_command_that_sends_to_it(name: str, group: bool, text: str) -> None:
    recipient = Recipient(name, group)
    text = without_controls(text)
    if text.strip():
        assert parse(f"{recipient.command}{text}", None) == recipient.message(text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/add te\u200bam  b\\b", "/add te\\u200bam b\\\\b"),
        ("/names te\u200bam", "/names te\\u200bam"),
        ("/groups", "/groups"),
    ],
)
def test_requests_about_groups_as_text(line: str, text: str) -> None:
    assert str(parse(line, None)) == text


def test_a_message_to_a_group() -> None:
    assert parse("//hi", TEAM) == Broadcast("team", b"/hi")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("", "hi /there"),
        ("", "//msg bob hi"),
        ("/ms", ""),
        ("/unknown bob hi", ""),
        ("/msg ", ""),
        ("/msg  b", ""),
        ("/msg  bob", " hi there"),
        ("/say team", "  hi"),
        ("/to bob ", ""),
        ("/group team bob carol", ""),
        ("/help ", ""),
        ("/reply", ""),
        ("/reply ", "hi"),
        ("/reply  ", "hi there"),
        ("/add team carol", ""),
        ("/names team", ""),
    ],
)
def test_where_names_end(names: str, text: str) -> None:
    assert length_of_names(names + text) == len(names)


@pytest.mark.parametrize("line", ["hi", "//hi"])
def test_a_message_to_nobody(line: str) -> None:
    assert parse(line, None) == Hint(
        "nobody would get that: first type /to NAME or /to-group GROUP"
    )


@pytest.mark.parametrize(
    "line",
    [
        "/msg",
        "/msg ",
        "/msg bob",
        "/msg bob ",
        "/msg bob  ",
        "/msg bob \x1b",
        "/say team",
        "/to bob carol",
        "/to-group",
        "/to-group a b",
        "/group",
        "/group team",
        "/leave",
        "/leave a b",
        "/add",
        "/add a",
        "/add a b c",
        "/names a b",
        "/groups a",
        "/reply",
        "/reply ",
        "/nick",
        "/nick a b",
        "/ping 1",
        "/help me",
        "/quit now",
    ],
)
def test_wrong_arguments(line: str) -> None:
    command = line.split()[0]
    assert parse(line, BOB) == Hint(f"type {command} {USAGES[command].arguments}".rstrip())


@pytest.mark.parametrize("line", ["/", "/MSG bob hi", "/usr/bin", "/msg\tbob hi", "/\x1b[2J x"])
def test_unknown_commands(line: str) -> None:
    hint = parse(line, BOB)
    assert isinstance(hint, Hint)
    assert hint.text.startswith("there is no command /")
    assert hint.text.isprintable()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"/msg {'x' * 65} hi", ErrorCode.BAD_NAME),
        ("/to \udcff", ErrorCode.BAD_NAME),
        ("/group team *bob", ErrorCode.NAME_RESERVED),
        ("/nick *bob", ErrorCode.NAME_RESERVED),
        (f"/names {'x' * 65}", ErrorCode.BAD_NAME),
        (f"/add {'x' * 65} bob", ErrorCode.BAD_NAME),
        (f"/add team {'x' * 65}", ErrorCode.BAD_NAME),
        ("/msg b\tob hi", ErrorCode.BAD_NAME),
    ],
)
def test_the_protocol_does_not_allow_it(line: str, code: ErrorCode) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse(line, BOB)
    assert caught.value.code == code


@given(line=st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_message(line: str) -> None:
    """A message is sent as it is, and `//` before any text makes it a message."""
    if not line.startswith("/") and line.strip():
        assert parse(line, BOB) == Send("bob", line.encode())
    assert parse(f"//{line}", BOB) == Send("bob", f"/{line}".encode())


@given(line=st.text(st.characters(exclude_categories=["Cs"])))
def test_no_message_has_control_characters(line: str) -> None:
    for each in (parse(f"//{line}", TEAM), parse(f"/msg bob {line}", None)):
        if isinstance(each, Send | Broadcast):
            assert not any(category(character) == "Cc" for character in each.data.decode())


@given(arguments=st.text(), command=st.sampled_from(sorted(USAGES)))
def test_any_arguments(arguments: str, command: str) -> None:
    try:
        parsed = parse(f"{command} {arguments}", None)
    except LocalProtocolError:
        return
    assert parsed is not None


@pytest.mark.parametrize("line", ["/who", "/who bob", "/whois bob", "/names", "/names "])
def test_there_is_no_list_of_users(line: str) -> None:
    hint = parse(line, BOB)
    assert isinstance(hint, Hint)
    assert hint.text.startswith("CHAT/1.0 has no list of who is online")


@pytest.mark.parametrize(("line", "try_this"), [("/join tea", "/group"), ("/list", "/groups")])
def test_commands_for_what_there_is_not(line: str, try_this: str) -> None:
    hint = parse(line, BOB)
    assert isinstance(hint, Hint)
    assert hint.text.startswith("CHAT/1.0 has no ")
    assert try_this in hint.text


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/reply ", "/say team "),
        ("/r ", "/msg carol "),
        ("/reply", None),
        ("/r x", None),
        ("/say ", None),
    ],
)
def test_what_a_reply_stands_for(line: str, command: str | None) -> None:
    assert IN_TEAM.command(line) == command


# Several lines


def test_one_line_is_a_command_or_a_message_or_nothing() -> None:
    assert parse_lines("/quit", BOB) == [SimpleCommand.QUIT]
    assert parse_lines("hi", BOB) == [Send("bob", b"hi")]
    assert parse_lines(" ", BOB) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\n\n  two", [b"one", b"", b"  two"]),
        ("\n/quit\n//x\n/msg carol hi", [b"", b"/quit", b"//x", b"/msg carol hi"]),
        ("//quit\n\tx\x1b", [b"/quit", b"    x"]),
        ("/msg bob one\n/quit", [b"one", b"/quit"]),
        ("/r one\ntwo", [b"one", b"two"]),
    ],
)
def test_several_lines_are_text(text: str, expected: list[bytes]) -> None:
    last = LastMessage(BOB, TEAM)
    assert parse_lines(text, BOB, last) == [Send("bob", data) for data in expected]
    in_team = [Broadcast("team", data) for data in expected]
    in_team_text = text.replace("/msg bob", "/say team", 1).replace("/r ", "/reply ", 1)
    assert parse_lines(in_team_text, TEAM, last) == in_team


@pytest.mark.parametrize("text", ["hi\nthere", "\nthere", "/x\nthere", "/msg bob\nthere"])
def test_several_lines_to_nobody(text: str) -> None:
    [hint] = parse_lines(text, None)
    assert isinstance(hint, Hint)


@pytest.mark.parametrize("text", ["/quit\nx", "/to bob\nx", "/group tea bob\nx"])
def test_no_command_has_several_lines(text: str) -> None:
    assert parse_lines(text, BOB) == [
        Hint("only messages have several lines: none of these is executed")
    ]
