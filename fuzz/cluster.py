"""Hurts a cluster of three nodes in all ways that are known, while numbered messages cross it.

    .venv/bin/python -m fuzz.cluster [--minutes N] [--seed N] [--kind sync|asyncio|trio]
        [--only FAULT]... [--rounds N]

Each round lets one fault happen while pairs and groups chat across the nodes, and other clients
come and go. Then everything has to be well again: each stream flows, all nodes know the same
members of each group, and each message has arrived, or its sender was told that it was refused, or
one of the two connections has ended. A message that is missing, late or double is a finding. The
exit status is 1 then. It needs redis-server or valkey-server; the partition needs Linux, root and
`ip` too, and is left out with a word otherwise.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from .cluster_load import Client, Loop, Stream, Totals
from .cluster_processes import (
    CHAT_SIDE,
    REDIS_SIDE,
    Network,
    Node,
    Redis,
    free_port,
)
from .kills import COMMANDS, Finding

NODES: Final = ("a", "b", "c")
NODE_TIMEOUT: Final = 4.0
"""Seconds until the others take a node that they do not hear for ended."""
PATIENCE: Final = 2.0
"""Seconds until a node that does not hear itself refuses what it can't do."""
PAIRS: Final = 4
"""Pairs from each node to each other one, and within it."""
RATE: Final = 5.0
"""Messages a second of each pair: few enough that the server tells of each that is refused."""
RECOVERY: Final = 60.0
"""Seconds until everything has to be well again."""
CHURNING: Final = 6
"""Clients that come and go."""
NUMBERS: Final = count()


