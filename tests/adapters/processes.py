"""Servers as processes, the way people run them."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from .servers import TIMEOUT

COMMAND = [sys.executable, "-m", "chatproto", "serve"]
"""What `chatproto serve` runs."""

COMMANDS = {
    "asyncio": COMMAND,
    "trio": [*COMMAND, "--backend", "trio"],
    "sync": [sys.executable, "-m", "chatproto_sync"],
}


class Process:
    """A running server."""

    def __init__(self, popen: subprocess.Popen[str], log: Path) -> None:
        self.popen = popen
        self._log = log
        assert popen.stdout is not None
        self.greeting = [popen.stdout.readline() for _ in range(3)]
        match = re.fullmatch(r"Listening on (\S+)\.\n", self.greeting[0])
        assert match, self.greeting[0] + self.log
        self.address = match[1]

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text(encoding="utf-8")

    def end(self, signal: int) -> int:
        """Send a signal, and wait for the status that it ends with."""
        self.popen.send_signal(signal)
        return self.popen.wait(TIMEOUT)


@contextlib.contextmanager
def spawn(command: Sequence[str], log: Path, **environment: str) -> Iterator[Process]:
    """Run a server; it does not outlive the context."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
        ) as popen,
    ):
        watchdog = threading.Timer(2 * TIMEOUT, popen.kill)
        watchdog.start()
        try:
            yield Process(popen, log)
        finally:
            watchdog.cancel()
            popen.kill()


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=2 * TIMEOUT,
        check=False,
        env={**os.environ, **environment},
    )
