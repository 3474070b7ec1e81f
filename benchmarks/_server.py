"""A chat server as a process of its own, watched from outside, and what is reported of it."""

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final, Self

COMMANDS: Final = {
    "asyncio": ("chatproto", "serve"),
    "trio": ("chatproto", "serve", "--backend", "trio"),
    "sync": ("chatproto_sync",),
}
"""The kinds of servers, and what `python -m` runs for each."""

MIB: Final = 1 << 20

_CLOSED: Final = re.compile(r"(?:closed|probed) (\S+)(?: \(\S+\))?: (.+)")


def use_all_descriptors() -> None:
    """Have this process, and the servers it starts, open as many descriptors as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Server:
    """A running server. As a context manager it ends with the context.

    Args:
        kind: One of `COMMANDS`.
    """

    def __init__(self, kind: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `__exit__`
        self._popen = subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[kind], "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._rest = b""
        self._read = 0
        self.closes: Counter[str] = Counter()
        """How many connections it has closed, or found closed, for each reason."""
        self.closed: dict[str, tuple[float, str]] = {}
        """When, on the monotonic clock, and why the connection of each name was last closed."""
        self.complaints: list[str] = []
        """What it has logged that is no news but a problem."""
        self.status: int | None = None
        """What it has ended with."""
        if self._popen.stdout is None:
            raise AssertionError("there is a pipe")
        greeting = self._popen.stdout.readline()
        match = re.fullmatch(r"Listening on (\S+):(\d+)\.\n", greeting)
        if match is None:
            self._popen.kill()
            raise RuntimeError(f"the {kind} server does not start: {greeting!r}")
        self.address = match[1], int(match[2])
        self.idle_descriptors = self.descriptors()
        """How many it has open when nobody is connected."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.send_signal(signal.SIGTERM)
        try:
            self.status = self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self.status = self._popen.wait()
        self.read_log()
        self._log.close()
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    def memory(self) -> int:
        """Its resident size in octets."""
        return self._size("VmRSS")

    def peak(self) -> int:
        """The largest that its resident size has been since `forget_peak`, in octets."""
        return self._size("VmHWM")

    def forget_peak(self) -> None:
        """Have `peak` begin anew."""
        Path(f"/proc/{self._popen.pid}/clear_refs").write_text("5", encoding="ascii")

    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self._popen.pid}/fd"))  # noqa: PTH208 - names will do

    def read_log(self) -> None:
        """Bring `closes`, `closed` and `complaints` up to date."""
        data = self._rest + os.pread(self._log.fileno(), 1 << 30, self._read)
        self._read += len(data) - len(self._rest)
        *lines, self._rest = data.split(b"\n")
        now = time.monotonic()
        for line in lines:
            text = line.decode(errors="replace")
            # What goes before the message: date, time, level.
            level, _, message = text[24:].partition(" ")
            if match := _CLOSED.fullmatch(message):
                self.closes[match[2]] += 1
                self.closed[match[1]] = now, match[2]
            elif level != "INFO":
                self.complaints.append(text)

    def slow_since(self, name: str) -> float | None:
        """When somebody was closed for being too slow; None when that has not happened."""
        self.read_log()
        when, reason = self.closed.get(name, (0.0, ""))
        return when if reason == "slow consumer" else None

    def _size(self, field: str) -> int:
        status = Path(f"/proc/{self._popen.pid}/status").read_text(encoding="utf-8")
        match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        if match is None:
            raise RuntimeError(f"no {field} in the status of a process")
        return int(match[1]) * 1024


misses: list[str] = []
"""The figures whose target was missed."""


def report(figure: str, value: object, target: str = "", ok: bool = True) -> None:
    """Print a figure, with its target if it has one."""
    verdict = ("ok" if ok else "MISS") if target else ""
    print(f"    {figure:<44} {value!s:>14}   {target:<20} {verdict}", flush=True)
    if not ok:
        misses.append(figure)


def report_end(server: Server) -> None:
    """Print how the server has ended."""
    ok = server.status == 0 and not server.complaints
    report("exit status, complaints", (server.status, len(server.complaints)), "(0, 0)", ok)
    for line in server.complaints[:5]:
        print(f"      {line}")
