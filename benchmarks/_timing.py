"""Measures how long short work in this process takes, on a machine that does other work too."""

import time
from collections.abc import Callable


def in_turns(repeat: int, *works: Callable[[], object], runs: int = 20) -> tuple[list[float], ...]:
    """Measure the seconds that one run of each work takes.

    Each result is the shortest of several runs, because other work on the machine makes a run only
    longer. The works run in turns.

    Args:
        repeat: The number of results for each work.
        works: The works.
        runs: The number of runs for each result.
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
    """The rates a second of runs that do something `number` times."""
    return [number / each for each in times]
