"""`metrics`: what Prometheus sees. That the commands serve it is in `test_commands.py`."""

import re
from collections.abc import Iterator

import pytest

from chatproto import CloseReason, Counters, ErrorCode, LagHistogram

pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry, generate_latest

from chatproto_sync.service.metrics import Collector


class Source:
    """A server that does nothing."""

    def __init__(self) -> None:
        self.counters = Counters()

    def snapshot(self) -> Counters:
        return self.counters


@pytest.fixture
def source() -> Source:
    return Source()


def page(source: Source) -> dict[str, float]:
    """The series with their values."""
    registry = CollectorRegistry()
    registry.register(Collector(source))
    text = generate_latest(registry).decode()
    assert text.endswith("\n")

    def series() -> Iterator[tuple[str, float]]:
        for line in text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                yield name, float(value)

    return dict(series())


def test_all_series_exist_from_the_start(source: Source) -> None:
    """Otherwise the first refusal is not an increase."""
    series = page(source)
    assert set(series.values()) == {0.0}
    for code in ErrorCode:
        assert f'chatproto_refusals_total{{code="{code}"}}' in series
    for reason in CloseReason:
        assert f'chatproto_closes_total{{reason="{reason}"}}' in series


def test_the_same_series_exist_later(source: Source) -> None:
    before = page(source)
    source.counters.refusals[ErrorCode.BAD_NAME] += 3
    source.counters.closes[CloseReason.EOF] += 4
    source.counters.lag.add(2.0)
    after = page(source)
    assert after.keys() == before.keys()
    assert after['chatproto_refusals_total{code="BAD_NAME"}'] == 3.0
    assert after['chatproto_closes_total{reason="end of stream"}'] == 4.0


def test_lag_is_a_histogram_that_no_request_resets(source: Source) -> None:
    for seconds in (0.0005, 0.003, 0.004, 60.0):
        source.counters.lag.add(seconds)
    first = page(source)
    assert page(source) == first
    bounds = [*map(str, LagHistogram.BOUNDS), "+Inf"]
    counts = [first[f'chatproto_lag_seconds_bucket{{le="{each}"}}'] for each in bounds]
    # Each has those of the smaller bounds too.
    assert counts == [1.0, 1.0, *[3.0] * 11, 4.0]
    assert first["chatproto_lag_seconds_count"] == 4.0
    assert first["chatproto_lag_seconds_sum"] == pytest.approx(60.0075)


def test_bytes_are_in_the_names_of_what_counts_bytes(source: Source) -> None:
    names = {re.sub(r"\{.*", "", name) for name in page(source)}
    assert {name for name in names if "byte" in name} == {
        "chatproto_queued_bytes",
        "chatproto_received_bytes_total",
        "chatproto_sent_bytes_total",
    }
