"""What holds after every step, whatever has happened."""

from collections import defaultdict

from chatproto import CloseReason
from chatproto.server.buffers import POINTER
from chatproto.server.flow_control import WINDOW
from chatproto.server.peer import Peer, Waiting

from .client import Client
from .world import World

# A window is judged at a tick, and there is one every quarter of a second at least.
LOOK = WINDOW + 0.25


class Invariants:
    """Checks a world after each step.

    Args:
        world: The world.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._dispatcher = world.broker._dispatcher
        self._flow = self._dispatcher.flow
        # Since when each sender has waited for its queue.
        self._since: dict[tuple[Peer, Peer], float] = {}
        # Connections whose full queue did not drain at some time, until it is not full any more.
        self._undrained: set[int] = set()

    def check(self) -> None:
        self.counters_add_up()
        self.queues_keep_their_bounds()
        self.waiting_connections_are_not_read_from()
        self.no_sender_waits_too_long()
        self.the_adapter_is_up_to_date()

    def counters_add_up(self) -> None:
        world = self._world
        counters = world.broker.snapshot()
        peers = world.broker._by_id.values()
        assert counters.connections == len(world.clients) == len(peers)
        assert counters.queued == sum(
            peer.queued_bytes + len(peer.unparsed) + POINTER * len(peer.undelivered)
            for peer in peers
        )
        for peer in peers:
            assert peer.queued_bytes == sum(map(len, peer.queue))
        assert counters.waiting == len(self._flow._waits_for)
        assert counters.accepted == world.count == len(peers) + sum(counters.closes.values())

    def queues_keep_their_bounds(self) -> None:
        world, limits = self._world, self._world.limits
        # The notice before a close may exceed every bound.
        notices = 100 * sum(peer.close_reason is not None for peer in world.broker._by_id.values())
        assert world.broker.snapshot().queued <= limits.total_queue_bytes + notices
        for cid, client in world.clients.items():
            peer = world.broker._by_id[cid]
            queued = peer.queued_bytes
            if queued <= self._flow.high_water:
                self._undrained.discard(cid)
            elif peer.close_reason is None and not (
                peer in self._flow._draining and peer in self._flow._proven
            ):
                # A sender that has waited in vain before need not wait for it.
                self._undrained.add(cid)
            cap = limits.queue_bytes
            if cid not in self._undrained and peer.close_reason is None:
                notices = 200 * (len(client.errors) + limits.notice_burst) + client.told
                cap = min(cap, self._flow.high_water + limits.max_line + notices)
            assert queued <= cap + (100 if peer.close_reason is not None else 0)

    def waiting_connections_are_not_read_from(self) -> None:
        broker = self._world.broker
        waiting = {peer for peer in broker._by_id.values() if peer.waiting is not Waiting.NOTHING}
        for peer in waiting:
            assert not broker.next_step(peer.cid).read
        # Each of them waits for something that will come.
        dispatcher = self._dispatcher
        assert waiting == {
            *self._flow._waits_for,
            *self._flow._released,
            *dispatcher._paused._starts,
            *dispatcher._runnable,
            *dispatcher.logins._questions._tokens,
            *(() if dispatcher.hooks is None else dispatcher.hooks.questions._tokens),
        }
        for queue in self._flow._waits_for.values():
            assert queue.queued_bytes > self._flow.high_water // 2
            assert queue in self._flow.full

    def no_sender_waits_too_long(self) -> None:
        """A sender may wait for a slow recipient, not for one that reads nothing."""
        world, now = self._world, self._world.now
        pairs = self._flow._waits_for.items()
        # A recipient has an excuse as long as it is itself kept waiting.
        self._since = {
            (sender, queue): now
            if queue.waiting is not Waiting.NOTHING
            else self._since.get((sender, queue), now)
            for sender, queue in pairs
        }
        for (_, queue), since in self._since.items():
            taken = world.clients[queue.cid].taken_since
            if now - since > 2 * LOOK:
                assert taken(now - 2 * LOOK) >= world.limits.drain_rate * WINDOW

    def the_adapter_is_up_to_date(self) -> None:
        """Every connection whose next step has changed was reported as ready."""
        for cid, client in self._world.clients.items():
            broker = self._world.broker
            assert client.watched_for_writing == bool(broker.next_step(cid).write)
            assert client.watched_for_reading == broker.next_step(cid).read
            assert not broker.next_step(cid).close

    def nothing_is_missing(self) -> None:
        """No stream misses a message at its end: each sender sends one more, and all arrive."""
        world = self._world
        open_clients = [client for client in world.clients.values() if world.is_open(client)]
        by_name: dict[str | None, list[Client]] = defaultdict(list)
        for client in open_clients:
            by_name[client.name].append(client)
        groups = self._dispatcher.hub._groups._by_name
        expected: list[tuple[Client, tuple[int, str]]] = []
        for cid, target in list(world.ledger.steps):
            sender = world.clients.get(cid)
            if sender is None or sender not in by_name[sender.name]:
                continue
            name = target[1:]
            if target[0] == "@":
                sender.send(name, world.step_number)
                recipients = by_name[name]
            elif name in groups and sender.name in (groups[name].creator, *groups[name].members):
                sender.broadcast(name, world.step_number)
                members = [client for member in groups[name].members for client in by_name[member]]
                recipients = [client for client in members if client is not sender]
            else:
                continue
            expected += [(client, (cid, target)) for client in recipients]
        world.run_until_idle()
        for client, key in expected:
            if client.cid in world.clients and key[0] in world.clients:
                assert client.received[key] == len(world.ledger.steps[key]) - 1
        assert world.broker.snapshot().closes[CloseReason.BAD_LINES] == 0
