"""chatproto.wire.limits: bounds and rates."""

import dataclasses
from typing import Any

import pytest

from chatproto import Limits
from chatproto.server.rate_limiter import RateLimiter
from chatproto.wire.names import NAME_MAX


def test_the_defaults_of_the_protocol() -> None:
    limits = Limits()
    assert (limits.max_line, limits.bad_lines) == (4096, 100)
    assert (limits.notice_burst, limits.notice_rate) == (50, 20.0)
    assert (limits.high_water, limits.queue_bytes, limits.queue_age) == (1 << 16, 1 << 20, 10.0)
    assert limits.login_timeout == 60.0


DEFAULTS = dataclasses.asdict(Limits())
FIELDS = list(DEFAULTS)
# What is least is another limit.
LEAST = {"max_line": 512, "queue_bytes": 4096, "total_queue_bytes": 1 << 20}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, -1])
def test_limits_are_more_than_nothing(field: str, value: int) -> None:
    bad: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        Limits(**bad)


@pytest.mark.parametrize("field", [name for name in FIELDS if isinstance(DEFAULTS[name], float)])
def test_what_is_no_number_is_no_limit(field: str) -> None:
    bad: dict[str, Any] = {field: float("nan")}
    with pytest.raises(ValueError, match=f"{field} is more than 0"):
        Limits(**bad)


def test_a_rate_without_end_is_no_limit() -> None:
    with pytest.raises(ValueError, match="rate is finite"):
        Limits(rate=float("inf"))


@pytest.mark.parametrize("field", FIELDS)
def test_limits_may_be_tight(field: str) -> None:
    tight: dict[str, Any] = {field: LEAST.get(field, 1)}
    assert getattr(Limits(**tight), field) == LEAST.get(field, 1)


@pytest.mark.parametrize("field", LEAST)
def test_limits_may_be_too_tight(field: str) -> None:
    tight: dict[str, Any] = {field: LEAST[field] - 1}
    with pytest.raises(ValueError, match=field):
        Limits(**tight)


@pytest.mark.parametrize("field", ["max_connections", "rate"])
def test_some_things_may_have_no_limit(field: str) -> None:
    free: dict[str, Any] = {field: None}
    assert getattr(Limits(**free), field) is None


def test_names_have_a_limit_of_their_own() -> None:
    """That of the protocol (protocol.md, section 1)."""
    assert Limits(max_name=NAME_MAX).max_name == NAME_MAX
    with pytest.raises(ValueError, match="max_name is 1 to 64 bytes"):
        Limits(max_name=NAME_MAX + 1)


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
