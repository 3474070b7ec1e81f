"""How much CPU time it takes to generate 100 examples of each strategy in `chatproto.testing`.

    .venv/bin/python benchmarks/strategies.py

The examples are generated as for a test, and nothing is done with them. The exit status is 1 when a
strategy takes more than a second.
"""

import inspect
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from _table import Row, machine, show
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from chatproto import testing
from chatproto.testing import strategies

EXAMPLES: Final = 100
REPEAT: Final = 3
CEILING: Final = 1.0
"""Seconds of CPU time for the examples of one strategy."""


def makers() -> dict[str, Callable[[], SearchStrategy[Any]]]:
    """The strategies by name, and streams in pieces."""
    found: dict[str, Callable[[], SearchStrategy[Any]]] = {
        name: getattr(testing, name)
        for name in strategies.__all__
        if inspect.isfunction(getattr(testing, name)) and name != "chunkings"
    }
    found["streams in chunkings"] = lambda: testing.streams().flatmap(testing.chunkings)
    return found


def seconds(make: Callable[[], SearchStrategy[Any]], number: int) -> float:
    """The CPU time that the examples of a strategy take, the strategy itself included.

    Args:
        make: Returns the strategy.
        number: Which examples.
    """
    start = time.process_time()

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(make())
    def use(_: object) -> None:
        pass

    use()
    return time.process_time() - start


def main() -> int:
    """Measure all strategies, and print the table."""
    seconds(testing.names, 0)  # Hypothesis loads its tables once.
    rows = [
        Row(
            part="strategies",
            name=f"{EXAMPLES} of {name}",
            unit="s of CPU",
            values=[seconds(make, number) for number in range(REPEAT)],
            ceiling=CEILING,
        )
        for name, make in makers().items()
    ]
    print(*machine().values(), sep=", ")
    print(show(rows))
    return 1 if any(row.verdict == "ABOVE" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
