"""The random schedules of `tests/cluster/chaos.py`, over a real Redis and the real transport."""

import time
from random import Random

import pytest

from chatproto import Limits, Policy
from chatproto_sync.cluster.transport import RedisTransport
from chatproto_sync.cluster.url import parse_redis_url

from ...cluster.chaos import Chaos
from ...cluster.world import TestNode
from ..servers import TIMEOUT
from .insides import Redis


class RedisChaos(Chaos):
    """The same, but Redis has the streams, and may cut the connections of a node.

    The clock hardly advances, so no pause of the machine counts as time.

    Args:
        redis: The Redis.
        seed: For what is random.
        ends: Whether connections end and names change.
        cuts: Whether Redis cuts connections.
    """

    def __init__(self, redis: Redis, seed: int, *, ends: bool, cuts: bool) -> None:
        self.redis = redis
        self.cuts = cuts
        self.transports: dict[str, RedisTransport] = {}
        limits = Limits(notice_burst=10_000, high_water=300, queue_bytes=9000, max_line=512)
        choose = Random(seed).randrange
        super().__init__(choose, nodes=3, faults=False, ends=ends, policy=Policy(), limits=limits)

    def start(self, name: str) -> TestNode:
        node = super().start(name)
        url = parse_redis_url(self.redis.url)
        transport = RedisTransport(node.cluster, url, node_timeout=10.0, clock=lambda: self.now)
        self.transports[name] = transport
        transport.join(node.broker)
        return node

    def step(self) -> None:
        if self.cuts and not self.choose(30):
            self.redis.kill_node(self.pick("abc"))
        super().step()

    def leave(self) -> None:
        """No node leaves here: there is a test of that alone."""

    def tick(self, seconds: float = 0.1) -> None:
        super().tick(seconds / 100)

    def append_of(self, node: TestNode) -> None:
        self.transport_of(node).flush()

    def read_of(self, node: TestNode, entries: int, mails: int) -> None:  # noqa: ARG002 - all that has come
        transport = self.transport_of(node)
        transport.tick(self.now)
        transport.ready(1)
        while transport.receive():
            self.write_of(node)
        if transport._session is None and not transport._is_finding:
            # It waits before it connects again.
            self.now += 0.1

    def transport_of(self, node: TestNode) -> RedisTransport:
        return self.transports[node.cluster.name.partition("#")[0]]

    def settle(self) -> None:
        for client in self.clients.values():
            client.reads = True
        end = time.monotonic() + TIMEOUT
        while not self.is_quiet():
            assert time.monotonic() < end, "the nodes never come to rest"
            self.tick()
            for node in self.nodes:
                self.write_of(node)
                self.append_of(node)
                self.transport_of(node)._poller.poll(0.002)
                self.read_of(node, 0, 0)
                self.write_of(node)
        self.streams.ledger = self.ledger()

    def is_quiet(self) -> bool:
        length = self.redis.do("XLEN", self.redis.key("ledger"))
        for node in self.nodes:
            node.read = node.cluster.snapshot().ledger_position
        self.streams.ledger = [b""] * length
        return super().is_quiet()

    def ledger(self) -> list[bytes]:
        entries = self.redis.do("XRANGE", self.redis.key("ledger"), "-", "+")
        return [fields[1] for _, fields in entries]

    def close(self) -> None:
        for transport in self.transports.values():
            transport.close()


@pytest.mark.parametrize("seed", range(3))
def test_the_same_over_redis(redis: Redis, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chaos = RedisChaos(redis, seed, ends=seed > 1, cuts=seed > 0)
    try:
        for _ in range(300):
            chaos.step()
        chaos.settle()
        chaos.check_settled()
        if seed < 2:
            chaos.check_nothing_lost()
        assert chaos.arrived
        assert ("lost Redis" in caplog.text) == chaos.cuts
    finally:
        chaos.close()
