"""All benchmarks in one command: a table with medians, spread and targets, and the same as JSON.

    .venv/bin/python benchmarks/run.py [--quick] [--repeat N] [--only PART]... [--json PATH]

The load is a program in C, which is built if there is a compiler. Other work on the machine changes
the figures. For Linux. The exit status is 1 when a target is missed.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Final, Protocol, cast

from _table import Row, as_json, machine, show

PARTS: Final = (
    "startup",
    "codec",
    "broker",
    "stages",
    "servers",
    "growth",
    "latency",
    "pieces",
    "memory",
    "cores",
    "cluster",
)


class Part(Protocol):
    """A module that measures something."""

    def measure(self, *, repeat: int, quick: bool) -> list[Row]:
        """Measure all its figures."""
        ...


def main() -> int:
    """Measure the parts that the command line names, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="use smaller loads")
    parser.add_argument(
        "--repeat", type=int, default=3, help="measure this many times (default: 3)"
    )
    parser.add_argument(
        "--only",
        choices=PARTS,
        action="append",
        metavar="PART",
        help=f"measure only one part: {', '.join(PARTS)}",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.only or PARTS:
        start = time.monotonic()
        part = cast(Part, importlib.import_module(name))
        rows += part.measure(repeat=arguments.repeat, quick=arguments.quick)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    print(*machine().values(), sep=", ")
    print(show(rows))
    if arguments.json is not None:
        arguments.json.write_text(as_json(rows), encoding="utf-8")
    return 1 if any(row.verdict in ("BELOW", "ABOVE") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
