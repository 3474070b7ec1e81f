"""A broker and its clients in simulated time, with an adapter that follows `next_step`."""

from collections.abc import Collection, Sequence
from random import Random
from typing import Any

from chatproto import ChatBroker, CloseReason, Command, Limits, Policy

from ..remains import remains
from .client import Client, Ledger
from .rules import Rules

READ_SIZE = 1 << 16
PIECES = (1, 100, 5000, READ_SIZE, READ_SIZE)


TOO_SLOW = (CloseReason.SLOW_CONSUMER, CloseReason.FULL_QUEUE, CloseReason.FULL_QUEUES)


class World:
    """A broker and its clients.

    Args:
        limits: The broker's limits.
        policy: The broker's policy.
        ask: Whether the broker asks about each LOGIN.
        seed: For what is random: the order of clients in each step, and the sizes of reads.
        pieces: Sizes of reads in bytes, to choose from.
        hooks: The commands that have a hook, which decides at random.
        ask_hooks: The commands about which the broker asks, for an answer at random.
    """

    def __init__(
        self,
        limits: Limits,
        policy: Policy = Policy(),
        *,
        ask: bool = False,
        seed: int = 0,
        pieces: Sequence[int] = PIECES,
        hooks: Collection[type[Command]] = (),
        ask_hooks: Collection[type[Command]] = (),
    ) -> None:
        self.limits = limits
        self.clients: dict[int, Client] = {}
        self.too_slow: list[Client] = []
        self.ledger = Ledger()
        self.random = Random(seed)
        self.rules = Rules(self.ledger, self.random)
        self.broker: ChatBroker[int] = ChatBroker(
            policy=policy,
            limits=limits,
            ask=ask,
            hooks={command: [self.rules.hook] for command in hooks},
            ask_hooks=ask_hooks,
        )
        self.rules.broker = self.broker
        self.pieces = pieces
        self.now = 0.0
        self.step_number = 0
        self.count = 0
        self.broker.tick(self.now)

    def connect(self, name: str, address: str = "", **speed: Any) -> Client:
        self.count += 1
        client = Client(self.count, self.ledger, **speed)
        client.send_line(f"LOGIN {name}")
        self.clients[client.cid] = client
        # From a network of its own, unless it is told which.
        address = address or f"10.0.{client.cid >> 8}.{client.cid & 255}"
        self.broker.connect(client.cid, f"peer-{client.cid}", address=address)
        return client

    def reset(self, client: Client) -> None:
        """Lose a connection."""
        self.broker.disconnect(client.cid)
        del self.clients[client.cid]

    def step(self, seconds: float = 0.25) -> None:
        """Advance the clock: one wake-up of the adapter."""
        self.now += seconds
        self.step_number += 1
        self.broker.tick(self.now)
        self.rules.answer()
        clients = list(self.clients.values())
        self.random.shuffle(clients)
        for client in clients:
            client.grant(self.now, seconds)
            if client.watched_for_writing:
                self._write(client)
            if client.watched_for_reading and client.cid in self.clients:
                self._read(client)
        self.flush()

    def _read(self, client: Client) -> None:
        if client.unsent:
            size = self.random.choice(self.pieces)
            data = bytes(client.unsent[:size])
            del client.unsent[:size]
            self.broker.receive(client.cid, data)
            self._update_name(client)
        elif client.ending and not client.ended:
            client.ended = True
            self.broker.receive_eof(client.cid)

    def flush(self) -> None:
        while (ready := self.broker.take_ready()) or self.broker.busy:
            if not ready:
                self.broker.tick(self.now)
            clients = [self.clients[cid] for cid in ready if cid in self.clients]
            # First all names: what is written next may be for a new one.
            for client in clients:
                self._update_name(client)
            for client in clients:
                self._write(client)

    def _update_name(self, client: Client) -> None:
        name = self.broker._dispatcher.hub.name_of(self.broker._by_id[client.cid])
        if name is not None and name != client.name:
            client.name = name
            client.joined[name] = self.step_number

    def _write(self, client: Client) -> None:
        broker, cid = self.broker, client.cid
        outgoing = broker.next_step(cid).write
        if outgoing:
            data = outgoing[: int(min(client.budget, len(outgoing)))]
            client.take(data, self.now)
            if broker.sent(cid, len(data)):
                assert broker.next_step(cid).read
                assert not broker.next_step(cid).close
                assert not broker.next_step(cid).write
        if broker.next_step(cid).half_close:
            broker.half_closed(cid)
            client.ending = True
        if broker.next_step(cid).close:
            if broker._by_id[cid].close_reason in TOO_SLOW:
                self.too_slow.append(client)
            self.reset(client)
            return
        client.watched_for_writing = bool(broker.next_step(cid).write)
        client.watched_for_reading = broker.next_step(cid).read

    def is_open(self, client: Client) -> bool:
        """Whether a connection is there and neither end closes it."""
        return (
            client.cid in self.clients
            and self.broker._by_id[client.cid].close_reason is None
            and not client.ending
        )

    def run_until_idle(self) -> None:
        """Run until everything is sent and received."""
        for _ in range(10_000):
            counters = self.broker.snapshot()
            if not (counters.queued or any(each.unsent for each in self.clients.values())):
                break
            self.step()
        assert self.broker.snapshot().waiting == 0
        for client in self.clients.values():
            assert not client.unsent, f"{client.cid} waits forever"

    def drain(self) -> None:
        """Drain the broker: that ends in time and leaves nothing."""
        self.broker.drain()
        end = self.now + self.limits.grace
        self.flush()
        while self.clients:
            assert self.now < end + 0.25
            self.step()
        assert self.broker.connections == 0
        assert self.broker.take_ready() == []
        self.rules.answer()
        counters = self.broker.snapshot()
        assert (counters.queued, counters.waiting, counters.users) == (0, 0, 0)
        assert sum(counters.closes.values()) == counters.accepted == self.count
        assert remains(self.broker) == []
