"""How long a message takes while others flood the server, and how long one connection can block it.

    .venv/bin/python benchmarks/run.py --only latency

Ten pairs play ping-pong: alone; beside a flooder with a thousand SENDs on their way and a
broadcaster that floods a group of 500; and beside one connection that writes chunks of 64 KiB of
lines that cost the server work and deliver nothing. On two cores, the load takes one of them. The
longest round of a broker with one flooder and with a hundred is measured in this process, in CPU
time, which does not depend on other work on the machine.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from _load import Load, Outcome, built, note
from _server import COMMANDS, LIMIT, Server, use_all_descriptors
from _table import Row

from chatproto import ChatBroker

PART: Final = "latency"
PAIRS: Final = "-m pairs -c 10 -w 1"
FLOODER: Final = "-m pairs -c 1 -w 1000 -u f"
BROADCASTER: Final = "-m group -c 500 -w 10 -u b"
FOREVER: Final = "1000000000000"
BEGUN: Final = 1.5
"""Seconds after which the floods have surely begun."""

CHUNK: Final = 1 << 16
CHUNKS: Final = 5
"""Chunks of each flooder."""
CROWD: Final = 100
"""Connections that flood at the same time."""
# Not only bad lines: a hundred in a row close the connection.
BAD: Final = b"CHAT/1.0 NONSENSE\n" * 90 + b"CHAT/1.0 LEAVE nowhere\n"
GROUP: Final = b"".join(b"CHAT/1.0 GROUP g%d flood a b c d\n" % at for at in range(100))
LEAVE: Final = b"CHAT/1.0 GROUP g flood\nCHAT/1.0 LEAVE g\n"
WASTE: Final = {"bad lines": BAD, "GROUP lines": GROUP, "GROUP and LEAVE lines": LEAVE}
"""Lines that cost the server work and deliver nothing."""

Taken = dict[str, list[list[Outcome]]]
"""For each kind of server, the results: each time those of the pairs, then those of the others."""


def timed(server: Server, load: str, seconds: float) -> Load:
    """A load that ends after some seconds, not after some messages."""
    return Load(server.address, [*load.split(), "-n", FOREVER, "-t", str(seconds)])


def alone(kind: str, seconds: float) -> list[Outcome]:
    """The result of the pairs without other load."""
    with Server(kind) as server:
        return [timed(server, PAIRS, seconds).outcome()]


def crowded(kind: str, seconds: float) -> list[Outcome]:
    """The results of the pairs, the flooder and the broadcaster."""
    with Server(kind) as server:
        others = [timed(server, load, seconds + 2 * BEGUN) for load in (FLOODER, BROADCASTER)]
        time.sleep(BEGUN)
        outcome = timed(server, PAIRS, seconds).outcome()
        return [outcome, *(other.outcome() for other in others)]


def wasteful(lines: bytes, kind: str, seconds: float) -> list[Outcome]:
    """The result of the pairs while one connection wastes the server's time."""
    with Server(kind) as server, wasting(server, lines):
        time.sleep(BEGUN)
        return [timed(server, PAIRS, seconds).outcome()]


@contextlib.contextmanager
def wasting(server: Server, lines: bytes) -> Iterator[None]:
    """Write lines in one thread, and read the answers in another one, during the context."""
    chunk = memoryview(lines * (CHUNK // len(lines)))
    done = threading.Event()
    with server.log_in("flood") as sock, ThreadPoolExecutor(2) as pool:
        # So that both threads look at `done` from time to time.
        sock.settimeout(0.2)

        def write() -> None:
            waiting = chunk
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    waiting = waiting[sock.send(waiting) :] or chunk

        def read() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(CHUNK):
                        raise ConnectionError("the server has closed the connection")

        futures = [pool.submit(write), pool.submit(read)]
        try:
            yield
        finally:
            done.set()
            for future in futures:
                future.result()


def longest_round(lines: bytes, flooders: int) -> float:
    """The longest round of a broker in milliseconds of CPU time."""
    broker: ChatBroker[int] = ChatBroker()
    broker.tick(0.0)
    for cid in range(flooders):
        broker.connect(cid, "somewhere")
        broker.receive(cid, b"CHAT/1.0 LOGIN flood%d\n" % cid)
    received = [(cid, lines * (CHUNK // len(lines))) for cid in range(flooders)]
    longest = 0.0
    for _ in range(CHUNKS):
        work = partial(broker.receive_all, received)
        while True:
            start = time.thread_time()
            work()
            longest = max(longest, time.thread_time() - start)
            broker.sent_all([(cid, len(data)) for cid, data in broker.take_outgoing()])
            broker.take_log_events()
            if not broker.busy:
                break
            work = partial(broker.tick, 0.0)
    if not broker.next_step(0).read:
        raise RuntimeError("the broker closes the connection")
    return longest * 1000


def rows_of(name: str, taken: Taken, quiet: Taken | None) -> list[Row]:
    """The rows of one scene: latencies of the pairs, with those alone as reference, and rates."""
    rows: list[Row] = []
    for kind, rounds in taken.items():
        pairs, *others = zip(*rounds, strict=True)
        for key, label in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")):
            reference = [getattr(each[0], key) for each in quiet[kind]] if quiet else None
            rows.append(
                Row(
                    part=PART,
                    name=f"{name}, {kind}, {label}",
                    unit="µs",
                    values=[getattr(each, key) for each in pairs],
                    reference=reference,
                    note=note() or ("reference: alone" if quiet else ""),
                )
            )
        rows += [
            Row(
                part=PART,
                name=f"{who}, {kind}",
                unit="messages/s",
                values=[each.rate for each in outcomes],
                note=note(),
            )
            for who, outcomes in zip(("the flooder", "the broadcaster"), others, strict=False)
        ]
    return rows


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Measure all figures.

    Args:
        repeat: The number of results for each figure.
        quick: Whether to use a third of the time.
    """
    use_all_descriptors()
    seconds = 1.0 if quick else 3.0
    known = [*COMMANDS, LIMIT] if built(LIMIT) else list(COMMANDS)
    scenes: dict[str, tuple[list[str], Callable[[str, float], list[Outcome]]]] = {
        "ping-pong alone": (known, alone),
        "beside a flooder and a broadcaster": (known, crowded),
    }
    for what, lines in WASTE.items():
        # `limit` ignores these lines.
        scenes[f"beside a flood of {what}"] = [*COMMANDS], partial(wasteful, lines)
    taken: dict[str, Taken] = {
        name: {kind: [] for kind in kinds} for name, (kinds, _) in scenes.items()
    }
    for _ in range(repeat):
        for name, (kinds, take) in scenes.items():
            for kind in kinds:
                taken[name][kind].append(take(kind, seconds))
    rows: list[Row] = []
    quiet: Taken | None = None
    for name, by_kind in taken.items():
        rows += rows_of(name, by_kind, quiet)
        quiet = quiet or by_kind
    for what, lines in WASTE.items():
        for flooders in (1, CROWD):
            values = [longest_round(lines, flooders) for _ in range(repeat)]
            name = f"longest round with {flooders} flooding {what}"
            rows.append(Row(part=PART, name=name, unit="ms of CPU", values=values))
    return rows
