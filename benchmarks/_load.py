"""The load on servers, and `limit`, the server in C to compare them with; built where possible."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent
GIVEN_UP: Final = 1
"""What a load ends with when not all has arrived in time."""


@cache
def built(name: str) -> str | None:
    """The path of a program in C, built if it is older than its source; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source = SOURCES / f"{name}.c"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    program = Path(home) / "chatproto-benchmarks" / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            fresh = Path(folder) / name
            subprocess.run([compiler, "-O2", "-o", fresh, source], check=True)
            # At once, so that nobody runs half of it.
            fresh.replace(program)
    return str(program)


def note() -> str:
    """What the table has to say about the load."""
    return "" if built("chatload") else "no C compiler: the load, in Python, is the limit"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load came to."""

    rate: float
    """Deliveries a second."""
    deliveries: float
    p50: float
    """The latencies are in microseconds."""
    p99: float
    p999: float


class Load:
    """A load that runs, in a process of its own.

    Args:
        address: Where the server listens.
        arguments: As in the head of `chatload.c`.
    """

    def __init__(self, address: tuple[str, int], arguments: Sequence[str]) -> None:
        program = built("chatload")
        command = [program] if program else [sys.executable, str(SOURCES / "_load_python.py")]
        self._popen = subprocess.Popen(
            [*command, "-H", address[0], "-p", str(address[1]), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )

    def outcome(self) -> Outcome:
        """What it came to, once it has ended, even if it has given up.

        Raises:
            RuntimeError: The server has refused something, or has hung up.
        """
        line, _ = self._popen.communicate()
        if self._popen.returncode not in (0, GIVEN_UP) or not line:
            raise RuntimeError(f"the load has failed: {self._popen.args!r}")
        said = dict(word.split("=") for word in line.split())
        keys = "rate", "deliveries", "p50_us", "p99_us", "p999_us"
        return Outcome(*(float(said[key]) for key in keys))


def put(address: tuple[str, int], arguments: Sequence[str]) -> Outcome:
    """Put a load on a server until all has arrived.

    Raises:
        RuntimeError: Not all has arrived, or the server has hung up.
    """
    load = Load(address, arguments)
    outcome = load.outcome()
    if outcome.deliveries < float(arguments[arguments.index("-n") + 1]):
        raise RuntimeError(f"only {outcome.deliveries:,.0f} have arrived: {arguments!r}")
    return outcome
