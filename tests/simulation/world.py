"""A broker, its clients, a clock, and an adapter that does just what it is told."""

from collections.abc import Sequence
from random import Random
from typing import Any

from chatproto import ChatBroker, CloseReason, Limits, Policy

from ..remains import remains
from .client import Client, Ledger

READ_SIZE = 1 << 16
PIECES = (1, 100, 5000, READ_SIZE, READ_SIZE)


TOO_SLOW = (CloseReason.SLOW_CONSUMER, CloseReason.FULL_QUEUE, CloseReason.FULL_QUEUES)


class World:
    """Everything at once.

    Args:
        limits: The broker's.
        policy: Likewise.
        ask: Likewise.
        seed: Of what is left to chance: the order in which clients have their turn, and which
            piece of what they say arrives.
        pieces: Sizes of such a piece in octets.
    """

    def __init__(
        self,
        limits: Limits,
        policy: Policy = Policy(),
        *,
        ask: bool = False,
        seed: int = 0,
        pieces: Sequence[int] = PIECES,
    ) -> None:
        self.limits = limits
        self.broker: ChatBroker[int] = ChatBroker(policy=policy, limits=limits, ask=ask)
        self.clients: dict[int, Client] = {}
        self.too_slow: list[Client] = []
        self.ledger = Ledger()
        self.random = Random(seed)
        self.pieces = pieces
        self.now = 0.0
        self.step_number = 0
        self.count = 0
        self.broker.tick(self.now)

    def connect(self, name: str, **speed: Any) -> Client:
        self.count += 1
        client = Client(self.count, self.ledger, **speed)
        client.say(f"LOGIN {name}")
        self.clients[client.cid] = client
        self.broker.connect(client.cid, f"peer-{client.cid}")
        return client

    def reset(self, client: Client) -> None:
        """A connection is lost."""
        self.broker.disconnect(client.cid)
        del self.clients[client.cid]

    def step(self, seconds: float = 0.25) -> None:
        """One wake-up."""
        self.now += seconds
        self.step_number += 1
        self.broker.tick(self.now)
        clients = list(self.clients.values())
        self.random.shuffle(clients)
        for client in clients:
            client.grant(self.now, seconds)
            if client.watched_for_writing:
                self._carry(client)
            if client.watched_for_reading and client.cid in self.clients:
                self._read(client)
        self.settle()

    def _read(self, client: Client) -> None:
        if client.saying:
            size = self.random.choice(self.pieces)
            data = bytes(client.saying[:size])
            del client.saying[:size]
            self.broker.receive(client.cid, data)
            self._name(client)
        elif client.ending and not client.ended:
            client.ended = True
            self.broker.receive_eof(client.cid)

    def settle(self) -> None:
        while (ready := self.broker.take_ready()) or self.broker.busy:
            if not ready:
                self.broker.tick(self.now)
            clients = [self.clients[cid] for cid in ready if cid in self.clients]
            # Before anything is heard: it may be meant for a name that has just been given.
            for client in clients:
                self._name(client)
            for client in clients:
                self._carry(client)

    def _name(self, client: Client) -> None:
        name = self.broker._dispatcher.hub.name_of(self.broker._by_id[client.cid])
        if name is not None and name != client.name:
            client.name = name
            client.joined[name] = self.step_number

    def _carry(self, client: Client) -> None:
        broker, cid = self.broker, client.cid
        outgoing = broker.next_step(cid).write
        if outgoing:
            octets = bytes(outgoing[: int(min(client.budget, len(outgoing)))])
            client.take(octets, self.now)
            if broker.sent(cid, len(octets)):
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

    def open(self, client: Client) -> bool:
        """Whether a connection is there and is not about to end."""
        return (
            client.cid in self.clients
            and self.broker._by_id[client.cid].close_reason is None
            and not client.ending
        )

    def rest(self) -> None:
        """Let all be said and heard that is to be."""
        for _ in range(10_000):
            counters = self.broker.snapshot()
            if not (counters.queued or any(each.saying for each in self.clients.values())):
                break
            self.step()
        assert self.broker.snapshot().waiting == 0
        for client in self.clients.values():
            assert not client.saying, f"{client.cid} waits for ever"

    def end(self) -> None:
        """Drain, which is over in time and leaves nothing."""
        self.broker.drain()
        end = self.now + self.limits.grace
        self.settle()
        while self.clients:
            assert self.now < end + 0.25
            self.step()
        assert self.broker.connections == 0
        assert self.broker.take_ready() == []
        counters = self.broker.snapshot()
        assert (counters.queued, counters.waiting, counters.users) == (0, 0, 0)
        assert sum(counters.closes.values()) == counters.accepted == self.count
        assert remains(self.broker) == []
