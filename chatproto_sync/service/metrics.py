"""Metrics for Prometheus. Needs `prometheus_client`, which the extra `server` installs."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Final, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from chatproto import Counters

from .pages import Page, serving_page

# The field of `Counters`, the metric, and its help text.
_GAUGES: Final = (
    ("connections", "chatproto_connections", "Open connections."),
    ("users", "chatproto_users", "Names that are logged in."),
    ("groups", "chatproto_groups", "Groups."),
    ("queued", "chatproto_queued_bytes", "Bytes that wait to be written or executed."),
    ("waiting", "chatproto_waiting", "Senders that wait because a queue is full."),
)
_COUNTERS: Final = (
    ("accepted", "chatproto_accepted", "Connections accepted."),
    ("logins", "chatproto_logins", "Successful LOGINs."),
    ("messages", "chatproto_messages", "SENDs and BROADCASTs that had a recipient."),
    ("deliveries", "chatproto_deliveries", "Messages put into the queues of recipients."),
    ("paused", "chatproto_paused", "Pauses of connections that exceeded their rate."),
    ("bytes_received", "chatproto_received_bytes", "Bytes read from connections."),
    ("bytes_sent", "chatproto_sent_bytes", "Bytes written to connections."),
)


class MetricsSource(Protocol):
    """The part of a server that the metrics come from."""

    def snapshot(self) -> Counters:
        """A copy of the counters."""
        ...

    def take_lag(self) -> float:
        """The longest time in seconds since the last call in which no connection was served."""
        ...


class Collector:
    """Collects the metrics of a server when Prometheus asks for them.

    Args:
        source: The server.
    """

    def __init__(self, source: MetricsSource) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        """See `prometheus_client.registry.Collector`."""
        counters = self._source.snapshot()
        for field, name, text in _GAUGES:
            yield GaugeMetricFamily(name, text, getattr(counters, field))
        for field, name, text in _COUNTERS:
            yield CounterMetricFamily(name, text, getattr(counters, field))
        refusals = CounterMetricFamily("chatproto_refusals", "Lines refused.", labels=["code"])
        for code, count in counters.refusals.items():
            refusals.add_metric([code], count)
        yield refusals
        closes = CounterMetricFamily("chatproto_closes", "Connections closed.", labels=["reason"])
        for reason, count in counters.closes.items():
            closes.add_metric([reason], count)
        yield closes
        yield GaugeMetricFamily(
            "chatproto_lag_seconds",
            "Longest time since the last scrape in which no connection was served.",
            self._source.take_lag(),
        )


def serving_metrics(source: MetricsSource, host: str, port: int) -> AbstractContextManager[int]:
    """Serve the metrics over HTTP, on a thread of its own.

    Args:
        source: The server.
        host: The address to listen on.
        port: The TCP port; 0 for a free one.

    Returns:
        A context manager that yields the port.

    Raises:
        OSError: It cannot listen there.
    """
    registry = CollectorRegistry()
    registry.register(Collector(source))

    def page() -> Page:
        return Page(CONTENT_TYPE_LATEST, generate_latest(registry))

    return serving_page(page, host, port)
