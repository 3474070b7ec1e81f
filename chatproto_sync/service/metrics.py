"""Metrics for Prometheus. Needs `prometheus_client`, which the extra `server` installs."""

import contextlib
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from chatproto import CloseReason, Counters, ErrorCode, LagHistogram

from ..sockets.addresses import join
from ..sockets.driver import logger
from ..sockets.errors import reason_of
from .errors import StartError
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
    ("messages", "chatproto_messages", "SENDs to others and BROADCASTs that had a recipient."),
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
        # Include zeros: Prometheus sees a first increase only if it has seen the zero before.
        for code in ErrorCode:
            refusals.add_metric([code], counters.refusals[code])
        yield refusals
        closes = CounterMetricFamily("chatproto_closes", "Connections closed.", labels=["reason"])
        for reason in CloseReason:
            closes.add_metric([reason], counters.closes[reason])
        yield closes
        yield HistogramMetricFamily(
            "chatproto_lag_seconds",
            "Times in which no further connection was served.",
            buckets=list(_buckets(counters.lag)),
            sum_value=counters.lag.total,
        )


def _buckets(lag: LagHistogram) -> Iterator[tuple[str, int]]:
    """The upper bounds, each with how many times were at most that long."""
    bounds = [*map(str, lag.BOUNDS), "+Inf"]
    return zip(bounds, accumulate(lag.counts), strict=True)


@contextlib.contextmanager
def serving_metrics(source: MetricsSource, host: str, port: int) -> Iterator[int]:
    """Serve the metrics over HTTP, on a thread of its own.

    Args:
        source: The server.
        host: The address to listen on.
        port: The TCP port; 0 for a free one.

    Returns:
        A context manager that yields the port.

    Raises:
        StartError: It cannot listen there.
    """
    registry = CollectorRegistry()
    registry.register(Collector(source))

    def page() -> Page:
        return Page(CONTENT_TYPE_LATEST, generate_latest(registry))

    with contextlib.ExitStack() as stack:
        try:
            chosen = stack.enter_context(serving_page(page, host, port))
        except OSError as error:
            raise StartError(
                f"can't serve metrics on {join(host, port)} (--metrics-host, --metrics-port):"
                f" {reason_of(error)}"
            ) from error
        logger.info("serving metrics on %s", join(host, chosen))
        yield chosen
