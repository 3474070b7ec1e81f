"""chatproto_anyio.cli.chat.wrapping: long lines on a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from chatproto_anyio.cli.chat.wrapping import wrap


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("12345678", ["12345678"]),
        ("123456789", ["12345678", "9"]),
        ("1234 678", ["1234 678"]),
        ("1234 6789", ["1234", "6789"]),
        ("12345678 ", ["12345678 "]),
        ("12345678  9", ["12345678", "9"]),
        ("12 45 78 01 3", ["12 45 78", "01 3"]),
        ("  345678 x", ["  345678", "x"]),
        ("1 3456789012345", ["1", "34567890", "12345"]),
        ("日本語日本", ["日本語日", "本"]),
        ("x日本語日本", ["x日本語", "日本"]),
        ("1234567e\u0301x", ["1234567e\u0301", "x"]),
    ],
)
def test_wrapping(text: str, rows: list[str]) -> None:
    assert wrap(text, 10, 2, 2, get_cwidth) == "\n  ".join(rows)


@pytest.mark.parametrize(
    ("text", "head", "rows"),
    [
        ("12 45 78", 4, ["12 45", "78"]),
        # There is more room in the next row.
        ("1234567 9", 4, ["", "1234567", "9"]),
        ("1 345678 x", 4, ["1", "345678 x"]),
        ("1234567890", 4, ["", "12345678", "90"]),
        ("日本語日本", 3, ["", "日本語日", "本"]),
        ("日", 9, ["", "日"]),
        ("", 10, [""]),
        ("x", 10, ["", "x"]),
    ],
)
def test_a_head_that_is_wider_than_the_indent(text: str, head: int, rows: list[str]) -> None:
    assert wrap(text, 10, head, 2, get_cwidth) == "\n  ".join(rows)


def test_a_terminal_that_is_narrower_than_a_character() -> None:
    assert wrap("日本", 1, 0, 0, get_cwidth) == "日\n本"


@given(
    text=st.text(st.sampled_from("ab  \u0301日é"), max_size=60),
    width=st.integers(8, 20),
    head=st.integers(4, 8),
)
def test_nothing_is_lost_and_all_rows_fit(text: str, width: int, head: int) -> None:
    first, *others = wrap(text, width, head, 4, get_cwidth).split("\n")
    rows = [f"{' ' * head}{first}", *others]
    assert all(row.startswith("    ") for row in rows)
    assert all(get_cwidth(row.rstrip(" ")) <= width for row in rows)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")
