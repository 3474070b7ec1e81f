"""Two and three nodes of a cluster, against one server alone.

    .venv/bin/python benchmarks/run.py --only cluster

Redis, the nodes and the load share the machine's cores, so the CPU time for each message says more
than the rate. The messages of a load either stay on one node, or each of them crosses to another
one. How much memory a user at another node takes is measured without sockets: one process writes
the ledger of a node with that many users, and another one reads it. It needs redis-server or
valkey-server, a compiler, and Linux.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final, NamedTuple

from _load import built, run_load
from _redis import Redis, found
from _server import Server, use_all_descriptors
from _table import Row
from memory import resident

from chatproto import ChatBroker, Cluster

PART: Final = "cluster"
KIND: Final = "sync"
"""All kinds have the same driver."""
USERS: Final = 100_000
"""Users at another node, for the memory that one takes."""


class Load(NamedTuple):
    """A load, and what it may cost."""

    arguments: str
    deliveries: int
    times: float | None = None
    """Most CPU time of all processes for a message that crosses, in times of one server's."""
    redis: float | None = None
    """Most microseconds of Redis' CPU time for a message that crosses."""


LOADS: Final = {
    "100 pairs, one in flight": Load("-m pairs -c 100 -w 1", 200_000, 2.3, 3.0),
    "10 pairs, 100 in flight": Load("-m pairs -c 10 -w 100", 3_000_000, 3.0, 0.4),
    "group of 100, 10 in flight": Load("-m group -c 100 -w 10", 2_000_000),
}
ALONE: Final = Load("-m pairs -c 1 -w 1", 10_000)
"""One message at a time, for the time that a crossing takes."""
LOCAL: Final = 0.97
"""Least rate of messages that stay on their node, in times of one server's."""
CROSSING: Final = 500.0
"""Most microseconds that a message takes to another node, in the median."""
USER: Final = 400.0
"""Most bytes of memory for a user at another node."""


class Figures(NamedTuple):
    """The result of one load. CPU times are microseconds for each message."""

    rate: float
    p50: float
    nodes: float
    redis: float

    @property
    def cpu(self) -> float:
        """The CPU time of all processes."""
        return self.nodes + self.redis


def one_server(load: Load, share: int) -> Figures:
    """Run a load on one server without a cluster."""
    with Server(KIND) as server:
        return _run(load, share, [server], 1, None)


def together(nodes: int, used: int, load: Load, share: int) -> Figures:
    """Run a load on a cluster.

    Args:
        nodes: How many nodes there are.
        used: How many of them have clients. With two or more, all messages cross, except those of a
            group to members on the sender's node.
        load: The load.
        share: The part of its deliveries to do without.
    """
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis())
        url = f"redis://127.0.0.1:{redis.port}/benchmark"
        servers = [
            stack.enter_context(Server(KIND, ["--cluster", url, "--node", f"node{number}"]))
            for number in range(nodes)
        ]
        return _run(load, share, servers, used, redis)