class World:
    """Redis, its replica, three nodes, and all clients.

    Args:
        folder: An empty folder.
        kind: One of `COMMANDS`.
        random: Decides.
        network: The network around the last node; None if there can be none.
    """

    def __init__(self, folder: Path, kind: str, random: Random, network: Network | None) -> None:
        self.random = random
        self.network = network
        self._folder = folder
        self._hosts = ("127.0.0.1",) if network is None else ("127.0.0.1", REDIS_SIDE)
        self.port = free_port()
        self.redis = self.new_redis(self.port)
        self.nodes = [self._node(name, kind) for name in NODES]
        self.loop = Loop(random)
        self.loop.keep = self._keep
        self.down: set[Node] = set()
        """The nodes that are not to be started again yet."""
        self._churn: list[Client] = []
        self._next_churn = 0.0
        self._asking = [Client(self.loop, f"ask{node.name}", node.address) for node in self.nodes]
        # Only a member can ask about a group.
        self._groups: dict[str, list[Client]] = {}

    def start(self) -> None:
        """Start everything, and wait until all are logged in and the groups are made."""
        self.redis.start()
        for node in self.nodes:
            node.keep()
        self._pairs()
        for name in ("tea", "chess"):
            self._groups[name] = [
                Client(self.loop, f"{name}{node.name}{number}", node.address)
                for node in self.nodes
                for number in range(3)
            ]
        self._await("not all clients could log in", self._all_ready)
        for name, members in self._groups.items():
            self._make_group(name, members)
        for _ in range(CHURNING):
            self._churn.append(self._churning())

    def end(self) -> None:
        """End everything."""
        self.loop.keep = lambda: None
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            node.signal(signal.SIGTERM)
        for node in self.nodes:
            node.end()
        self.redis.end()

    def new_redis(self, port: int) -> Redis:
        """A Redis with nothing in it, which is not started."""
        folder = self._folder / f"redis{next(NUMBERS)}"
        folder.mkdir()
        return Redis(folder, port, self._hosts)

    def run(self, seconds: float) -> None:
        """Let everything go on for some time."""
        self.loop.run(seconds)

    def check(self) -> None:
        """Wait until everything is well, and see that it is.

        Raises:
            Finding: It is not.
        """
        self._await("not all clients could log in again", self._all_ready)
        self.run(1.0)
        stuck = self.loop.settle(RECOVERY)
        if stuck:
            raise Finding(f"streams do not flow again: {stuck}")
        if not self.loop.totals.is_good:
            raise Finding(f"messages are missing, late or double: {self.loop.totals}")
        for group, members in self._groups.items():
            self._check_group(group, {each.name for each in members})
        for node in self.nodes:
            if "Traceback" in node.log():
                raise Finding(f"node {node.name} has logged:\n{node.log()[-4000:]}")

    def _node(self, name: str, kind: str) -> Node:
        apart = self.network is not None and name == NODES[-1]
        options = [
            *("--cluster", f"redis://{REDIS_SIDE if apart else '127.0.0.1'}:{self.port}/soak"),
            *("--node-timeout", str(NODE_TIMEOUT), "--patience", str(PATIENCE)),
            *("--log-lines", "100000000"),
        ]
        log = self._folder / f"{name}.log"
        if self.network is None or not apart:
            return Node(name, kind, options, log)
        return Node(name, kind, options, log, CHAT_SIDE, self.network.there)

    def _keep(self) -> None:
        for node in self.nodes:
            if node not in self.down:
                node.keep()
        now = time.monotonic()
        if now >= self._next_churn and self._churn:
            self._next_churn = now + 0.3
            self._change()

    def _pairs(self) -> None:
        loop, nodes = self.loop, self.nodes
        for number in range(PAIRS):
            for one in nodes:
                for other in nodes:
                    name = f"{one.name}{other.name}{number}"
                    sender = Client(loop, f"from-{name}", one.address)
                    recipient = Client(loop, f"to-{name}", other.address)
                    # The first pair of each two nodes floods.
                    rate, size = (0.0, 300) if number == 0 else (RATE, 0)
                    stream = Stream(sender, "SEND", recipient.name, [recipient], rate, size)
                    loop.streams.append(stream)

    def _make_group(self, name: str, members: Sequence[Client]) -> None:
        maker = self._asking[0]
        words = " ".join(each.name for each in (*members, *self._asking))
        maker.write(f"CHAT/1.0 GROUP {name} {words}\n".encode())
        self._check_group(name, {each.name for each in members})
        for sender in (members[0], members[-1]):
            others = [each for each in members if each is not sender]
            self.loop.streams.append(Stream(sender, "BROADCAST", name, others, RATE))

    def _check_group(self, group: str, members: set[str]) -> None:
        """See that all nodes know the same members of a group."""
        expected = members | {each.name for each in self._asking}
        head = f"CHAT/1.0 RECEIVE *groups* members {group} ".encode()
        for client in self._asking:
            found: set[str] = set()

            def answered(
                client: Client = client, head: bytes = head, found: set[str] = found
            ) -> bool:
                for line in client.lines:
                    if line.startswith(head):
                        found.update(line.removeprefix(head).decode().split())
                client.lines.clear()
                return found == expected

            client.lines.clear()
            end = time.monotonic() + RECOVERY
            while not answered() and time.monotonic() < end:
                client.write(f"CHAT/1.0 SEND *groups* members {group}\n".encode())
                self.loop.run_until(answered, 1.0)
            if found != expected:
                raise Finding(f"{client.name} knows {sorted(found)} in {group}")

    def _churning(self) -> Client:
        node = self.random.choice(self.nodes)
        return Client(self.loop, f"churn{next(NUMBERS) % (3 * CHURNING)}", node.address)

    def _change(self) -> None:
        """Let one of those that come and go do something."""
        random, at = self.random, self.random.randrange(len(self._churn))
        client = self._churn[at]
        match random.randrange(4):
            case 0:
                client.close()
                self.loop.clients.remove(client)
                # It may take a name that is in use, at the same node or at another one.
                self._churn[at] = self._churning()
            case 1:
                client.write(b"CHAT/1.0 LOGIN other%d\n" % random.randrange(5))
            case 2:
                group = random.randrange(20)
                client.write(b"CHAT/1.0 GROUP g%d %b x y\n" % (group, client.name.encode()))
            case _:
                client.write(b"CHAT/1.0 LEAVE g%d\n" % random.randrange(20))

    def _all_ready(self) -> bool:
        wanted = [each for each in self.loop.clients if each not in self._churn]
        return all(each.ready is not None for each in wanted)

    def _await(self, problem: str, done: Callable[[], bool]) -> None:
        if not self.loop.run_until(done, RECOVERY):
            late = [each.name for each in self.loop.clients if each.ready is None]
            logs = "".join(f"{node.name}:\n{node.log()[-1500:]}" for node in self.nodes)
            raise Finding(f"{problem}: {late}\n{logs}")


