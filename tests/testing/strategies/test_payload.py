"""chatproto.testing.strategies.payload."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproto import NAME_MAX, Limits, Receive, testing

from ..searching import reaches, shown


@given(st.data())
def test_data_fits_into_a_line_and_is_bounded(draw: st.DataObject) -> None:
    size = draw.draw(st.integers(0, 40))
    data = draw.draw(testing.data(size))
    assert len(data) <= size
    assert Receive("a", data).data == data


def test_data_max_fits_into_the_longest_line() -> None:
    longest = b"CHAT/1.0 BROADCAST " + b"a" * NAME_MAX + b" " + b"x" * testing.DATA_MAX + b"\r\n"
    assert len(longest) <= Limits().max_line < len(longest) + 5


@pytest.mark.parametrize(
    "is_at_the_edge",
    [
        pytest.param(lambda data: len(data) == testing.DATA_MAX, id="the most data"),
        pytest.param(lambda data: b"\r" in data, id="inner CR"),
        pytest.param(lambda data: b"\xff" in data, id="no UTF-8"),
        pytest.param(lambda data: b"a" not in data and len(data) > 20, id="any bytes"),
    ],
)
def test_data_reach_the_edges(is_at_the_edge: Callable[[bytes], bool]) -> None:
    assert reaches(testing.data(), is_at_the_edge)


@pytest.mark.parametrize(
    ("is_wrong", "data"),
    [
        pytest.param(lambda _: True, b"", id="always"),
        pytest.param(lambda data: len(data) > 100, b"a" * 101, id="a buffer of 100 bytes"),
        pytest.param(lambda data: b"\0" in data, b"\0", id="strings that end with NUL"),
        pytest.param(lambda data: b"\r" in data, b"\r.", id="CR as the end of a line"),
    ],
)
def test_a_mistake_is_shown_with_the_simplest_data(
    is_wrong: Callable[[bytes], bool], data: bytes
) -> None:
    assert shown(testing.data(), is_wrong) == data
