"""`metrics`: what Prometheus sees. That the commands serve it is in `test_commands.py`."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from chatproto import (
    CloseReason,
    ClusterCounters,
    Counters,
    ErrorCode,
    Health,
    LagHistogram,
    Standing,
    __version__,
)

pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry, generate_latest

from chatproto_sync.service.metrics import Collector, health_page, ready_page


class Source:
    """A server that does nothing."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.cluster: ClusterCounters | None = None
        self.expiry: datetime | None = None

    def cluster_snapshot(self) -> ClusterCounters | None:
        return self.cluster

    def health(self) -> Health:
        return Health(listening=True, draining=False, late=0.0)

    def snapshot(self) -> Counters:
        return self.counters


@pytest.fixture
def source() -> Source:
    return Source()


def page(source: Source) -> dict[str, float]:
    """The series with their values."""
    registry = CollectorRegistry()
    registry.register(Collector(source, lambda: source.expiry))
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
    assert series.pop(f'chatproto_build_info{{version="{__version__}"}}') == 1.0
    assert set(series.values()) == {0.0}
    for code in ErrorCode:
        assert f'chatproto_refusals_total{{code="{code}"}}' in series
    for reason in CloseReason:
        assert f'chatproto_closes_total{{reason="{reason}"}}' in series


def test_the_expiry_of_certificates_is_there_with_certificates(source: Source) -> None:
    name = "chatproto_certificate_expiry_timestamp_seconds"
    assert name not in page(source)
    source.expiry = datetime(2030, 1, 2, tzinfo=UTC)
    assert page(source)[name] == 1893542400.0


@pytest.mark.parametrize(
    ("health", "status", "body"),
    [
        (
            Health(listening=True, draining=False, late=0.01234),
            200,
            {"status": "ok", "listening": True, "draining": False, "late": 0.012},
        ),
        (
            Health(listening=False, draining=True, late=0.0),
            503,
            {"status": "draining", "listening": False, "draining": True, "late": 0.0},
        ),
        (
            Health(listening=True, draining=False, late=7.5),
            503,
            {"status": "hanging", "listening": True, "draining": False, "late": 7.5},
        ),
        (
            Health(listening=False, draining=False, late=0.0),
            503,
            {"status": "starting", "listening": False, "draining": False, "late": 0.0},
        ),
    ],
)
def test_the_page_of_the_health(health: Health, status: int, body: dict[str, object]) -> None:
    content_type, text, found = health_page(health)
    assert (content_type, found, json.loads(text)) == ("application/json", status, body)


@pytest.mark.parametrize(
    ("listening", "standing", "ready"),
    [
        (True, None, True),
        (False, None, False),
        (True, Standing.UP, True),
        (False, Standing.UP, False),
        *((True, each, False) for each in Standing if each is not Standing.UP),
    ],
)
def test_the_page_for_balancers(listening: bool, standing: Standing | None, ready: bool) -> None:
    health = Health(listening=listening, draining=False, late=0.0)
    cluster = None if standing is None else ClusterCounters(standing=standing)
    content_type, text, found = ready_page(health, cluster)
    assert (content_type, found) == ("application/json", 200 if ready else 503)
    status = "ok" if listening else "starting"
    assert json.loads(text) == {"ready": ready, "status": status, "standing": standing}


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


def test_a_node_of_a_cluster_has_series_of_it(source: Source) -> None:
    alone = page(source)
    source.cluster = ClusterCounters(
        standing=Standing.LATE,
        nodes=3,
        far_users=7,
        ledger_lag=2.6,
        mails_sent=5,
        mail_bytes_sent=640,
        unacknowledged={"b#old.1": 10, "b#new.1": 2, "c#x.1": 0},
        full=("b#old.1",),
    )
    series = page(source)
    assert {name for name in alone if "cluster" in name} == set()
    assert {name: value for name, value in series.items() if value and name not in alone} == {
        'chatproto_cluster_standing{standing="late"}': 1.0,
        "chatproto_cluster_nodes": 3.0,
        "chatproto_cluster_far_users": 7.0,
        "chatproto_cluster_ledger_lag_seconds": 2.6,
        "chatproto_cluster_mails_sent_total": 5.0,
        "chatproto_cluster_mail_sent_bytes_total": 640.0,
        'chatproto_cluster_unacknowledged_bytes{node="b"}': 12.0,
        'chatproto_cluster_full{node="b"}': 1.0,
    }
    for each in Standing:
        assert f'chatproto_cluster_standing{{standing="{each}"}}' in series
    assert series['chatproto_cluster_full{node="c"}'] == 0.0


def test_each_counter_of_a_cluster_has_a_series(source: Source) -> None:
    source.cluster = ClusterCounters()
    numbers = [each.name for each in fields(ClusterCounters) if each.type in (int, float)]
    assert len(numbers) >= 14
    for value, name in enumerate(numbers, start=100):
        setattr(source.cluster, name, value)
    assert set(range(100, 100 + len(numbers))) <= set(page(source).values())
