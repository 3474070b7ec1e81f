"""chatproto_anyio.cli.chat.lines: what is shown."""

import pytest

from chatproto import Broadcast, Message, Notice, Send
from chatproto_anyio.cli.chat.lines import OutputLine


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


@pytest.mark.parametrize("name", ["-", "->", "!", "*", "<bob>"])
def test_no_name_looks_like_another_kind_of_line(name: str) -> None:
    others = (OutputLine.sent(Send("bob", b"")), OutputLine.error(""), OutputLine.info(""))
    assert OutputLine.received(Message(name, b"")).prefix[0] not in {
        line.prefix[0] for line in others
    }
