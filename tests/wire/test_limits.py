"""chatproto.wire.limits: which values the limits of lines may have."""

import pytest

from chatproto import LineLimits
from chatproto.wire.limits import check_positive


def test_the_defaults_are_those_of_the_protocol() -> None:
    limits = LineLimits()
    assert (limits.max_line, limits.bad_lines) == (4096, 100)


def test_every_notice_fits_into_the_shortest_max_line() -> None:
    assert LineLimits(max_line=512).max_line == 512
    with pytest.raises(ValueError, match="max_line is at least 512"):
        LineLimits(max_line=511)


def test_one_bad_line_may_be_too_many() -> None:
    assert LineLimits(bad_lines=1).bad_lines == 1
    with pytest.raises(ValueError, match="bad_lines is more than 0"):
        LineLimits(bad_lines=0)


@pytest.mark.parametrize("value", [0, -1, 0.0, float("nan"), float("-inf")])
def test_check_positive_refuses_anything_else(value: float) -> None:
    limits = type("AnyLimits", (), {"good": 1, "bad": value})
    check_positive(limits, ["good"])
    with pytest.raises(ValueError, match="bad is more than 0"):
        check_positive(limits, ["good", "bad"])


def test_limits_take_no_positional_arguments() -> None:
    with pytest.raises(TypeError):
        LineLimits(512)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
