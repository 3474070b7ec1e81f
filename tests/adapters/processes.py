"""Servers as processes, as people run them."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from .servers import TIMEOUT

PATIENCE = 3.0
"""Seconds that a process has to end after SIGTERM, when a test no longer needs it."""

COMMAND = [sys.executable, "-m", "chatproto", "serve"]
"""Runs `chatproto serve`."""

COMMANDS = {
    "asyncio": COMMAND,
    "trio": [*COMMAND, "--backend", "trio"],
    "sync": [sys.executable, "-m", "chatproto_sync"],
}

PROGRAMS = {kind: COMMANDS[kind] for kind in ("asyncio", "sync")}
"""Those that differ before they serve: only then does an event loop begin."""


class ErrorLog:
    """What a process writes to standard error, as it arrives.

    Args:
        stream: The standard error of the process.
        path: The file to keep it in.
    """

    def __init__(self, stream: IO[str], path: Path) -> None:
        self._stream = stream
        self._path = path
        self._path.touch()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def read(self) -> str:
        """All that has arrived."""
        with self._changed:
            return self._path.read_text(encoding="utf-8")

    def wait_for(self, words: str) -> None:
        """Wait until some words have arrived."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or words in self.read(), TIMEOUT)
        assert words in self.read()

    def wait_for_the_end(self) -> None:
        """Wait until all has arrived, because the process has ended."""
        self._thread.join(TIMEOUT)

    def _run(self) -> None:
        with self._path.open("w", encoding="utf-8") as file:
            for line in self._stream:
                with self._changed:
                    file.write(line)
                    file.flush()
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Process:
    """A running server."""

    def __init__(self, popen: subprocess.Popen[str], log: ErrorLog, *, greets: bool) -> None:
        self.popen = popen
        self._log = log
        self.greeting: list[str] = []
        if greets:
            assert popen.stdout is not None
            self.greeting = [popen.stdout.readline() for _ in range(3)]
            match = re.fullmatch(r"Listening on (\S+)\.\n", self.greeting[0])
            assert match, self.greeting[0] + self.log
        else:
            log.wait_for("listening on ")
            match = re.search(r'"listening on (\S+)"', log.read())
            assert match, log.read()
        self.address = match[1]

    @property
    def log(self) -> str:
        """What it has written to standard error; all of it once it has ended."""
        if self.popen.poll() is not None:
            self._log.wait_for_the_end()
        return self._log.read()

    def wait_for_log(self, words: str) -> None:
        """Wait until it has written some words to standard error."""
        self._log.wait_for(words)

    def end(self, signal: int) -> int:
        """Send a signal, and wait for the exit status."""
        self.popen.send_signal(signal)
        return self.popen.wait(TIMEOUT)


@contextlib.contextmanager
def spawn(command: Sequence[str], log: Path, **environment: str) -> Iterator[Process]:
    """Run a server until the end of the context at most."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as popen:
        assert popen.stderr is not None
        errors = ErrorLog(popen.stderr, log)
        watchdog = threading.Timer(2 * TIMEOUT, popen.kill)
        watchdog.start()
        try:
            # With a log of JSON, a server writes nothing else.
            yield Process(popen, errors, greets="json" not in command)
        finally:
            watchdog.cancel()
            end(popen)
            errors.wait_for_the_end()


def end(popen: subprocess.Popen[Any]) -> None:
    """End a process with SIGTERM, so that its coverage is saved; kill it if that takes long."""
    popen.terminate()
    try:
        popen.wait(PATIENCE)
    except subprocess.TimeoutExpired:
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
