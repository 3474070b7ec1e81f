"""Nodes, clients and a ledger in a random order of events, with faults; and what has to hold."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chatproto import Drop, HookVerdict, Limits, Login, Policy, Refusal, Reply, Said, Send
from chatproto.cluster import cluster as cluster_module
from chatproto.cluster.hub import ReplicatedHub
from chatproto.cluster.nodes import Remote
from chatproto.server.hooks import HOOKABLE

from .world import Streams, TestNode

NAMES = ("ann", "bob", "cyd", "dan")
GROUPS = ("tea", "jam")
NUMBERED = re.compile(r"(\S+) (?:in \S+ )?(\d+)\.(\d+)\.(\d+)")
QUEUED = re.compile(rb"RECEIVE \S+ (\d+)\.(\d+)\.0")


class Client:
    """A client: what it has sent, and what it has received."""

    def __init__(self, cid: str, node: TestNode, index: int) -> None:
        self.cid = cid
        self.node = node
        self.index = index
        self.sent = 0
        self.sends = 0
        self.reads = True
        self.lines: list[str] = []
        self.last: dict[int, int] = {}
        self.refused = 0
        self.over = False


class Chaos:
    """A cluster to which anything may happen.

    Args:
        choose: Returns a number below the one that it is given.
        nodes: How many nodes there are.
        faults: Whether anything is lost, cut, frozen or killed.
        ends: Whether connections end and names change.
        policy: The policy of the chat.
        limits: The limits of each node.
        ask: Whether each login waits for an answer.
    """

    def __init__(
        self,
        choose: Callable[[int], int],
        *,
        nodes: int,
        faults: bool,
        ends: bool,
        policy: Policy,
        limits: Limits,
        ask: bool = False,
    ) -> None:
        self.ask = ask
        self.choose = choose
        self.faults = faults
        self.ends = ends
        self.policy = policy
        self.limits = limits
        self.streams = Streams()
        self.now = 0.0
        self.count = 0
        self.incarnations = 0
        self.clients: dict[str, Client] = {}
        self.nodes: list[TestNode] = []
        self.sends = 0
        self.quiet_after = 0.0
        self.arrived: set[tuple[int, int]] = set()
        self.seen: Counter[str] = Counter()
        self.log: list[str] = []
        # The nodes that a hook has begun to shut down.
        self.draining: list[TestNode] = []
        # The nodes of which something was refused that others have not come behind yet.
        self.refused: list[TestNode] = []
        self.are_sends_hooked = False
        self.has_node_ended = faults
        for index in range(nodes):
            self.start("abcd"[index])

    def start(self, name: str) -> TestNode:
        self.incarnations += 1
        if self.streams.first is None:
            # The first node of a chat makes its snapshot.
            self.streams.first = b""
        hooked = self.pick([HOOKABLE, (Login,), ()]) if self.ends else ()
        self.are_sends_hooked = self.are_sends_hooked or Send in hooked
        node = TestNode(
            self.streams,
            name,
            policy=self.policy,
            limits=self.limits,
            token=f"t{self.incarnations}",
            fast_path=bool(self.choose(2)),
            hooks={each: [self.hook] for each in hooked},
            ask=self.ask,
            ask_hooks=hooked if self.ask else (),
        )
        node.broker.tick(self.now)
        self.nodes.append(node)
        self.watch_queues(node)
        return node

    def watch_queues(self, node: TestNode) -> None:
        """What is queued for a connection when it ends has arrived as far as senders know."""
        buffers: Any = self.insides(node).buffers
        buffers.drop_queue = self.watched(node, buffers.drop_queue)
        buffers.forget = self.watched(node, buffers.forget)

    def watched(self, node: TestNode, method: Callable[[Any], None]) -> Callable[[Any], None]:
        def watch(peer: Any) -> None:
            self.note_queued(node, peer)
            method(peer)

        return watch

    def note_queued(self, node: TestNode, peer: Any) -> None:
        data = bytes(node.output[peer.cid]) + b"".join(peer.queue)
        self.arrived.update((int(one), int(two)) for one, two in QUEUED.findall(data))

    @staticmethod
    def insides(node: TestNode) -> Any:
        return node.broker._dispatcher

    def hook(self, said: Said) -> HookVerdict | None:
        """What an operator's rule says of an event, and does because of it."""
        kind = self.choose(24)
        if kind == 0:
            self.act(self.pick(self.nodes), said.name or self.pick(NAMES))
        elif kind == 1 and not self.choose(10):
            node = self.pick(self.nodes)
            self.log.append(f"drain {node.cluster.name}")
            self.draining.append(node)
            node.broker.drain()
        elif kind == 2 and not self.choose(4):
            raise RuntimeError("a rule fails")
        verdicts: list[HookVerdict] = [Refusal("REFUSED", "not here"), Reply(b"no"), Drop()]
        if isinstance(said.event, Login):
            verdicts.append(Login(self.pick(NAMES)))
        elif isinstance(said.event, Send) and not said.event.to.startswith("*"):
            verdicts.append(Send(self.pick(NAMES), said.event.data))
        kind -= 3
        return verdicts[kind] if 0 <= kind < len(verdicts) else None

    # What may happen

    def step(self) -> None:
        """Do one thing, chosen at random."""
        steps: list[tuple[int, Callable[[], None]]] = [
            (3, self.connect),
            (12, self.talk),
            (6, self.append),
            (6, self.read),
            (4, self.write),
            (2, self.tick),
            (1, self.stop_reading),
        ]
        if self.ask:
            steps += [(4, self.answer)]
        if self.ends:
            steps += [(1, self.end_client), (2, self.rename), (1, self.leave), (1, self.operate)]
        if self.faults:
            steps += [(1, self.cut), (1, self.restart), (1, self.tick_long), (1, self.lose_tail)]
            steps += [(1, self.lose_all), (1, self.trim)]
        total = sum(weight for weight, _ in steps)
        at = self.choose(total)
        for weight, function in steps:
            if at < weight:
                function()
                return
            at -= weight

    def pick(self, items: Any) -> Any:
        items = list(items)
        return items[self.choose(len(items))] if items else None

    def connect(self) -> None:
        if sum(not each.over for each in self.clients.values()) > 30:
            return
        node = self.pick(self.nodes)
        self.count += 1
        cid = f"c{self.count}"
        node.broker.connect(cid, cid, address="192.0.2.1" if self.choose(2) else "")
        self.clients[cid] = Client(cid, node, self.count)
        self.say(self.clients[cid], f"LOGIN {self.pick(NAMES)}")

    def say(self, client: Client, *commands: str) -> None:
        self.log.append(f"{client.cid} {commands}")
        lines = "".join(f"CHAT/1.0 {line}\n" for line in commands)
        client.node.broker.receive(client.cid, lines.encode())

    def talk(self) -> None:
        client = self.pick(each for each in self.clients.values() if not each.over)
        if client is None:
            return
        lines = []
        for _ in range(1 + self.choose(4)):
            kind = self.choose(10)
            name, group = self.pick(NAMES), self.pick(GROUPS)
            if kind < 5:
                client.sent += 1
                client.sends += 1
                self.sends += 1
                size = self.choose(60) if self.choose(8) else self.choose(450)
                lines.append(f"SEND {name} {client.index}.{client.sent}.0 {'x' * size}")
            elif kind < 7:
                client.sent += 1
                lines.append(f"BROADCAST {group} {client.index}.{client.sent}.1")
            elif kind == 7:
                members = " ".join(dict.fromkeys(self.pick(NAMES) for _ in range(3)))
                lines.append(f"GROUP {group} {members}")
            elif kind == 8:
                lines.append(f"LEAVE {group}")
            else:
                request = self.pick(
                    ["on", "off", "list", f"members {group}", f"add {group} {name}"]
                )
                lines.append(f"SEND *groups* {request}")
        self.say(client, *lines)

    def rename(self) -> None:
        client = self.pick(each for each in self.clients.values() if not each.over)
        if client is not None:
            self.say(client, f"LOGIN {self.pick(NAMES)}")

    def operate(self) -> None:
        """Somebody who runs a node acts."""
        self.act(self.pick(self.nodes), self.pick(NAMES))

    def act(self, node: TestNode, name: str) -> None:
        """Use a node's desk, maybe because of what somebody called `name` has sent."""
        group = self.pick(GROUPS)
        desk = node.broker.desk
        kind = self.choose(9)
        self.log.append(f"operate {node.cluster.name} {kind} {name} {group}")
        # The group may not be there, or be full, or not have the member.
        with contextlib.suppress(LookupError, ValueError):
            if kind == 0:
                desk.kick(name, "enough")
            elif kind == 1:
                desk.tell(self.pick([name, f"#{group}"]), b"hello")
            elif kind == 2:
                desk.add_member(group, name)
            elif kind == 3:
                desk.remove_member(group, name)
            elif kind == 4:
                desk.ban(self.pick([name, "192.0.2.0/24"]), "for now")
            elif kind == 5:
                size = self.limits.queue_bytes // self.pick([1, 2])
                node.broker.reconfigure(limits=replace(self.limits, queue_bytes=size))
            else:
                for ban in desk.bans():
                    desk.unban(ban)

    def answer(self) -> None:
        self.answer_of(self.pick(self.nodes))

    def answer_of(self, node: TestNode) -> None:
        for question in node.broker.take_questions():
            node.broker.answer(question.token, allowed=bool(self.choose(8)))
        for asked in node.broker.take_hook_questions():
            verdict = None
            with contextlib.suppress(RuntimeError):
                verdict = self.hook(asked.said)
            node.broker.decide(asked.token, verdict or asked.said.event)
        node.broker.take_withdrawn_questions()

    def end_client(self) -> None:
        client = self.pick(each for each in self.clients.values() if not each.over)
        if client is None:
            return
        client.over = True
        if self.choose(2):
            self.say(client, "LOGOUT")
        else:
            client.node.broker.disconnect(client.cid)
            client.node.closed.add(client.cid)

    def stop_reading(self) -> None:
        client = self.pick(self.clients.values())
        if client is not None:
            client.reads = not client.reads

    def append(self) -> None:
        node = self.pick(self.nodes)
        self.append_of(node)

    def append_of(self, node: TestNode) -> None:
        if node.cut:
            return
        appends = node.cluster.take_appends()
        if self.faults and appends and not self.choose(30):
            # Redis refuses them, and takes the next ones before the node knows.
            self.log.append(f"refuse {node.cluster.name}")
            self.refused.append(node)
            return
        for to, entry in appends:
            self.store(to, entry)
        if node in self.refused and self.choose(2):
            self.refused.remove(node)
            node.cluster.set_connected(False)
            self.reconnect(node)

    def store(self, to: str | None, entry: bytes) -> None:
        if to is None:
            self.streams.ledger.append(entry)
        else:
            self.streams.mail[to].append(entry)

    def read(self) -> None:
        node = self.pick(self.nodes)
        self.read_of(node, 1 + self.choose(3), 1 + self.choose(3))

    def read_of(self, node: TestNode, entries: int, mails: int) -> None:
        if node.cut:
            return
        # Both are read at once, before anything of it is executed.
        box = node.cluster.name
        begin = node.mail_read[box]
        inbox = self.streams.mail[box][begin : begin + mails]
        node.mail_read[box] += len(inbox)
        if node.read < self.streams.trimmed:
            # Redis would skip what it has forgotten.
            self.rejoin(node)
            return
        for _ in range(entries):
            if node.read < len(self.streams.ledger):
                node.read += 1
                node.cluster.receive_ledger(self.streams.ledger[node.read - 1], str(node.read))
        for mail in inbox:
            node.cluster.receive_mail(mail)
        snapshot = node.cluster.take_snapshot()
        stored = self.streams.snapshot
        if snapshot is not None and node.epoch == self.streams.epoch:
            position = int(snapshot.id)
            if stored is None or stored[0] < position:
                self.streams.snapshot = position, snapshot.data
        # What is missing comes later: this node reads all that is there.
        node.cluster.doubts.clear()

    def write(self) -> None:
        self.write_of(self.pick(self.nodes))

    def write_of(self, node: TestNode) -> None:
        """Write to the clients that read."""
        for _ in range(100):
            ready = node.broker.take_ready()
            if not ready:
                break
            for cid in ready:
                self.flush(node, cid)
        for client in self.clients.values():
            if client.node is node and client.cid not in node.closed:
                self.flush(node, client.cid)

    def flush(self, node: TestNode, cid: str) -> None:
        broker = node.broker
        step = broker.next_step(cid)
        client = self.clients.get(cid)
        if step.write:
            size = len(step.write) if client is None or client.reads else 0
            node.output[cid] += step.write[:size]
            broker.sent(cid, size)
            step = broker.next_step(cid)
        if step.half_close:
            broker.half_closed(cid)
            node.closed.add(cid)
            step = broker.next_step(cid)
        if step.close:
            broker.disconnect(cid)
            node.closed.add(cid)
        if client is not None:
            self.check_output(client)
            client.over = client.over or cid in node.closed

    def tick(self, seconds: float = 0.1) -> None:
        self.now += seconds
        for node in self.nodes:
            node.broker.tick(self.now)

    def tick_long(self) -> None:
        for _ in range(1 + self.choose(60)):
            self.tick(0.5)
            for node in self.nodes:
                if self.choose(4):
                    self.append_of(node)
                    self.read_of(node, 1000, 1000)

    # Faults

    def cut(self) -> None:
        """Cut a node off from the streams, or let it reach them again."""
        node = self.pick(self.nodes)
        self.log.append(f"cut {node.cluster.name} {not node.cut}")
        if node.cut:
            node.cut = False
            self.reconnect(node)
        else:
            # What it appends last may arrive, in part, or later.
            appends = node.cluster.take_appends()
            for to, entry in appends[: self.choose(len(appends) + 1)]:
                self.store(to, entry)
            node.cut = True
            node.cluster.set_connected(False)

    def reconnect(self, node: TestNode) -> None:
        if (
            node.read > len(self.streams.ledger)
            or node.read < self.streams.trimmed
            or node.seen_cut > 0
            or node.epoch != self.streams.epoch
        ):
            self.rejoin(node)
        self.read_of(node, 10_000, 10_000)
        node.cluster.set_connected(True)

    def rejoin(self, node: TestNode) -> None:
        """The ledger does not hold what the node has read."""
        self.log.append(f"rejoin {node.cluster.name}")
        node.seen_cut = 0
        groups = node.cluster.lose_ledger()
        if self.streams.first is None:
            self.streams.snapshot = 0, groups
            self.streams.first = groups
        node.load()

    def lose_tail(self) -> None:
        """Redis loses what was appended last, and cuts everybody off."""
        if self.choose(4):
            return
        self.log.append("lose tail")
        keep = max(self.streams.trimmed, len(self.streams.ledger) - self.choose(5))
        if self.streams.snapshot is not None and self.streams.snapshot[0] > keep:
            keep = self.streams.snapshot[0]
        del self.streams.ledger[keep:]
        for box, mails in self.streams.mail.items():
            lost = self.choose(4)
            if lost:
                del mails[-lost:]
            for node in self.nodes:
                node.mail_read[box] = min(node.mail_read[box], len(mails))
        for node in self.nodes:
            node.seen_cut = max(node.seen_cut, node.read - keep)
            node.cluster.set_connected(False)
        for node in self.nodes:
            if not node.cut:
                self.reconnect(node)

    def lose_all(self) -> None:
        """Somebody empties Redis. The nodes notice one after another."""
        if self.choose(12):
            return
        self.log.append("lose all")
        self.streams.epoch += 1
        self.streams.ledger.clear()
        self.streams.mail.clear()
        self.streams.snapshot = self.streams.first = None
        self.streams.trimmed = 0
        for node in self.nodes:
            node.read = 0
            node.mail_read.clear()
            if not node.cut and self.choose(2):
                self.reconnect(node)

    def trim(self) -> None:
        """Redis forgets the entries that are in the snapshot, even unread ones."""
        if self.streams.snapshot is not None:
            self.streams.trimmed = max(self.streams.trimmed, self.streams.snapshot[0])

    def leave(self) -> None:
        """A node shuts down, and another one starts under its name."""
        if self.choose(4):
            return
        node = self.pick(self.draining or self.nodes)
        self.log.append(f"leave {node.cluster.name}")
        self.read_of(node, 10_000, 10_000)
        node.broker.drain()
        node.cluster.leave()
        for _ in range(20):
            self.tick()
            self.write_of(node)
            for each in self.nodes:
                self.append_of(each)
            for each in self.nodes:
                self.read_of(each, 1000, 1000)
            if node.cluster.left:
                break
        assert node.cluster.left or self.faults
        self.replace(node)

    def restart(self) -> None:
        """Kill a node, and start another one under its name."""
        if self.choose(3):
            return
        node = self.pick(self.nodes)
        self.log.append(f"kill {node.cluster.name}")
        self.replace(node)

    def replace(self, node: TestNode) -> None:
        """Start another node in the place of one that has ended."""
        for peer in self.insides(node).by_id.values():
            self.note_queued(node, peer)
        self.has_node_ended = True
        self.nodes.remove(node)
        self.draining = [each for each in self.draining if each is not node]
        for cid in [each.cid for each in self.clients.values() if each.node is node]:
            del self.clients[cid]
        self.start(node.cluster.name.partition("#")[0])

    # What has to hold

    def check_output(self, client: Client) -> None:
        """Each stream from one sender has its order, and no message twice."""
        output = client.node.output[client.cid]
        lines = bytes(output).decode().splitlines()
        output.clear()
        for line in lines:
            client.lines.append(line)
            text = line.removeprefix("CHAT/1.0 RECEIVE ")
            if text.startswith("*server* ERR"):
                words = text.split(" ")
                assert words[2] in [
                    "NO_SUCH_USER",
                    "NO_SUCH_GROUP",
                    "NOT_A_MEMBER",
                    "NAME_IN_USE",
                    "GROUP_EXISTS",
                    "TOO_MANY",
                    "UNAVAILABLE",
                    "NOT_LOGGED_IN",
                    "AUTH_FAILED",
                    "SHUTTING_DOWN",
                    "REFUSED",
                ], line
                client.refused += words[3] == "SEND" and words[4] != "*groups*"
                self.seen[words[2]] += 1
                continue
            found = NUMBERED.match(text)
            if found:
                sender, number = int(found[2]), int(found[3])
                last = client.last.get(sender, 0)
                assert number > last, f"{client.cid}: {number} after {last} of {sender}"
                client.last[sender] = number
                if found[4] == "0":
                    self.arrived.add((sender, number))

    def settle(self) -> None:
        """Let all be done."""
        for node in self.nodes:
            if node.cut or node.epoch != self.streams.epoch or node in self.refused:
                node.cut = False
                self.reconnect(node)
        self.faults, self.refused = False, []
        for client in self.clients.values():
            client.reads = True
        self.quiet_after = self.now + 3.0
        for _ in range(1000):
            if self.is_quiet():
                break
            self.tick(0.1)
            for node in self.nodes:
                self.answer_of(node)
                self.write_of(node)
                self.append_of(node)
            for node in self.nodes:
                self.read_of(node, 10_000, 10_000)
                self.write_of(node)

    def is_quiet(self) -> bool:
        """Whether nobody waits, and the nodes have said all."""
        if self.now < self.quiet_after:
            return False
        for node in self.nodes:
            dispatcher: Any = node.broker._dispatcher
            cluster: Any = node.cluster
            if any(peer.waiting.name != "NOTHING" for peer in dispatcher.by_id.values()):
                return False
            if (
                cluster._author.has_news
                or cluster._ending
                or any(node.cluster.snapshot().unacknowledged.values())
            ):
                return False
            if node.cluster.standing != "up" or node.read != len(self.streams.ledger):
                return False
        return True

    def check_settled(self) -> None:
        """Nothing is held, and all hubs are equal."""
        states = [describe(node) for node in (self.observer(), *self.nodes)]
        for state in states[1:]:
            assert state == states[0]
        for node in self.nodes:
            counters = node.cluster.snapshot()
            assert counters.standing == "up", node.cluster.refusal
            assert not counters.garbled
            assert not any(counters.unacknowledged.values()), counters.unacknowledged
            assert not node.broker.snapshot().waiting
            dispatcher: Any = node.broker._dispatcher
            for peer in dispatcher.by_id.values():
                assert peer.waiting.name == "NOTHING", peer.waiting
                assert not peer.queued_bytes
            cluster: Any = node.cluster
            assert not cluster._outcomes
            assert not cluster._waiting
            known = set(cluster._numbers)
            assert not cluster._ending
            assert known <= set(dispatcher.by_id.values())
            assert not any(each.holds for each in cluster._nodes.values())

    def observer(self) -> TestNode:
        """A node that has read the whole ledger, and has said nothing."""
        streams = Streams(ledger=list(self.streams.ledger))
        if self.streams.first:
            streams.snapshot = 0, self.streams.first
        return TestNode(streams, "observer", policy=self.policy, limits=self.limits, token="t")

    def check_nothing_lost(self) -> None:
        """Each SEND that a hook let pass has arrived somewhere, or its sender was told once.

        When a node ends, some are told although their messages have arrived just before. Senders
        that have ended were not told.
        """
        if self.are_sends_hooked:
            return
        arrived = Counter(sender for sender, _ in self.arrived)
        for client in self.clients.values():
            lost = client.sends - arrived[client.index]
            assert client.over or client.refused >= lost, (client.cid, client.refused, lost)
            assert self.has_node_ended or client.over or client.refused == lost, client.cid


