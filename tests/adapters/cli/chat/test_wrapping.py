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
    assert wrap(text, 10, 2, get_cwidth) == "\n  ".join(rows)


@given(text=st.text(st.sampled_from("ab  \u0301日é"), max_size=60), width=st.integers(8, 20))
def test_nothing_is_lost_and_all_rows_fit(text: str, width: int) -> None:
    first, *others = wrap(text, width, 4, get_cwidth).split("\n")
    rows = [f"    {first}", *others]
    assert all(row.startswith("    ") for row in rows)
    assert all(get_cwidth(row.rstrip(" ")) <= width for row in rows)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")
