"""chatproto.wire.visible: what is escaped in text from peers."""

import pytest

from chatproto import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("zhangsan", "zhangsan"),
        ("张三", "张三"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\nb", "a\\nb"),
        ("\u202e", "\\u202e"),
        ("\\", "\\\\"),
        ("it's", "it's"),
        ('"', '"'),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
