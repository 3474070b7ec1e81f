"""How long short work in this process takes, on a machine that others use too."""

import time
from collections.abc import Callable


def in_turns(repeat: int, *works: Callable[[], object], runs: int = 20) -> tuple[list[float], ...]:
    """Seconds for one run of each work, `repeat` times.

    Each is the shortest of a few runs, between which the other works have theirs: what else goes
    on in the machine makes a run longer, never shorter.
    """
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeat):
        tries: list[list[float]] = [[] for _ in works]
        for _ in range(runs):
            for work, times in zip(works, tries, strict=True):
                start = time.perf_counter()
                work()
                times.append(time.perf_counter() - start)
        for times, shortest in zip(tries, taken, strict=True):
            shortest.append(min(times))
    return tuple(taken)


def rates(number: int, times: list[float]) -> list[float]:
    """How many a second, when a run does so many."""
    return [number / each for each in times]
