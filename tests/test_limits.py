"""chatproto._limits: bounds and rates."""

from typing import Any

import pytest

from chatproto import Limits
from chatproto._limits import RateLimiter


def test_the_defaults_of_the_protocol() -> None:
    limits = Limits()
    assert (limits.max_line, limits.bad_lines) == (4096, 100)
    assert (limits.notice_burst, limits.notice_rate) == (50, 20.0)


FIELDS = ["bad_lines", "queue_bytes", "linger", "notice_burst", "notice_rate"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_more_than_nothing(field: str, value: int) -> None:
    bad: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=f"{field} is more than 0"):
        Limits(**bad)


@pytest.mark.parametrize("field", FIELDS)
def test_limits_may_be_tight(field: str) -> None:
    least = 4096 if field == "queue_bytes" else 1
    tight: dict[str, Any] = {field: least}
    assert getattr(Limits(**tight), field) == least


def test_a_queue_holds_a_line() -> None:
    """Or one line would close a connection that reads all that it gets."""
    with pytest.raises(ValueError, match="queue_bytes is at least max_line"):
        Limits(queue_bytes=4095)
    assert Limits(max_line=512, queue_bytes=512).queue_bytes == 512


def test_every_notice_fits_into_a_line() -> None:
    assert Limits(max_line=512).max_line == 512
    with pytest.raises(ValueError, match="at least 512"):
        Limits(max_line=511)


def test_limits_are_named() -> None:
    with pytest.raises(TypeError):
        Limits(512)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def allowed(limiter: RateLimiter, now: float, times: int) -> int:
    return sum(limiter.allow(now) for _ in range(times))


@pytest.mark.parametrize("start", [0.0, -5.0, 1e9])
@pytest.mark.parametrize(("rate", "burst"), [(20.0, 50), (0.1, 3), (3.0, 1)])
def test_a_burst_and_then_the_rate(rate: float, burst: int, start: float) -> None:
    limiter = RateLimiter(rate, burst)
    assert allowed(limiter, start, burst + 10) == burst
    for step in range(1, 6):
        assert allowed(limiter, start + step / rate * 1.001, 3) == 1


def test_rest_gives_the_burst_back_and_no_more() -> None:
    limiter = RateLimiter(20.0, 50)
    allowed(limiter, 0.0, 60)
    assert allowed(limiter, 1.0, 60) == 20
    assert allowed(limiter, 1000.0, 60) == 50


def test_what_is_refused_does_not_count() -> None:
    limiter = RateLimiter(1.0, 1)
    assert limiter.allow(0.0)
    assert allowed(limiter, 0.25, 1000) == 0
    assert limiter.allow(1.0)
