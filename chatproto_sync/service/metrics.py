"""Metrics for Prometheus, and the health beside them.

Needs `prometheus_client`, which the extra `server` installs.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from chatproto import (
    CloseReason,
    ClusterCounters,
    Counters,
    ErrorCode,
    Health,
    HealthStatus,
    LagHistogram,
    Standing,
    __version__,
)

from ..sockets.addresses import join
from ..sockets.driver import logger
from ..sockets.errors import reason_of
from .errors import StartError
from .pages import Page, serving_pages

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

# The same of `ClusterCounters`, for a server that is a node of a cluster.
_CLUSTER_GAUGES: Final = (
    ("nodes", "chatproto_cluster_nodes", "Nodes of the chat, this one included."),
    (
        "far_users",
        "chatproto_cluster_far_users",
        "Connections of other nodes that are logged in.",
    ),
    (
        "ledger_position",
        "chatproto_cluster_ledger_position",
        "Entries of the ledger that the node has applied, since the chat began.",
    ),
    (
        "ledger_lag",
        "chatproto_cluster_ledger_lag_seconds",
        "Seconds since the last entry of the node came back from the ledger.",
    ),
)
_CLUSTER_COUNTERS: Final = (
    (
        "syncs",
        "chatproto_cluster_syncs",
        "Refusals and requests that waited until the node had read the ledger.",
    ),
    ("mails_sent", "chatproto_cluster_mails_sent", "Mails to other nodes, each once."),
    ("mails_received", "chatproto_cluster_mails_received", "Mails from other nodes, each once."),
    ("mail_bytes_sent", "chatproto_cluster_mail_sent_bytes", "Bytes in mails to other nodes."),
    (
        "mail_bytes_received",
        "chatproto_cluster_mail_received_bytes",
        "Bytes in mails from other nodes.",
    ),
    (
        "resent",
        "chatproto_cluster_resent",
        "Entries and mails appended once more after an interruption.",
    ),
    (
        "waited",
        "chatproto_cluster_mails_waited",
        "Mails that waited until the node had read the ledger as far as their writers.",
    ),
    (
        "full_told",
        "chatproto_cluster_full_told",
        "Times that another node was told to let its senders wait for a slow reader.",
    ),
    (
        "returned",
        "chatproto_cluster_returned",
        "Messages whose recipient had left before they came.",
    ),
    ("garbled", "chatproto_cluster_garbled", "Entries and mails that could not be read."),
)


class MetricsSource(Protocol):
    """The part of a server that the metrics come from."""

    def snapshot(self) -> Counters:
        """A copy of the counters."""
        ...

    def cluster_snapshot(self) -> ClusterCounters | None:
        """A copy of the counters of the cluster; None without one."""
        ...

    def health(self) -> Health:
        """How the server is."""
        ...


class Collector:
    """Collects the metrics of a server when Prometheus asks for them.

    Args:
        source: The server.
        expiry: Returns when the first of its certificates expires; None without certificates.
    """

    def __init__(self, source: MetricsSource, expiry: Callable[[], datetime | None]) -> None:
        self._source = source
        self._expiry = expiry

    def collect(self) -> Iterable[Metric]:
        """See `prometheus_client.registry.Collector`."""
        counters = self._source.snapshot()
        yield InfoMetricFamily(
            "chatproto_build", "The version of the server.", {"version": __version__}
        )
        if (expiry := self._expiry()) is not None:
            yield GaugeMetricFamily(
                "chatproto_certificate_expiry_timestamp_seconds",
                "When the first of the certificates expires, in seconds since 1970.",
                expiry.timestamp(),
            )
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
        cluster = self._source.cluster_snapshot()
        if cluster is not None:
            yield from _of_cluster(cluster)


def _of_cluster(counters: ClusterCounters) -> Iterator[Metric]:
    standing = GaugeMetricFamily(
        "chatproto_cluster_standing",
        "How the node stands with the others: 1 for that, 0 for each other way.",
        labels=["standing"],
    )
    for each in Standing:
        standing.add_metric([each], counters.standing is each)
    yield standing
    for field, name, text in _CLUSTER_GAUGES:
        yield GaugeMetricFamily(name, text, getattr(counters, field))
    for field, name, text in _CLUSTER_COUNTERS:
        yield CounterMetricFamily(name, text, getattr(counters, field))
    unacknowledged = GaugeMetricFamily(
        "chatproto_cluster_unacknowledged_bytes",
        "Bytes of mail that another node has not acknowledged.",
        labels=["node"],
    )
    full = GaugeMetricFamily(
        "chatproto_cluster_full",
        "1 while senders wait for another node, else 0.",
        labels=["node"],
    )
    # One that has ended, and one that has begun, may have the same ID for a moment.
    sizes, waits = Counter[str](), Counter[str]()
    for node, size in counters.unacknowledged.items():
        sizes[node.partition("#")[0]] += size
        waits[node.partition("#")[0]] |= node in counters.full
    for node, size in sizes.items():
        unacknowledged.add_metric([node], size)
        full.add_metric([node], waits[node])
    yield unacknowledged
    yield full


def _buckets(lag: LagHistogram) -> Iterator[tuple[str, int]]:
    """The upper bounds, each with how many times were at most that long."""
    bounds = [*map(str, lag.BOUNDS), "+Inf"]
    return zip(bounds, accumulate(lag.counts), strict=True)


def health_page(health: Health) -> Page:
    """The page that says how a server is. Its HTTP status is 503 unless all is well."""
    body = {
        "status": health.status,
        "listening": health.listening,
        "draining": health.draining,
        "late": round(health.late, 3),
    }
    return _json_page(body, is_well=health.status is HealthStatus.OK)


def ready_page(health: Health, cluster: ClusterCounters | None) -> Page:
    """The page that says whether clients should connect. Its HTTP status is 503 unless they should.

    That is so while the server is well and, if it is a node of a cluster, stands well with the
    other nodes.
    """
    standing = None if cluster is None else cluster.standing
    is_ready = health.status is HealthStatus.OK and standing in (None, Standing.UP)
    body = {"ready": is_ready, "status": health.status, "standing": standing}
    return _json_page(body, is_well=is_ready)


def _json_page(body: Mapping[str, object], *, is_well: bool) -> Page:
    return Page(
        "application/json",
        json.dumps(body).encode() + b"\n",
        HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE,
    )


@contextlib.contextmanager
def serving_metrics(
    source: MetricsSource,
    host: str,
    port: int,
    expiry: Callable[[], datetime | None] = lambda: None,
) -> Iterator[int]:
    """Serve `/metrics`, `/health` and `/ready`, on a thread of its own.

    Args:
        source: The server.
        host: The address to listen on.
        port: The TCP port; 0 for a free one.
        expiry: Returns when the first of the server's certificates expires; None without
            certificates.

    Returns:
        A context manager that yields the port.

    Raises:
        StartError: It cannot listen there.
    """
    registry = CollectorRegistry()
    registry.register(Collector(source, expiry))
    # What each process has, such as its memory and descriptors; and the version of Python.
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    pages = {
        "/metrics": lambda: Page(CONTENT_TYPE_LATEST, generate_latest(registry)),
        "/health": lambda: health_page(source.health()),
        "/ready": lambda: ready_page(source.health(), source.cluster_snapshot()),
    }

    with contextlib.ExitStack() as stack:
        try:
            chosen = stack.enter_context(serving_pages(pages, host, port))
        except OSError as error:
            raise StartError(
                f"can't serve metrics on {join(host, port)} (--metrics-host, --metrics-port):"
                f" {reason_of(error)}"
            ) from error
        logger.info("serving metrics on %s", join(host, chosen))
        yield chosen
