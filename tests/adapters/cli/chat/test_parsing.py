"""What typed lines mean, and what Tab makes of them."""

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
    Message,
    Notice,
    Send,
)
from chatproto_anyio.cli.chat.lines import Line, heard, noticed, remark, said, trouble
from chatproto_anyio.cli.chat.parsing import (
    USAGES,
    Hint,
    Meaning,
    Recipient,
    TalkTo,
    Wish,
    parse,
)
from chatproto_anyio.cli.chat.vocabulary import NAMES_KEPT, Vocabulary

BOB = Recipient("bob")
TEAM = Recipient("team", group=True)


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("hi", Send("bob", b"hi")),
        ("  hi  there ", Send("bob", b"  hi  there ")),
        (" /quit", Send("bob", b" /quit")),
        ("//quit", Send("bob", b"/quit")),
        ("//", Send("bob", b"/")),
        ("///", Send("bob", b"//")),
        ("häß 日本", Send("bob", "häß 日本".encode())),
        ("not \udcff UTF-8", Send("bob", b"not \xff UTF-8")),
        ("", None),
        ("  \t", None),
        ("/msg carol hi  there ", Send("carol", b"hi  there ")),
        ("/msg  carol  hi", Send("carol", b" hi")),
        ("/msg carol /quit", Send("carol", b"/quit")),
        ("/msg #c,/x hi", Send("#c,/x", b"hi")),
        ("/say team hi  there", Broadcast("team", b"hi  there")),
        ("/to carol", TalkTo(Recipient("carol"))),
        ("/to  carol ", TalkTo(Recipient("carol"))),
        ("/to #team", TalkTo(Recipient("#team"))),
        ("/to", TalkTo(None)),
        ("/to ", TalkTo(None)),
        ("/to-group team", TalkTo(TEAM)),
        ("/group team bob  carol ", Group("team", ["bob", "carol"])),
        ("/leave team", Leave("team")),
        ("/nick carol ", Login("carol")),
        ("/ping", Wish.PING),
        ("/ping ", Wish.PING),
        ("/help", Wish.HELP),
        ("/quit", Wish.QUIT),
    ],
)
def test_what_a_line_means(line: str, meaning: Meaning) -> None:
    assert parse(line, BOB) == meaning


def test_a_group_can_be_talked_to() -> None:
    assert parse("//hi", TEAM) == Broadcast("team", b"/hi")


@pytest.mark.parametrize("line", ["hi", "//hi"])
def test_talking_to_nobody(line: str) -> None:
    assert parse(line, None) == Hint(
        "nobody would hear that: first type /to NAME or /to-group GROUP"
    )


@pytest.mark.parametrize(
    "line",
    [
        "/msg",
        "/msg ",
        "/msg bob",
        "/msg bob ",
        "/msg bob  ",
        "/say team",
        "/to bob carol",
        "/to-group",
        "/to-group a b",
        "/group",
        "/group team",
        "/leave",
        "/leave a b",
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
    meaning = parse(line, BOB)
    assert isinstance(meaning, Hint)
    assert meaning.text.startswith("no command is called /")
    assert meaning.text.isprintable()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"/msg {'x' * 65} hi", ErrorCode.BAD_NAME),
        ("/to \udcff", ErrorCode.BAD_NAME),
        ("/group team *bob", ErrorCode.NAME_RESERVED),
        ("/nick *bob", ErrorCode.NAME_RESERVED),
        ("hi\r", ErrorCode.MALFORMED),
    ],
)
def test_what_the_protocol_does_not_allow(line: str, code: ErrorCode) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse(line, BOB)
    assert caught.value.code == code


@given(line=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")))
def test_whatever_is_typed(line: str) -> None:
    """A line that says something says just that; `/` before it makes a line of any."""
    if not line.startswith("/") and line.strip():
        assert parse(line, BOB) == Send("bob", line.encode())
    assert parse(f"//{line}", BOB) == Send("bob", f"/{line}".encode())


@given(arguments=st.text(), command=st.sampled_from(sorted(USAGES)))
def test_whatever_follows_a_command(arguments: str, command: str) -> None:
    try:
        meaning = parse(f"{command} {arguments}", None)
    except LocalProtocolError:
        return
    assert meaning is not None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (heard(Message("bob", b"hi")), "12:34 <bob> hi"),
        (heard(Message("b\u202eb", b"\x1b[2J\xff")), "12:34 <b\\u202eb> \\x1b[2J\ufffd"),
        (said(Send("bob", b"a\tb")), "12:34 -> bob: a\\tb"),
        (said(Broadcast("te\u200bam", b"hi")), "12:34 -> group te\\u200bam: hi"),
        (noticed(Notice("NO_SUCH_USER", "SEND", "who?\x07")), "12:34 ! NO_SUCH_USER: who?\\x07"),
        (noticed(Notice("", "-", "hello")), "12:34 ! hello"),
        (trouble("too late"), "12:34 ! too late"),
        (remark("as you like"), "12:34 * as you like"),
    ],
)
def test_lines(line: Line, text: str) -> None:
    assert "".join(text for _, text in line.fragments("12:34")) == text


@pytest.mark.parametrize("name", ["-", "->", "!", "*", "<bob>"])
def test_nobody_can_be_called_like_another_head(name: str) -> None:
    others = (said(Send("bob", b"")), trouble(""), remark(""))
    assert heard(Message(name, b"")).head[0] not in {line.head[0] for line in others}


@pytest.fixture
def vocabulary() -> Vocabulary:
    vocabulary = Vocabulary()
    for name in ("bob", "carol", "ben"):
        vocabulary.people.meet(name)
    vocabulary.groups.meet("board")
    return vocabulary


@pytest.mark.parametrize(
    ("text", "word", "words"),
    [
        ("/g", "/g", ["/group"]),
        ("/to", "/to", ["/to", "/to-group"]),
        ("/", "/", list(USAGES)),
        ("/x", "/x", []),
        ("/msg ", "", ["ben", "carol", "bob"]),
        ("/msg b", "b", ["ben", "bob"]),
        ("/msg  b", "b", ["ben", "bob"]),
        ("/msg bob c", "c", ["carol"]),
        ("/msg bob hi c", "c", ["carol"]),
        ("/to c", "c", ["carol"]),
        ("/to carol b", "b", []),
        ("/say b", "b", ["board"]),
        ("/say board b", "b", ["ben", "bob"]),
        ("/to-group b", "b", ["board"]),
        ("/group b", "b", ["board"]),
        ("/group board b", "b", ["ben", "bob"]),
        ("/group board ben bob c", "c", ["carol"]),
        ("/leave b", "b", ["board"]),
        ("/nick b", "b", []),
        ("/ping b", "b", []),
        ("/x b", "b", []),
        ("ask b", "b", ["ben", "bob"]),
        ("", "", ["ben", "carol", "bob"]),
        ("//x b", "b", ["ben", "bob"]),
    ],
)
def test_completions(vocabulary: Vocabulary, text: str, word: str, words: list[str]) -> None:
    assert vocabulary.completions(text) == (word, words)


def test_names_that_are_met_again_come_first(vocabulary: Vocabulary) -> None:
    vocabulary.people.meet("bob")
    assert vocabulary.people.starting_with("") == ["bob", "ben", "carol"]


def test_others_cannot_fill_the_memory(vocabulary: Vocabulary) -> None:
    for number in range(NAMES_KEPT):
        vocabulary.people.meet(f"eve{number}")
        vocabulary.people.meet("bob")
    assert len(vocabulary.people) == NAMES_KEPT
    assert vocabulary.people.starting_with("b") == ["bob"]
