"""How long it takes to import the packages, and to start the servers.

    .venv/bin/python benchmarks/run.py --only startup

CPU time beyond that of a bare interpreter, the modules that are imported, and the time until a
server prints that it listens. All modules are compiled before, as those of installed packages are.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

from _server import COMMANDS, Server
from _table import Row

PART: Final = "startup"
TIMES: Final = 5
"""Imports for each figure, because one takes little time."""
PACKAGES: Final = {"chatproto": 30.0, "chatproto_sync": None, "chatproto_anyio": None}
"""The packages, with upper bounds in milliseconds."""
UNWANTED: Final = {"asyncio", "logging", "socket", "ssl"}
"""Modules that a protocol without I/O does not need."""

LIST: Final = "import sys; print(*sys.modules)"


@contextlib.contextmanager
def compiled() -> Iterator[None]:
    """Compile all modules, and have interpreters use the compiled ones during the context."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            for package in PACKAGES:
                cpu(f"import {package}")
            for kind in COMMANDS:
                startup(kind)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def cpu(code: str) -> float:
    """The milliseconds of CPU time that an interpreter takes to run some code."""
    total = 0.0
    for _ in range(TIMES):
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
        _, status, used = os.wait4(pid, 0)
        if status:
            raise RuntimeError(f"this code failed: {code}")
        total += used.ru_utime + used.ru_stime
    return total / TIMES * 1000


def loaded(code: str) -> set[str]:
    """The modules and packages that an interpreter has imported after some code."""
    command = [sys.executable, "-c", f"{code}; {LIST}"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {name.partition(".")[0] for name in names}


def startup(kind: str) -> float:
    """The milliseconds until a server listens."""
    with Server(kind) as server:
        return server.startup * 1000


def measure(*, repeat: int, quick: bool) -> list[Row]:  # noqa: ARG001 - it is quick
    """Measure all figures.

    Args:
        repeat: The number of results for each figure.
        quick: Whether to measure less.
    """
    with compiled():
        return [*imports(repeat), *starts(repeat)]


def imports(repeat: int) -> list[Row]:
    """The rows for importing the packages."""
    rows: list[Row] = []
    for package, ceiling in PACKAGES.items():
        rounds = [(cpu(f"import {package}"), cpu("pass")) for _ in range(repeat)]
        rows.append(
            Row(
                part=PART,
                name=f"import {package}",
                unit="ms of CPU",
                values=[each - bare for each, bare in rounds],
                ceiling=ceiling,
                note="beyond a bare interpreter",
            )
        )
    came = loaded("import chatproto") - loaded("pass") - {"chatproto"}
    rows += [
        Row(
            part=PART,
            name=f"import chatproto: {', '.join(sorted(UNWANTED))}",
            unit="modules",
            values=[len(came & UNWANTED)],
            ceiling=0,
            note=" ".join(sorted(came & UNWANTED)),
        ),
        Row(
            part=PART,
            name="import chatproto: what else is imported",
            unit="modules",
            values=[len(came)],
            note=" ".join(sorted(name for name in came if not name.startswith("_"))),
        ),
    ]
    return rows


def starts(repeat: int) -> list[Row]:
    """The rows for starting the servers."""
    rounds = [[startup(kind) for kind in COMMANDS] for _ in range(repeat)]
    return [
        Row(part=PART, name=f"until {kind} listens", unit="ms", values=values)
        for kind, values in zip(COMMANDS, zip(*rounds, strict=True), strict=True)
    ]
