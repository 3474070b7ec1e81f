"""What it takes to import the packages, and to start the servers.

    .venv/bin/python benchmarks/run.py --only startup

CPU time over that of a bare interpreter, the modules that come along, and the time until a server
says that it listens. All is compiled before, as it is where a package has been installed.
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
"""Imports for each figure, because one is soon done."""
PACKAGES: Final = {"chatproto": 30.0, "chatproto_sync": None, "chatproto_anyio": None}
"""And milliseconds that each may take at most."""
UNWANTED: Final = {"asyncio", "logging", "socket", "ssl"}
"""What a protocol without I/O has no use for."""

LIST: Final = "import sys; print(*sys.modules)"


@contextlib.contextmanager
def compiled() -> Iterator[None]:
    """Have interpreters keep what they have compiled, whatever they do otherwise."""
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
    """Milliseconds of CPU time that an interpreter takes for something."""
    total = 0.0
    for _ in range(TIMES):
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
        _, status, used = os.wait4(pid, 0)
        if status:
            raise RuntimeError(f"this has failed: {code}")
        total += used.ru_utime + used.ru_stime
    return total / TIMES * 1000


def loaded(code: str) -> set[str]:
    """The modules that an interpreter has after something, those of packages under their names."""
    command = [sys.executable, "-c", f"{code}; {LIST}"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {name.partition(".")[0] for name in names}


def startup(kind: str) -> float:
    """Milliseconds until a server listens."""
    with Server(kind) as server:
        return server.startup * 1000


def measure(*, repeat: int, quick: bool) -> list[Row]:  # noqa: ARG001 - it is quick
    """Take all figures.

    Args:
        repeat: How often.
        quick: Whether less will do.
    """
    with compiled():
        return [*imports(repeat), *starts(repeat)]


def imports(repeat: int) -> list[Row]:
    """What it takes to import the packages."""
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
                note="over a bare interpreter",
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
            name="import chatproto: what comes along",
            unit="modules",
            values=[len(came)],
            note=" ".join(sorted(name for name in came if not name.startswith("_"))),
        ),
    ]
    return rows


def starts(repeat: int) -> list[Row]:
    """What it takes to start the servers."""
    rounds = [[startup(kind) for kind in COMMANDS] for _ in range(repeat)]
    return [
        Row(part=PART, name=f"until {kind} listens", unit="ms", values=values)
        for kind, values in zip(COMMANDS, zip(*rounds, strict=True), strict=True)
    ]
