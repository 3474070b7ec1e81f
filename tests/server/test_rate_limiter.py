"""chatproto.server.rate_limiter: how often something may happen at once, and in the long run."""

import pytest

from chatproto.server.rate_limiter import RateLimiter


def allowed(limiter: RateLimiter, now: float, times: int) -> int:
    """How often something may happen of this many times."""
    return sum(limiter.allow(now) for _ in range(times))


@pytest.mark.parametrize("start", [0.0, -5.0, 1e9])
@pytest.mark.parametrize(("rate", "burst"), [(20.0, 50), (0.1, 3), (3.0, 1)])
def test_a_burst_and_then_the_rate(rate: float, burst: int, start: float) -> None:
    limiter = RateLimiter(rate, burst)
    assert allowed(limiter, start, burst + 10) == burst
    for step in range(1, 6):
        assert allowed(limiter, start + step / rate * 1.001, 3) == 1


def test_a_pause_allows_up_to_a_burst_again() -> None:
    limiter = RateLimiter(20.0, 50)
    allowed(limiter, 0.0, 60)
    assert allowed(limiter, 1.0, 60) == 20
    assert allowed(limiter, 1000.0, 60) == 50


def test_what_is_not_allowed_does_not_count() -> None:
    limiter = RateLimiter(1.0, 1)
    assert limiter.allow(0.0)
    assert allowed(limiter, 0.25, 1000) == 0
    assert limiter.allow(1.0)
