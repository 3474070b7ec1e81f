"""What Prometheus is told. Needs `prometheus_client`, which the extra `server` brings."""

import contextlib
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from chatproto import Counters

from ..sockets.driver import Driver

_GAUGES = {
    "connections": "Connections now.",
    "users": "Names that are logged in now.",
    "groups": "Groups now.",
    "queued": "Octets that wait to be written or acted on now.",
    "waiting": "Senders that have to wait now, because a queue is full.",
}
_COUNTERS = {
    "accepted": "Connections taken on.",
    "logins": "LOGINs obeyed.",
    "messages": "SENDs and BROADCASTs that had a recipient.",
    "deliveries": "Messages put into recipients' queues.",
    "paused": "How often a connection had to wait because of its rate.",
    "octets_in": "Octets read.",
    "octets_out": "Octets written.",
}


class Collector:
    """Turns a server's counters into metrics, when asked.

    Args:
        driver: The server's.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def collect(self) -> Iterable[Metric]:
        """What `prometheus_client` asks for."""
        counters = self._driver.broker.snapshot()
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"chatproto_{name}", text, getattr(counters, name))
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"chatproto_{name}", text, getattr(counters, name))
        yield from _labelled(counters)
        yield GaugeMetricFamily(
            "chatproto_lag_seconds",
            "The longest time since the last scrape that everybody had to wait for one wake-up.",
            self._driver.take_lag(),
        )


def _labelled(counters: Counters) -> Iterator[Metric]:
    refusals = CounterMetricFamily("chatproto_refusals", "Lines refused.", labels=["code"])
    for code, count in counters.refusals.items():
        refusals.add_metric([code], count)
    closes = CounterMetricFamily("chatproto_closes", "Connections ended.", labels=["reason"])
    for reason, count in counters.closes.items():
        closes.add_metric([reason], count)
    yield refusals
    yield closes


@contextlib.contextmanager
def serving_metrics(driver: Driver, host: str, port: int) -> Iterator[int]:
    """Answer Prometheus, on a thread of its own.

    Args:
        driver: The server's.
        host: The address to listen on.
        port: The TCP port; 0 for one that is free.

    Returns:
        A context manager for the port.

    Raises:
        OSError: It can't listen there.
    """
    registry = CollectorRegistry()
    registry.register(Collector(driver))
    server, thread = start_http_server(port, host, registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
