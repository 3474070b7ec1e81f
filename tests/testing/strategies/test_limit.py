"""chatproto.testing.strategies.limit."""

from hypothesis import given

from chatproto import Limits, testing

from ..searching import reaches, shown


@given(testing.limits())
def test_limits_are_valid_ones(limits: Limits) -> None:
    assert limits.queue_bytes >= limits.max_line


def test_limits_reach_many_changes_and_none() -> None:
    assert reaches(testing.limits(), lambda limits: limits.max_line < 4096 and limits.grace < 10)
    assert reaches(testing.limits(), lambda limits: limits.rate is not None)
    assert reaches(testing.limits(), lambda limits: limits == Limits())


def test_a_mistake_is_shown_with_one_change() -> None:
    """The planted mistake has room for lines of 4,096 bytes, whatever the limit is."""
    assert shown(testing.limits(), lambda limits: limits.max_line > 4096) == Limits(max_line=4097)
