"""Runs random worlds on two brokers, with the fast path and without, and judges what happens.

    .venv/bin/python -m fuzz.broker [--seed N] [--worlds N] [--seconds S]

Each world has a seed of its own: the first one that of the command line, each further one the next
number. After a failure it is made as small as possible and printed; `--seed` with the printed
number and `--worlds 1` run it again. The exit status is 1 then. With `fuzz.guided`, Atheris looks
for worlds that reach new code.
"""

import argparse
import contextlib
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import count, zip_longest
from math import inf
from random import Random
from types import FrameType
from typing import Final, NoReturn, TypeVar

from chatproto import ChatBroker, Limits
from fuzz.adapter import Adapter, Finding, Maker, Run
from fuzz.oracle import Oracle
from fuzz.worlds import Line, Say, Step, World, random_world

T = TypeVar("T")

LONGEST: Final = 20.0
"""Seconds of computing that a world may take."""
PATIENCE: Final = 30.0
"""Seconds to make a world smaller."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A world in which something is wrong."""

    seed: int
    world: World
    """The smallest one found."""
    finding: Finding

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}: {self.finding}", *self.world.describe()])


def examine(world: World, make: Maker = ChatBroker) -> Counter[str]:
    """Run a world on a broker with a fast path and on one without, and judge both.

    Args:
        world: What happens.
        make: Makes the brokers.

    Returns:
        How often each rule was applied.

    Raises:
        Finding: Something is wrong.
    """
    runs = run_both(world, make)
    checks: Counter[str] = Counter()
    for run in runs:
        oracle = Oracle(run)
        oracle.judge()
        checks += oracle.checks
    compare(*runs)
    checks["worlds"] += 1
    checks["worlds compared to their end"] += min(run.comparable for run in runs) == inf
    return checks


def run_both(world: World, make: Maker = ChatBroker) -> list[Run]:
    """Run a world on a broker with a fast path and on one without.

    Args:
        world: What happens.
        make: Makes the brokers.

    Raises:
        Finding: A broker has crashed, or has done something that is wrong in any world.
    """
    try:
        with watched():
            return [Adapter(world, make, fast_path=fast_path).run() for fast_path in (True, False)]
    except Finding:
        raise
    except Exception as error:
        raise Finding(f"crash ({type(error).__name__})", _place(error)) from error


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Interrupt what never ends, where the system can do that."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(_number: int, frame: FrameType | None) -> NoReturn:
        place = "" if frame is None else f" in {frame.f_code.co_name}:{frame.f_lineno}"
        raise Finding("hang", f"a world does not end{place}")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _place(error: Exception) -> str:
    """Where an error has come from."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{error} in {last.name}, {last.filename}:{last.lineno}"


def compare(fast: Run, general: Run) -> None:
    """Compare what can be seen of two brokers, until somebody had to wait for a turn.

    Raises:
        Finding: They differ.
    """
    end = min(fast.comparable, general.comparable)
    for cid, client in fast.clients.items():
        streams = [_streams(each.taken, end) for each in (client, general.clients[cid])]
        for wake in sorted({*streams[0], *streams[1]}):
            lines = (stream.get(wake, b"").split(b"\n") for stream in streams)
            for line, other in zip_longest(*lines):
                if line != other:
                    raise Finding("paths", f"wake-up {wake}: {cid} gets {line!r} or {other!r}")
    for wake, pair in enumerate(zip(fast.trace, general.trace, strict=False), 1):
        if wake < end and pair[0] != pair[1]:
            raise Finding("paths", f"wake-up {wake}: {pair[0]} or {pair[1]}")
    if end == inf and fast.counters != general.counters:
        raise Finding("paths", f"{fast.counters} or {general.counters}")


def _streams(taken: list[tuple[int, bytes]], end: float) -> dict[int, bytes]:
    """What was taken in each wake-up before some wake-up."""
    streams: dict[int, bytes] = {}
    for wake, piece in taken:
        if wake < end:
            streams[wake] = streams.get(wake, b"") + piece
    return streams


def smaller(world: World, finding: Finding, make: Maker) -> tuple[World, Finding]:
    """Leave out of a world what its failure does not need.

    Returns:
        The world, and what is wrong with it.
    """
    end = time.monotonic() + PATIENCE

    def fails(smaller_world: World) -> bool:
        nonlocal world, finding
        if time.monotonic() > end:
            return False
        try:
            examine(smaller_world, make)
        except Finding as found:
            if found.kind != finding.kind:
                return False
            world, finding = smaller_world, found
            return True
        return False

    def fails_with(at: int, step: Say, lines: list[Line]) -> bool:
        steps: list[Step] = list(world.steps)
        steps[at] = replace(step, lines=tuple(lines))
        return fails(replace(world, steps=tuple(steps)))

    before = None
    while before != world:
        before = world
        minimal(world.steps, lambda steps: fails(replace(world, steps=tuple(steps))))
        for at, step in enumerate(world.steps):
            if isinstance(step, Say):
                minimal(step.lines, partial(fails_with, at, step))
    fails(replace(world, restored=()))
    # A limit that others have to keep to comes behind them.
    for field in reversed(fields(Limits)):
        fails(replace(world, limits=_with_default(world.limits, field.name)))
    return world, finding


def _with_default(limits: Limits, name: str) -> Limits:
    """Limits with the default for one of them, if the others allow it."""
    try:
        return replace(limits, **{name: getattr(Limits(), name)})
    except ValueError:
        return limits


def minimal(items: tuple[T, ...], fails: Callable[[list[T]], bool]) -> list[T]:
    """Leave out items, many at once at first, as long as it still fails.

    Returns:
        What is left.
    """
    kept = list(items)
    size = len(kept)
    while size:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if fails(fewer):
                kept = fewer
            else:
                at += size
        size //= 2
    return kept


def failures(
    seeds: Iterator[int], make: Maker = ChatBroker, checks: Counter[str] | None = None
) -> Iterator[Failure]:
    """Run worlds, and make those smaller in which something is wrong.

    Args:
        seeds: Their seeds.
        make: Makes the brokers.
        checks: Where to count what was checked.
    """
    for seed in seeds:
        world = random_world(Random(seed))
        try:
            done = examine(world, make)
        except Finding as finding:
            yield Failure(seed, *smaller(world, finding, make))
        else:
            if checks is not None:
                checks += done


def main() -> int:
    """Run worlds as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, help="seed of the first world (default: the time)")
    parser.add_argument(
        "--worlds", type=int, help="stop after this many worlds (default: no limit)"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="stop after this many seconds (default: 60)"
    )
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    arguments = parser.parse_args()
    first = time.time_ns() // 1_000_000 if arguments.seed is None else arguments.seed
    start = time.monotonic()
    checks: Counter[str] = Counter()

    def seeds() -> Iterator[int]:
        for seed in (
            count(first) if arguments.worlds is None else range(first, first + arguments.worlds)
        ):
            if time.monotonic() - start > arguments.seconds:
                return
            yield seed

    failed = False
    for failure in failures(seeds(), checks=checks):
        failed = True
        print(failure, flush=True)
        if not arguments.keep_going:
            break
    took = time.monotonic() - start
    print(f"{checks['worlds']} worlds from seed {first} in {took:.1f} s")
    print(", ".join(f"{what}: {number}" for what, number in sorted(checks.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
