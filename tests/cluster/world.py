"""Nodes of a cluster in one process, with streams in memory in place of Redis."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from chatproto import ChatBroker, Hooks, Limits, Policy
from chatproto.cluster.cluster import Cluster
from chatproto.wire.events import Command

NO_HOOKS: Hooks = {}


@dataclass
class Streams:
    """The ledger and the mailboxes: lists, of which nothing is ever removed."""

    ledger: list[bytes] = field(default_factory=list)
    mail: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    snapshot: tuple[int, bytes] | None = None
    # The snapshot that the ledger began with, if it did not begin empty.
    first: bytes | None = None
    # How many entries a real ledger would not have any more; how often all was lost.
    trimmed: int = 0
    epoch: int = 0


class TestNode:
    """One node: a broker, and what an adapter would do for it."""

    __test__ = False

    def __init__(
        self,
        streams: Streams,
        name: str,
        *,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        fast_path: bool = True,
        token: str = "t",
        hooks: Hooks = NO_HOOKS,
        ask: bool = False,
        ask_hooks: Collection[type[Command]] = (),
    ) -> None:
        self.streams = streams
        self.cluster = Cluster(name, token=token)
        self.broker: ChatBroker[str] = ChatBroker(
            policy=policy,
            limits=limits,
            cluster=self.cluster,
            fast_path=fast_path,
            hooks=hooks,
            ask=ask,
            ask_hooks=ask_hooks,
        )
        self.broker.tick(0.0)
        self.read = 0
        self.epoch = streams.epoch
        self.mail_read: defaultdict[str, int] = defaultdict(int)
        self.cut = False
        # How much of what it has read the ledger has lost.
        self.seen_cut = 0
        self.output: defaultdict[str, bytearray] = defaultdict(bytearray)
        self.closed: set[str] = set()
        # The clients that do not read.
        self.slow: set[str] = set()
        self.stopped: set[str] = set()
        self.load()

    def load(self) -> None:
        """Begin with what is stored."""
        snapshot = self.streams.snapshot
        self.epoch = self.streams.epoch
        self.read = 0 if snapshot is None else snapshot[0]
        self.cluster.load(None if snapshot is None else snapshot[1])
        self.hear()
        self.cluster.set_connected(True)

    def say(self) -> None:
        """Append what there is to append."""
        if self.cut:
            return
        for node, entry in self.cluster.take_appends():
            if node is None:
                self.streams.ledger.append(entry)
            else:
                self.streams.mail[node].append(entry)

    def hear(self) -> None:
        """Read what is new in the streams."""
        self.hear_ledger()
        self.hear_mail()
        snapshot = self.cluster.take_snapshot()
        if snapshot is not None:
            self.streams.snapshot = int(snapshot.id), snapshot.data

    def hear_ledger(self) -> None:
        while not self.cut and self.read < len(self.streams.ledger):
            self.read += 1
            self.cluster.receive_ledger(self.streams.ledger[self.read - 1], str(self.read))

    def hear_mail(self) -> None:
        box = self.cluster.name
        while not self.cut and self.mail_read[box] < len(self.streams.mail[box]):
            self.mail_read[box] += 1
            self.cluster.receive_mail(self.streams.mail[box][self.mail_read[box] - 1])
            self.settle()

    def settle(self) -> None:
        """Write to the clients."""
        while ready := [*self.broker.take_ready(), *self.waiting()]:
            for cid in ready:
                step = self.broker.next_step(cid)
                if step.write and cid in self.slow:
                    self.broker.sent(cid, 0)
                    self.stopped.add(cid)
                    continue
                while step.write:
                    self.output[cid] += step.write
                    self.broker.sent(cid, len(step.write))
                    step = self.broker.next_step(cid)
                if step.half_close:
                    self.broker.half_closed(cid)
                    step = self.broker.next_step(cid)
                    self.closed.add(cid)
                if step.close:
                    self.broker.disconnect(cid)
                    self.closed.add(cid)

    def waiting(self) -> list[str]:
        """The clients that read again, and for whom something is left."""
        ready = [cid for cid in self.stopped if cid not in self.slow]
        self.stopped = self.stopped & self.slow
        return ready

    def connect(self, cid: str, address: str = "") -> None:
        self.broker.connect(cid, cid, address=address)

    def take(self, cid: str) -> list[str]:
        """The lines that a client has received since the last call."""
        lines = bytes(self.output[cid]).decode().splitlines()
        self.output[cid].clear()
        return [line.removeprefix("CHAT/1.0 RECEIVE ") for line in lines]


class World:
    """Several nodes and their streams."""

    def __init__(
        self,
        *names: str,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        fast_path: bool = True,
    ) -> None:
        self.streams = Streams()
        self.now = 0.0
        self.nodes: dict[str, TestNode] = {}
        for name in names:
            self.add(name, policy=policy, limits=limits, fast_path=fast_path)

    def add(
        self,
        name: str,
        *,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        fast_path: bool = True,
        hooks: Hooks = NO_HOOKS,
    ) -> TestNode:
        """Start a node."""
        node = TestNode(
            self.streams,
            name,
            policy=policy,
            limits=limits,
            fast_path=fast_path,
            token="t",
            hooks=hooks,
        )
        self.nodes[name] = node
        node.broker.tick(self.now)
        self.run()
        return node

    def run(self, rounds: int = 8) -> None:
        """Let all nodes write and read until they are quiet."""
        for _ in range(rounds):
            for node in self.nodes.values():
                node.settle()
                node.say()
            for node in self.nodes.values():
                node.hear()
                node.settle()

    def tick(self, seconds: float = 0.1, times: int = 1) -> None:
        for _ in range(times):
            self.now += seconds
            for node in self.nodes.values():
                node.broker.tick(self.now)
            self.run(3)

    def client(self, node: str, name: str) -> str:
        """Log a client in; its id is its name."""
        self.nodes[node].connect(name)
        self.do(node, name, f"LOGIN {name}")
        return name

    def do(self, node: str, cid: str, *lines: str) -> None:
        """Have a client send lines."""
        data = "".join(f"CHAT/1.0 {line}\n" for line in lines).encode()
        self.nodes[node].broker.receive(cid, data)
        self.run()

    def take(self, node: str, cid: str) -> list[str]:
        return self.nodes[node].take(cid)
