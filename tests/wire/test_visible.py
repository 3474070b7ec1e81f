"""chatproto.wire.visible: what is escaped in texts and names from peers."""

import sys

import pytest

from chatproto import visible, visible_name
from chatproto.wire.visible import has_invisible

INVISIBLE = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u202e\u2060\u2065\u2066"
    "\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff9\U0001bca0\U0001d173\U000e0001\U000e0041"
    "\U000e0100\U00013441\u070f\U00013430\ufdd0\uffff\U0010fffe"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("zhangsan", "zhangsan"),
        ("张三", "张三"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\nb\r\t\x85\u2028\u2029", "a\\nb\\r\\t\\x85\\u2028\\u2029"),
        ("\u202eabc\u2066\u200e", "\\u202eabc\\u2066\\u200e"),
        ("it's \"", "it's \""),
        ("\ud800", "\\ud800"),
        # Honest texts in the languages and the pictures of the world.
        (r"C:\temp ¯\_(ツ)_/¯", r"C:\temp ¯\_(ツ)_/¯"),
        ("你好\u3000世界", "你好 世界"),
        ("Bonjour\u202f! 10\xa0000", "Bonjour ! 10 000"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # noqa: RUF001 - Persian
        ("👩\u200d👩\u200d👧 ❤\ufe0f\u200d🔥", "👩\u200d👩\u200d👧 ❤\ufe0f\u200d🔥"),
        ("🏴\U000e0067\U000e0062\U000e007f\n", "🏴\U000e0067\U000e0062\U000e007f\\n"),
        ("葛\U000e0100\u3000", "葛\U000e0100 "),
        # Newer than the tables of Python 3.11 (a face, 2022), a private one, one not assigned.
        ("\U0001fae8\ue000\U000deb00", "\U0001fae8\ue000\U000deb00"),
        # A number sign that is shown, and counts as a format character.
        ("\u0600\u0661", "\u0600\u0661"),
        # Joiners and tags with nothing to join or to tag.
        ("\u200d👩", "\\u200d👩"),
        ("a \u200cb\u200d", "a \\u200cb\\u200d"),
        ("a\U000e0067", "a\\U000e0067"),
        # Tags that are no flag could hide a whole text.
        ("a\U000e0067\U000e0062", "a\\U000e0067\\U000e0062"),
        ("🏴\U000e0067\U000e0062", "🏴\\U000e0067\\U000e0062"),
        ("🏴" + "\U000e0067" * 7 + "\U000e007f", "🏴" + "\\U000e0067" * 7 + "\\U000e007f"),
        ("\U00013000\U00013430\U00013000", "\U00013000\U00013430\U00013000"),
        ("a\u200b\u2060\ufeff\xad", "a\\u200b\\u2060\\ufeff\\xad"),
    ],
)
def test_what_a_text_looks_like(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", ""),
        ("张三", "张三"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("\\", "\\\\"),
        ("bob\ufe0f", "bob\\ufe0f"),
        ("b\u034fob", "b\\u034fob"),
        ("\u3164", "\\u3164"),
        ("\u2800", "\\u2800"),
        ("👩\u200d👧", "👩\\u200d👧"),
        ("\xa0\u3000", "\\xa0\\u3000"),
    ],
)
def test_what_a_name_looks_like(name: str, shown: str) -> None:
    assert visible_name(name) == shown


@pytest.mark.parametrize("each", INVISIBLE)
def test_a_name_never_hides_a_code_point(each: str) -> None:
    assert has_invisible(f"bo{each}b")
    assert visible_name(f"bo{each}b") == f"bo{each.encode('unicode_escape').decode()}b"


def test_names_that_can_be_seen() -> None:
    assert not has_invisible("bob-张三-Ünï🙂")


def test_nothing_moves_a_cursor_or_turns_a_line() -> None:
    turning = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    moving = [chr(each) for each in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)]
    for each in (*turning, *moving):
        for show in visible, visible_name:
            shown = show(f"a{each}b")
            assert each not in shown
            assert shown.isprintable()


def test_every_code_point_can_be_written_to_a_terminal() -> None:
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    assert visible(text).encode()
    assert visible_name(text).isprintable()