# Each fault lets the world go on meanwhile.


def nothing(world: World) -> None:
    """Nothing but the clients that come and go."""
    world.run(3.0)


def kill_node(world: World) -> None:
    """A node ends without a word, and is started again."""
    world.random.choice(world.nodes).signal(signal.SIGKILL)
    world.run(1.0)


def kill_node_for_long(world: World) -> None:
    """A node ends without a word, and the others notice before it is started again."""
    node = world.random.choice(world.nodes)
    world.down.add(node)
    node.signal(signal.SIGKILL)
    world.run(NODE_TIMEOUT + 2)
    world.down.clear()


def stop_node(world: World) -> None:
    """A node stands still for less than the node timeout."""
    _stop(world, world.random.choice(world.nodes), 2.0)


def stop_node_for_long(world: World) -> None:
    """A node stands still for so long that the others take it for ended."""
    _stop(world, world.random.choice(world.nodes), 2 * NODE_TIMEOUT)


def drain_node(world: World) -> None:
    """A node shuts down in order, and is started again."""
    world.random.choice(world.nodes).signal(signal.SIGTERM)
    world.run(3.0)


def kill_all(world: World) -> None:
    """All nodes end at once. The groups are in Redis."""
    for node in world.nodes:
        node.signal(signal.SIGKILL)
    world.run(2.0)


def kill_connections(world: World) -> None:
    """Redis closes all its connections, again and again."""
    for _ in range(15):
        world.redis.call("CLIENT", "KILL", "TYPE", "normal")
        world.run(0.2)


def stop_redis(world: World) -> None:
    """Redis stands still."""
    _stop(world, world.redis, 2.0)


def kill_redis_always(world: World) -> None:
    """Redis ends without a word; it has written everything to the disk."""
    _kill_redis(world, "always", 1.0)


def kill_redis_everysec(world: World) -> None:
    """Redis ends without a word; it writes to the disk each second."""
    _kill_redis(world, "everysec", 1.0)


def kill_redis_for_long(world: World) -> None:
    """Redis is away for so long that the nodes refuse what they can't do."""
    _kill_redis(world, "everysec", 9.0)


def fail_over(world: World) -> None:
    """A replica that lacks the last second takes the place of Redis."""
    replica = world.new_redis(free_port())
    replica.start()
    replica.follow(world.redis)
    world.run(1.0)
    replica.call("REPLICAOF", "NO", "ONE")
    # What comes now is lost.
    world.run(1.0)
    world.redis.end()
    world.run(0.5)
    replica.lead(world.port)
    world.redis = replica
    world.run(1.0)


def flush(world: World) -> None:
    """Redis loses everything."""
    world.redis.call("FLUSHALL")
    world.run(1.0)


def cut(world: World) -> None:
    """One node can't reach Redis for less than the node timeout."""
    _cut(world, 2.0)


def cut_for_long(world: World) -> None:
    """One node can't reach Redis for so long that the others take it for ended."""
    _cut(world, 3 * NODE_TIMEOUT)


def _stop(world: World, process: Node | Redis, seconds: float) -> None:
    process.signal(signal.SIGSTOP)
    world.run(seconds)
    process.signal(signal.SIGCONT)


def _kill_redis(world: World, fsync: str, away: float) -> None:
    world.redis.call("CONFIG", "SET", "appendfsync", fsync)
    world.run(0.5)
    world.redis.end()
    world.run(away)
    world.redis.start()


