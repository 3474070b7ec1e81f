"""chatproto_anyio.cli.chat.lines: what is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproto import Added, Broadcast, Message, Notice, Send, visible, visible_name
from chatproto.testing import data, names
from chatproto_anyio.cli.chat.lines import LineKind, OutputLine, mentions


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (OutputLine.received(Message("bob", b"hi")), "12:34 <bob> hi"),
        (
            OutputLine.received(Message("b\u202eb", b"\x1b[2J\xff")),
            "12:34 <b\\u202eb> \\x1b[2J\ufffd",
        ),
        # Names are strict, texts are left as they are where they are honest.
        (
            OutputLine.received(
                Message("bo\ufe0fb\\", "C:\\temp \u0645\u06cc\u200c\u062e".encode())
            ),
            "12:34 <bo\\ufe0fb\\\\> C:\\temp \u0645\u06cc\u200c\u062e",
        ),
        (
            OutputLine.sent(
                Send("b\u2800", "\u4f60\u597d\u3000\u4e16\u754c Bonjour\u202f!".encode())
            ),
            "12:34 -> b\\u2800: \u4f60\u597d \u4e16\u754c Bonjour !",
        ),
        (
            OutputLine.notice(Notice("OD\u200dD", "SEND", "\U0001f468\u200d\U0001f469 \\")),
            "12:34 ! OD\\u200dD: \U0001f468\u200d\U0001f469 \\",
        ),
        (OutputLine.received(Message("bob", b"hi", "tea")), "12:34 #tea <bob> hi"),
        (
            OutputLine.received(Message("b\u202eb", b"\x1b[2J", "te\u200ba")),
            "12:34 #te\\u200ba <b\\u202eb> \\x1b[2J",
        ),
        (
            OutputLine.added(Added("te\u200ba", "alice", "b\u202eb")),
            "12:34 * b\\u202eb has added you to group te\\u200ba",
        ),
        (OutputLine.sent(Send("bob", b"a\tb")), "12:34 -> bob: a\\tb"),
        (OutputLine.sent(Broadcast("te\u200bam", b"hi")), "12:34 -> group te\\u200bam: hi"),
        (
            OutputLine.notice(Notice("NO_SUCH_USER", "SEND", "who?\x07")),
            "12:34 ! NO_SUCH_USER: who?\\x07",
        ),
        (OutputLine.notice(Notice("", "-", "hello")), "12:34 ! hello"),
        (OutputLine.error("too late"), "12:34 ! too late"),
        (OutputLine.info("as you like"), "12:34 * as you like"),
    ],
)
def test_lines(line: OutputLine, text: str) -> None:
    assert "".join(text for _, text in line.fragments("12:34")) == text
    assert f"12:34 {line}" == text


def read(line: str) -> tuple[str | None, str, str]:
    """Read the group, the sender and the text from the line of a message, as a person would."""
    group = None
    if line.startswith("#"):
        group, _, line = line.removeprefix("#").partition(" ")
    head, _, text = line.partition(" ")
    assert (head[0], head[-1]) == ("<", ">")
    return group, head[1:-1], text


@pytest.mark.parametrize(
    "message",
    [
        Message("bob", b"#tea hi"),
        Message("bob", b"hi", "tea"),
        Message("#tea", b"<bob> hi"),
        Message("bob>", b"#tea> hi"),
        Message("bob", b"<carol> hi", "<carol>"),
        Message("<carol>", b"hi", "<bob>"),
        Message("bob>\u3164hi", b"hi", "tea"),
    ],
)
def test_a_line_can_be_read_in_one_way_only(message: Message) -> None:
    group = None if message.group is None else visible_name(message.group)
    expected = (group, visible_name(message.sender), visible(message.text))
    assert read(str(OutputLine.received(message))) == expected


@given(sender=names(), group=st.none() | names(), data=data())
def test_no_name_and_no_text_forges_a_sender_or_a_group(
    sender: str, group: str | None, data: bytes
) -> None:
    test_a_line_can_be_read_in_one_way_only(Message(sender, data, group))


@pytest.mark.parametrize("name", ["-", "->", "!", "*", "<bob>", "#tea"])
def test_no_name_looks_like_another_kind_of_line(name: str) -> None:
    lines = (
        OutputLine.received(Message(name, b"")),
        OutputLine.received(Message(name, b"", name)),
        OutputLine.sent(Send(name, b"")),
        OutputLine.error(""),
        OutputLine.info(""),
    )
    assert len({line.prefix[0] for line in lines}) == len(lines)


@pytest.mark.parametrize(
    ("text", "is_mentioned"),
    [
        ("alice", True),
        ("hi, Alice!", True),
        ("@alice: tea?", True),
        ("malice", False),
        ("alice2", False),
        ("alicé alices", False),
        ("", False),
    ],
)
def test_mentions(text: str, is_mentioned: bool) -> None:
    line = OutputLine.received(Message("bob", text.encode(), "tea"), "alice")
    assert (line.kind is LineKind.MENTIONED) is is_mentioned
    assert str(line) == f"#tea <bob> {text}"
    # In private, all is for this user.
    private = OutputLine.received(Message("bob", text.encode()), "alice")
    assert private.kind is LineKind.RECEIVED


def test_a_name_is_no_pattern() -> None:
    assert mentions("hi, *a.b*", "*a.b*")
    assert not mentions("hi, aab", "a.b")


def test_what_has_failed_is_marked() -> None:
    for line, text in (
        (OutputLine.sent(Send("bob", b"hi")), "! -> bob: hi"),
        (OutputLine.info("asked to leave group tea"), "! asked to leave group tea"),
    ):
        assert str(line.failed()) == text
        assert line.failed().kind is LineKind.FAILED
