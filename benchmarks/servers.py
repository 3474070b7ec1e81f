"""The servers with default settings against `limit`, a minimal server in C, over loopback.

    .venv/bin/python benchmarks/run.py --only servers

Each figure is from a new server, in another process than the load. All kinds of servers take turns.
Then each server is compared with itself, with idle connections and without. The last figure is the
memory of idle connections.
"""

import contextlib
import resource
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from _load import built, note, run_load
from _server import COMMANDS, LIMIT, Server, use_all_descriptors
from _table import Row

PART: Final = "servers"
IDLE: Final = 9000
"""Idle connections."""


class Work(NamedTuple):
    """One load on a server."""

    name: str
    load: str
    """The arguments of `chatload`, without the number of deliveries."""
    deliveries: int
    floor: float
    """The lower bound for the rate, as a part of that of `limit`."""


WORKS: Final = (
    Work("ping-pong, 1 pair", "-m pairs -c 1 -w 1", 15_000, 0.90),
    Work("ping-pong, 100 pairs", "-m pairs -c 100 -w 1", 60_000, 0.75),
    Work("pipelined, 10 pairs", "-m pairs -c 10 -w 100", 300_000, 0.25),
    Work("group of 100", "-m group -c 100 -w 10", 300_000, 0.75),
    Work("group of 500, one at a time", "-m group -c 500 -w 1", 200_000, 0.55),
)


def rate(kind: str, load: str, deliveries: int) -> float:
    """The messages that a new server delivers a second."""
    with Server(kind) as server:
        return run_load(server.address, [*load.split(), "-n", str(deliveries)]).rate


def memory(kind: str, idle: int) -> float:
    """The kilobytes that each of many idle connections takes."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(kind))
        # The first connections cost more.
        for number in range(100):
            stack.enter_context(server.log_in(f"first{number}"))
        before = server.memory()
        for number in range(idle):
            stack.enter_context(server.log_in(f"idle{number}"))
        return (server.memory() - before) / idle / 1000


def in_turns(repeat: int, *takes: Callable[[], float]) -> list[list[float]]:
    """Measure several figures in turns, and return the results of each."""
    rounds = [[take() for take in takes] for _ in range(repeat)]
    return [list(column) for column in zip(*rounds, strict=True)]


def idle_connections(quick: bool) -> int:
    """The number of idle connections that there are descriptors for."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some descriptors are for everything else.
    return min(IDLE // 10 if quick else IDLE, most - 300)


def against_limit(
    name: str,
    unit: str,
    take: Callable[[str], float],
    repeat: int,
    *,
    floor: float | None = None,
    ceiling: float | None = None,
) -> list[Row]:
    """The rows of one figure of each kind of server, with `limit` as reference if it is built."""
    known = [LIMIT] if built(LIMIT) else []
    figures = in_turns(repeat, *(partial(take, kind) for kind in (*known, *COMMANDS)))
    reference = figures.pop(0) if known else None
    return [
        Row(
            part=PART,
            name=f"{name}, {kind}",
            unit=unit,
            values=values,
            reference=reference,
            floor=floor if known else None,
            ceiling=ceiling,
            note="reference: limit" if known else note(),
        )
        for kind, values in zip(COMMANDS, figures, strict=True)
    ]


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Measure all figures.

    Args:
        repeat: The number of results for each figure.
        quick: Whether to use a tenth of the load.
    """
    use_all_descriptors()
    rows: list[Row] = []
    part = 10 if quick else 1
    for work in WORKS:
        take = partial(rate, load=work.load, deliveries=work.deliveries // part)
        rows += against_limit(work.name, "messages/s", take, repeat, floor=work.floor)
    idle = idle_connections(quick)
    pipelined = WORKS[2].load
    for kind in COMMANDS:
        values, reference = in_turns(
            repeat,
            partial(rate, kind, f"{pipelined} -i {idle}", 200_000 // part),
            partial(rate, kind, pipelined, 200_000 // part),
        )
        rows.append(
            Row(
                part=PART,
                name=f"pipelined beside {idle:,} idle, {kind}",
                unit="messages/s",
                values=values,
                reference=reference,
                floor=0.9,
                note=note() or "reference: itself without them",
            )
        )
    take = partial(memory, idle=idle)
    rows += against_limit(f"memory of {idle:,} idle", "kB each", take, repeat, ceiling=3.0)
    return rows
