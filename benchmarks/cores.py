"""Two server processes on one port, against one.

    .venv/bin/python benchmarks/run.py --only cores

The system distributes connections over both (SO_REUSEPORT), and each process knows only its own. A
pair reconnects until both of it are at the same process. So this shows what more cores can give if
no message goes from process to process. The load needs a core too: on two cores, three processes
share them, and the CPU time for each message says more than the rate. It needs a compiler, and
Linux.
"""

import contextlib
import socket
from functools import partial
from typing import Final, NamedTuple

from _load import built, run_load
from _server import Server, use_all_descriptors
from _table import Row

PART: Final = "cores"
KIND: Final = "sync"
"""All kinds have the same driver."""
LOADS: Final = {
    "ping-pong, 100 pairs": ("-m pairs -c 100 -w 1 -r", 120_000),
    "pipelined, 20 pairs": ("-m pairs -c 20 -w 100 -r", 2_000_000),
}


class Figures(NamedTuple):
    """The result of one load."""

    rate: float
    cpu: float
    """Microseconds of CPU time of all servers for each message."""


def together(processes: int, load: str, deliveries: int) -> Figures:
    """Run a load on so many processes on one port."""
    with contextlib.ExitStack() as stack:
        port = 0
        servers = []
        for _ in range(processes):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(1024)
            port = listener.getsockname()[1]
            servers.append(stack.enter_context(Server(KIND, inherits=listener)))
            # Otherwise this process would get connections too.
            listener.close()
        before = sum(server.cpu() for server in servers)
        outcome = run_load(servers[0].address, [*load.split(), "-n", str(deliveries)])
        used = sum(server.cpu() for server in servers) - before
        return Figures(outcome.rate, used / outcome.deliveries * 1e6)


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Measure all figures.

    Args:
        repeat: The number of results for each figure.
        quick: Whether to use a tenth of the load.
    """
    use_all_descriptors()
    rows: list[Row] = []
    for name, (load, deliveries) in LOADS.items() if built("chatload") else ():
        takes = [
            partial(together, number, load, deliveries // (10 if quick else 1)) for number in (1, 2)
        ]
        rounds = [[take() for take in takes] for _ in range(repeat)]
        one, two = ([each[at] for each in rounds] for at in (0, 1))
        rows += [
            Row(
                part=PART,
                name=f"{name}, two processes",
                unit="messages/s",
                values=[each.rate for each in two],
                reference=[each.rate for each in one],
                note="reference: one process",
            ),
            Row(
                part=PART,
                name=f"{name}, two processes, CPU time",
                unit="µs/message",
                values=[each.cpu for each in two],
                reference=[each.cpu for each in one],
                note="reference: one process",
            ),
        ]
    return rows
