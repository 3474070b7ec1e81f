"""Runs loads on servers, and builds the programs in C if there is a compiler."""

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
TIMED_OUT: Final = 1
"""The exit status of a load when not all messages have arrived in time."""


@cache
def built(name: str) -> str | None:
    """The path of a program in C, which is built if need be; None without a compiler."""
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
            # Atomic, so that no other process runs half of it.
            fresh.replace(program)
    return str(program)


def note() -> str:
    """A remark for the table about the load."""
    return "" if built("chatload") else "no C compiler: the load, in Python, is the limit"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a load."""

    rate: float
    """Deliveries a second."""
    deliveries: float
    p50: float
    """This and the other latencies are in microseconds."""
    p99: float
    p999: float


class Load:
    """A load that runs in a process of its own.

    Args:
        address: The address of the server.
        arguments: The arguments of `chatload`; see there.
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
        """Wait for the end of the load, and return its result, even if it has timed out.

        Raises:
            RuntimeError: The server has refused something, or has closed a connection.
        """
        line, _ = self._popen.communicate()
        if self._popen.returncode not in (0, TIMED_OUT) or not line:
            raise RuntimeError(f"the load has failed: {self._popen.args!r}")
        values = dict(word.split("=") for word in line.split())
        keys = "rate", "deliveries", "p50_us", "p99_us", "p999_us"
        return Outcome(*(float(values[key]) for key in keys))


def run_load(address: tuple[str, int], arguments: Sequence[str]) -> Outcome:
    """Run a load on a server until all messages have arrived.

    Raises:
        RuntimeError: Not all have arrived, or the server has closed a connection.
    """
    load = Load(address, arguments)
    outcome = load.outcome()
    if outcome.deliveries < float(arguments[arguments.index("-n") + 1]):
        raise RuntimeError(f"only {outcome.deliveries:,.0f} messages arrived: {arguments!r}")
    return outcome