def _run(load: Load, share: int, servers: list[Server], used: int, redis: Redis | None) -> Figures:
    def taken() -> tuple[float, float]:
        return sum(each.cpu() for each in servers), redis.cpu() if redis else 0.0

    ports = ",".join(str(each.address[1]) for each in servers[:used])
    arguments = [*load.arguments.split(), "-p", ports, "-n", str(load.deliveries // share)]
    before = taken()
    outcome = run_load(servers[0].address, arguments)
    nodes, of_redis = (
        (after - start) / outcome.deliveries * 1e6
        for after, start in zip(taken(), before, strict=True)
    )
    return Figures(outcome.rate, outcome.p50, nodes, of_redis)


LOCALLY: Final = "on one of two nodes"
ACROSS: Final = "across two nodes"
SCENES: Final[dict[str, Callable[[Load, int], Figures]]] = {
    "one server": one_server,
    LOCALLY: partial(together, 2, 1),
    ACROSS: partial(together, 2, 2),
    "across three nodes": partial(together, 3, 3),
}


def rows_of(name: str, load: Load, taken: dict[str, list[Figures]]) -> list[Row]:
    """The rows of one load."""
    rows: list[Row] = []
    alone, *clusters = taken.items()
    for scene, figures in clusters:
        local = scene == LOCALLY
        rows += [
            Row(
                part=PART,
                name=f"{name}, {scene}",
                unit="messages/s",
                values=[each.rate for each in figures],
                reference=[each.rate for each in alone[1]],
                floor=LOCAL if local else None,
                note=f"reference: {alone[0]}",
            ),
            Row(
                part=PART,
                name=f"{name}, {scene}, CPU time of all processes",
                unit="µs/message",
                values=[each.cpu for each in figures],
                reference=[each.cpu for each in alone[1]],
                note=f"reference: {alone[0]}",
            ),
        ]
        if local:
            continue
        if load.times is not None and scene == ACROSS:
            pairs = zip(figures, alone[1], strict=True)
            rows.append(
                Row(
                    part=PART,
                    name=f"{name}, {scene}, CPU time in times of {alone[0]}",
                    unit="times",
                    values=[each.cpu / other.cpu for each, other in pairs],
                    ceiling=load.times,
                )
            )
        rows.append(
            Row(
                part=PART,
                name=f"{name}, {scene}, CPU time of Redis",
                unit="µs/message",
                values=[each.redis for each in figures],
                ceiling=load.redis if scene == ACROSS else None,
            )
        )
    return rows


def write_ledger(users: int) -> None:
    """Write the ledger of a node to which so many users connect: each entry after its length."""
    cluster = Cluster("a", token="0" * 16)
    broker: ChatBroker[int] = ChatBroker(cluster=cluster)
    ids = count(1)

    def settle() -> None:
        while appends := cluster.take_appends():
            for _, entry in appends:
                cluster.receive_ledger(entry, f"{next(ids)}-0")
                sys.stdout.buffer.write(len(entry).to_bytes(4, "big") + entry)
        broker.take_outgoing()
        broker.take_log_events()

    broker.tick(0.0)
    cluster.load(None)
    cluster.set_connected(True)
    settle()
    for user in range(users):
        broker.connect(user, "somewhere")
        broker.receive(user, b"CHAT/1.0 LOGIN user%06d\n" % user)
        if user % 100 == 0:
            settle()
    settle()


def read_ledger() -> None:
    """Read a ledger from standard input, and print the bytes of memory that a user takes."""
    cluster = Cluster("b", token="1" * 16)
    broker: ChatBroker[int] = ChatBroker(cluster=cluster)
    broker.tick(0.0)
    cluster.load(None)
    before = resident()
    for number in count(1):
        size = sys.stdin.buffer.read(4)
        if not size:
            break
        entry = sys.stdin.buffer.read(int.from_bytes(size, "big"))
        cluster.receive_ledger(entry, f"{number}-0")
    print((resident() - before) / broker.snapshot().users)


def bytes_a_user(users: int) -> float:
    """The bytes of memory that a user at another node takes."""
    command = [sys.executable, __file__]
    with subprocess.Popen([*command, str(users)], stdout=subprocess.PIPE) as writer:
        output = subprocess.run(command, stdin=writer.stdout, stdout=subprocess.PIPE, check=True)
    return float(output.stdout)


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Measure all figures.

    Args:
        repeat: The number of results for each figure.
        quick: Whether to use a tenth of the load.
    """
    use_all_descriptors()
    share = 10 if quick else 1
    rows: list[Row] = []
    can_run = found() is not None and built("chatload") is not None
    for name, load in LOADS.items() if can_run else ():
        taken: dict[str, list[Figures]] = {scene: [] for scene in SCENES}
        for _ in range(repeat):
            for scene, take in SCENES.items():
                taken[scene].append(take(load, share))
        rows += rows_of(name, load, taken)
    if can_run:
        rounds = [(one_server(ALONE, share), together(2, 2, ALONE, share)) for _ in range(repeat)]
        rows.append(
            Row(
                part=PART,
                name="one pair, one in flight, across two nodes, p50",
                unit="µs",
                values=[across.p50 for _, across in rounds],
                reference=[alone.p50 for alone, _ in rounds],
                ceiling=CROSSING,
                note="reference: one server",
            )
        )
    rows.append(
        Row(
            part=PART,
            name=f"{USERS // share:,} users at another node",
            unit="bytes a user",
            values=[bytes_a_user(USERS // share) for _ in range(repeat)],
            ceiling=USER,
        )
    )
    return rows


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_ledger(int(sys.argv[1]))
    else:
        read_ledger()