def describe(node: TestNode) -> dict[str, Any]:
    """The state of a node's hub, in words that are the same on all nodes."""
    cluster: Any = node.cluster
    hub: ReplicatedHub = cluster._hub

    def cid(each: Any) -> str:
        if type(each) is Remote:
            return f"{each.node.name}:{int(each.number)}"
        return f"{cluster.name}:{cluster._numbers.get(each)}"

    makers = {
        name: cid(record.maker) if record.maker is not None else None
        for name, record in hub.table.records().items()
    }
    known = {name: tuple(map(cid, those)) for name, those in hub.registered.items()}
    return {
        "position": cluster._position,
        "names": known,
        "groups": {
            name: (record.creator, tuple(record.members), record.network)
            for name, record in hub.table.records().items()
        },
        "makers": makers,
        "order": hub.table.order(),
        "orders": hub.table.orders(),
        "labelled": sorted(map(cid, hub.labelled)),
        "nodes": {each.name: (each.applied, each.highest) for each in cluster._nodes.values()},
        "config": cluster._config,
        "entries": cluster._entries,
        "bans": sorted(node.broker.desk.bans()),
    }


def small_snapshots(monkeypatch: Any, entries: int) -> None:
    """Have a snapshot made after few entries."""
    monkeypatch.setattr(cluster_module, "SNAPSHOT_ENTRIES", entries)
