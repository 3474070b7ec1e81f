"""chatproto.server.limits: which values a broker's limits may have.

What each limit does at its edge is in `test_limits_kept.py`.
"""

import dataclasses
from typing import Any

import pytest

from chatproto import Limits
from chatproto.wire.names import NAME_MAX

DEFAULTS = dataclasses.asdict(Limits())
FIELDS = list(DEFAULTS)
# The smallest values, where they are more than 1. Those of queues depend on other limits.
SMALLEST = {"max_line": 512, "queue_bytes": 4096, "total_queue_bytes": 1 << 20}


def test_the_defaults() -> None:
    limits = Limits()
    assert (limits.max_line, limits.bad_lines) == (4096, 100)
    assert (limits.notice_burst, limits.notice_rate) == (50, 20.0)
    assert (limits.high_water, limits.queue_bytes, limits.queue_age) == (1 << 16, 1 << 20, 10.0)
    assert limits.login_timeout == 60.0


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, -1])
def test_every_limit_is_positive(field: str, value: int) -> None:
    limits: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        Limits(**limits)


@pytest.mark.parametrize("field", [name for name in FIELDS if isinstance(DEFAULTS[name], float)])
def test_no_limit_is_nan(field: str) -> None:
    limits: dict[str, Any] = {field: float("nan")}
    with pytest.raises(ValueError, match=f"{field} is more than 0"):
        Limits(**limits)


def test_a_rate_is_finite() -> None:
    with pytest.raises(ValueError, match="rate is finite"):
        Limits(rate=float("inf"))


@pytest.mark.parametrize("field", FIELDS)
def test_every_limit_may_have_its_smallest_value(field: str) -> None:
    smallest = SMALLEST.get(field, 1)
    limits: dict[str, Any] = {field: smallest}
    assert getattr(Limits(**limits), field) == smallest


@pytest.mark.parametrize("field", SMALLEST)
def test_no_limit_is_less_than_its_smallest_value(field: str) -> None:
    limits: dict[str, Any] = {field: SMALLEST[field] - 1}
    with pytest.raises(ValueError, match=field):
        Limits(**limits)


@pytest.mark.parametrize("field", ["max_connections", "rate"])
def test_some_limits_may_be_none(field: str) -> None:
    limits: dict[str, Any] = {field: None}
    assert getattr(Limits(**limits), field) is None


def test_max_name_is_no_more_than_the_protocol_allows() -> None:
    assert Limits(max_name=NAME_MAX).max_name == NAME_MAX
    with pytest.raises(ValueError, match="max_name is 1 to 64 bytes"):
        Limits(max_name=NAME_MAX + 1)


def test_a_queue_has_room_for_a_line() -> None:
    with pytest.raises(ValueError, match="queue_bytes is at least max_line"):
        Limits(queue_bytes=4095)
    assert Limits(max_line=512, queue_bytes=512).queue_bytes == 512


def test_limits_take_no_positional_arguments() -> None:
    with pytest.raises(TypeError):
        Limits(512)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
