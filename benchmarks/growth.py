"""How cost grows with connections, members of a group, the length of lines, and groups.

    .venv/bin/python benchmarks/growth.py

Each curve is a load over loopback on `chatproto serve`, on asyncio with default settings, at
several sizes. Each size has its own server, and they take turns, so that other work on the machine
affects all of them equally. Mostly, each sender has one message on its way. With more, chance
decides how many of them a server reads at once, and that changes the figures more than the size
does. `plots.py` draws the curves. For Linux (`/proc`).
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from _load import note, run_load
from _server import Server, use_all_descriptors
from _table import Row, show

SECONDS: Final = 1.0
"""The duration of a load, roughly."""
TRIAL: Final = 20_000
"""Deliveries of a trial, which shows how many deliveries take so long."""
PAIRS: Final = 5
"""Pairs that chat while others are idle."""
MEMBERS: Final = 10
"""Members of the group that chats while there are other groups."""
LEAST: Final = 0.8
"""For a flat curve: the lower bound for each rate, as a part of that at the smallest size."""


class Curve(NamedTuple):
    """A figure that depends on a size."""

    name: str
    """What the load does."""
    file: str
    """The name of its drawing."""
    what: str
    """What the size counts."""
    sizes: tuple[int, ...]
    load: Callable[[int], str]
    """The arguments of the load for a size."""
    unit: str = "messages/s"
    flat: bool = False
    """Whether the size should make no difference."""
    proportional: bool = False
    """Whether the figure should grow with the size."""
    length: Callable[[int], int] | None = None
    """The bytes of a delivery, if the figure is in MB a second."""
    groups: bool = False
    """Whether the size is a number of idle groups."""
    options: tuple[str, ...] = ()
    """Options of the server."""

    def point(self, size: int) -> str:
        """The name of the row for a size."""
        return f"{self.name}: {size:,} {self.what}"


CONNECTIONS: Final = (10, 100, 1000, 3000, 6000, 10_000, 15_000)
LENGTHS: Final = (10, 30, 100, 300, 1000, 2000, 4000)

CURVES: Final = (
    Curve(
        name=f"{PAIRS} pairs talk, the others are idle",
        file="idle",
        what="connections",
        sizes=CONNECTIONS,
        load=lambda size: f"-m pairs -c {PAIRS} -w 1 -i {size - 2 * PAIRS}",
        flat=True,
    ),
    Curve(
        name="everybody talks, one message at a time",
        file="busy",
        what="connections",
        sizes=CONNECTIONS,
        load=lambda size: f"-m pairs -c {size // 2} -w 1",
    ),
    Curve(
        name="one group",
        file="members",
        what="members",
        sizes=(2, 5, 20, 100, 500, 2000, 5000),
        load=lambda size: f"-m group -c {size - 1} -w 1",
        unit="deliveries/s",
        # The line that makes a group names all its members.
        options=("--max-line=65536",),
    ),
    Curve(
        name=f"{PAIRS} pairs, ten messages at a time",
        file="length",
        what="bytes of data in a message",
        sizes=LENGTHS,
        load=lambda size: f"-m pairs -c {PAIRS} -w 10 -s {size}",
    ),
    Curve(
        name="fan-out in a group of 100",
        file="fan-out",
        what="bytes of data in a message",
        sizes=LENGTHS,
        load=lambda size: f"-m group -c 99 -w 1 -s {size}",
        unit="MB/s",
        proportional=True,
        length=lambda size: len(f"CHAT/1.0 RECEIVE u0 {size * ' '}\n"),
    ),
    Curve(
        name=f"a group of {MEMBERS} among others",
        file="groups",
        what="groups",
        sizes=(1, 10, 100, 1000, 10_000, 100_000),
        load=lambda _: f"-m group -c {MEMBERS - 1} -w 1",
        unit="deliveries/s",
        flat=True,
        groups=True,
    ),
)


@contextlib.contextmanager
def server_for(curve: Curve, size: int) -> Iterator[Server]:
    """A server for one point of a curve."""
    with Server("asyncio", curve.options) as server:
        if curve.groups:
            make_groups(server, size - 1)
        yield server


def make_groups(server: Server, number: int) -> None:
    """Make groups, which outlive the connections that have made them."""
    each = 1000  # The most that one connection may make.
    for first in range(0, number, each):
        with server.log_in("maker") as sock:
            groups = range(first, min(first + each, number))
            lines = [f"CHAT/1.0 GROUP idle{at} a b c\n" for at in groups]
            sock.sendall("".join([*lines, "CHAT/1.0 SEND maker made\n"]).encode())
            answer = sock.recv(65536)
            if answer != b"CHAT/1.0 RECEIVE maker made\n":
                raise RuntimeError(f"the groups are not made: {answer!r}")
        wait_until_idle(server)


def wait_until_idle(server: Server) -> None:
    """Wait until a server has closed the connections of clients that have left."""
    deadline = time.monotonic() + 60
    while server.descriptors() > server.idle_descriptors:
        if time.monotonic() > deadline:
            raise TimeoutError("the server does not close connections whose clients have left")
        time.sleep(0.01)


def rate(server: Server, arguments: str, deliveries: int) -> float:
    """Run a load, and return the deliveries a second."""
    outcome = run_load(server.address, [*arguments.split(), "-n", str(deliveries)])
    wait_until_idle(server)
    return outcome.rate


def curve_rows(curve: Curve, sizes: tuple[int, ...], repeat: int, seconds: float) -> list[Row]:
    """The rows of a curve, one for each point."""
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    with contextlib.ExitStack() as stack:
        servers = {size: stack.enter_context(server_for(curve, size)) for size in sizes}
        number: dict[int, int] = {}
        for size, server in servers.items():
            tried = rate(server, curve.load(size), TRIAL)
            number[size] = max(TRIAL, int(tried * seconds))
        for _ in range(repeat):
            for size, server in servers.items():
                rates[size].append(rate(server, curve.load(size), number[size]))
    for server in servers.values():
        if server.status != 0:
            raise RuntimeError(f"a server ended with status {server.status}: {server.problems}")
    if curve.length is not None:
        for size, taken in rates.items():
            taken[:] = [each * curve.length(size) / 1e6 for each in taken]
    smallest = rates[sizes[0]]
    return [
        Row(
            part="growth",
            name=curve.point(size),
            unit=curve.unit,
            values=taken,
            reference=smallest if curve.flat and size > sizes[0] else None,
            floor=LEAST if curve.flat and size > sizes[0] else None,
            note=f"against {sizes[0]}" if curve.flat and size > sizes[0] else note(),
        )
        for size, taken in rates.items()
    ]


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """All curves; with a third of the points and shorter loads if `quick`."""
    use_all_descriptors()
    rows: list[Row] = []
    for curve in CURVES:
        sizes = curve.sizes[:: 3 if quick else 1]
        rows += curve_rows(curve, sizes, repeat, SECONDS / 4 if quick else SECONDS)
    return rows


if __name__ == "__main__":
    print(show(measure(repeat=3, quick=False)))