def _cut(world: World, seconds: float) -> None:
    if world.network is None:
        return
    world.network.cut()
    world.run(seconds)
    world.network.mend()


FAULTS: Final = {
    each.__name__.replace("_", "-"): each
    for each in (
        nothing,
        kill_node,
        kill_node_for_long,
        stop_node,
        stop_node_for_long,
        drain_node,
        kill_all,
        kill_connections,
        stop_redis,
        kill_redis_always,
        kill_redis_everysec,
        kill_redis_for_long,
        fail_over,
        flush,
        cut,
        cut_for_long,
    )
}
"""All faults."""


KILLS: Final = ("kill-node", "kill-node-for-long", "kill-all")
"""What a node that is killed has taken, but not written to its clients, is lost with it."""


def run(world: World, faults: Sequence[str], *, rounds: int = 0, seconds: float = 0.0) -> None:
    """Let faults happen, each once before one comes twice, and print what has come of each.

    Args:
        world: The world, which was started.
        faults: The names of the faults.
        rounds: How many; 0 for as many as fit.
        seconds: The time for them, if `rounds` is 0.

    Raises:
        Finding: Something is not as it has to be.
    """
    loop, end, left = world.loop, time.monotonic() + seconds, list[str]()
    number = 0
    while number < rounds if rounds else time.monotonic() < end:
        if not left:
            left = world.random.sample(faults, len(faults))
        number += 1
        fault = left.pop()
        before = loop.totals.since(Totals())
        loop.resume()
        world.run(1.0)
        FAULTS[fault](world)
        try:
            world.check()
        finally:
            totals = loop.totals.since(before)
            print(_line(fault, totals, loop.longest), flush=True)
        if totals.untold and fault not in KILLS:
            raise Finding(f"nobody was told of messages to who was away: {totals}")


def _line(what: str, totals: Totals, longest: float) -> str:
    codes = ", ".join(f"{code} {number}" for code, number in totals.codes.items())
    return (
        f"{what:<20} sent {totals.sent}, delivered {totals.delivered}, refused {totals.refused},"
        f" cut {totals.cut}, untold {totals.untold}, missing {totals.missing}, misordered"
        f" {totals.misordered}, doubled {totals.doubled}, contradicted {totals.contradicted};"
        f" connections lost {totals.closed}, longest pause {longest:.1f} s; {codes or 'no notices'}"
    )


@contextlib.contextmanager
def network_of(faults: Mapping[str, object]) -> Iterator[Network | None]:
    """The network, if one of the faults needs it and it can be had."""
    if not {"cut", "cut-for-long"} & faults.keys():
        yield None
        return
    network = Network()
    problem = network.make()
    if problem:
        print(f"left out: cut, cut-for-long: {problem}")
        yield None
        return
    try:
        yield network
    finally:
        network.remove()


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Hurt a cluster, and count its messages.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=0, help="this many faults instead")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kind", choices=COMMANDS, default="sync")
    parser.add_argument("--only", choices=FAULTS, action="append", help="only this fault")
    arguments = parser.parse_args()
    # So that nothing stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"seed {arguments.seed}")
    wanted = {name: FAULTS[name] for name in arguments.only or FAULTS}
    with (
        tempfile.TemporaryDirectory() as folder,
        network_of(wanted) as network,
    ):
        if network is None:
            wanted = {name: each for name, each in wanted.items() if not name.startswith("cut")}
        world = World(Path(folder), arguments.kind, Random(arguments.seed), network)
        start = time.monotonic()
        try:
            world.start()
            seconds = arguments.minutes * 60
            run(world, sorted(wanted), rounds=arguments.rounds, seconds=seconds)
        except Finding as finding:
            print(f"FOUND: {finding}")
            return 1
        finally:
            world.end()
            print(_line(f"{time.monotonic() - start:.0f} s", world.loop.totals, 0.0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
