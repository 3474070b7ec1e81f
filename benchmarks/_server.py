"""A chat server in a process of its own, watched from outside, and reports about it."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from _load import built

COMMANDS: Final = {
    "asyncio": ("chatproto", "serve"),
    "trio": ("chatproto", "serve", "--backend", "trio"),
    "sync": ("chatproto_sync",),
}
"""The kinds of servers, with the arguments of `python -m`."""

LIMIT: Final = "limit"
"""One more kind: a server in C, to compare with. It needs a compiler."""

MIB: Final = 1 << 20

_AS_SYSTEMD: Final = 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
"""A shell script: runs a program that finds descriptor 3 as systemd passes it."""

_CLOSED: Final = re.compile(r"(?:closed|probed) (\S+)(?: \(\S+\))?: (.+)")


def use_all_descriptors() -> None:
    """Let this process, and the servers that it starts, open as many descriptors as is allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def cpu_of(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A running server, which ends with the context.

    Args:
        kind: One of `COMMANDS`, or `LIMIT`.
        options: Further arguments.
        inherits: The socket to listen on; None for a free port.
    """

    def __init__(
        self, kind: str, options: Sequence[str] = (), *, inherits: socket.socket | None = None
    ) -> None:
        command = [built(LIMIT) or LIMIT, "0"]
        if kind != LIMIT:
            command = [sys.executable, "-m", *COMMANDS[kind], "--port", "0"]
            # `closes` is made of the log.
            command += ["--log-lines", str(1 << 30), *options]
        descriptors: tuple[int, ...] = ()
        if inherits is not None:
            descriptors = (inherits.fileno(),)
            script = f"exec 3<&{inherits.fileno()}; {_AS_SYSTEMD}"
            command = ["sh", "-c", script, "sh", *command]
        start = time.monotonic()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `__exit__`
        self._popen = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            pass_fds=descriptors,
        )
        self._rest = b""
        self._read = 0
        self.closes: Counter[str] = Counter()
        """The number of closed connections for each reason."""
        self.closed: dict[str, tuple[float, str]] = {}
        """For each name, when its last connection was closed (by the monotonic clock), and why."""
        self.problems: list[str] = []
        """The lines that it has logged at a level other than INFO."""
        self.status: int | None = None
        """The exit status."""
        if self._popen.stdout is None:
            raise AssertionError("there is a pipe")
        greeting = self._popen.stdout.readline()
        match = re.fullmatch(r"Listening on (\S+):(\d+)\.\n", greeting)
        if match is None:
            self._popen.kill()
            raise RuntimeError(f"the {kind} server does not start: {greeting!r}")
        self.startup = time.monotonic() - start
        """Seconds from its start until it listened."""
        self.address = match[1], int(match[2])
        self.idle_descriptors = self.descriptors()
        """The number of open descriptors without connections."""

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

    def connect(self) -> socket.socket:
        """Connect to the server."""
        sock = socket.create_connection(self.address, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def log_in(self, name: str) -> socket.socket:
        """Connect and log in."""
        sock = self.connect()
        sock.sendall(f"CHAT/1.0 LOGIN {name}\nCHAT/1.0 SEND {name} here\n".encode())
        if sock.recv(65536) != f"CHAT/1.0 RECEIVE {name} here\n".encode():
            raise ConnectionError("the server does not accept a login")
        return sock

    def cpu(self) -> float:
        """Seconds of CPU time that it has used."""
        return cpu_of(self._popen.pid)

    def running(self) -> float:
        """Seconds that its main thread has run, as of its last wait or time slice of some ms."""
        stat = Path(f"/proc/{self._popen.pid}/schedstat").read_text(encoding="ascii")
        return int(stat.split()[0]) / 1e9

    def memory(self) -> int:
        """Its resident size in bytes."""
        return self._size("VmRSS")

    def peak(self) -> int:
        """Its largest resident size in bytes since `forget_peak`."""
        return self._size("VmHWM")

    def forget_peak(self) -> None:
        """Start `peak` anew."""
        Path(f"/proc/{self._popen.pid}/clear_refs").write_text("5", encoding="ascii")

    def descriptors(self) -> int:
        """The number of its open descriptors."""
        return len(os.listdir(f"/proc/{self._popen.pid}/fd"))  # noqa: PTH208 - names will do

    def read_log(self) -> None:
        """Bring `closes`, `closed` and `problems` up to date."""
        data = self._rest + os.pread(self._log.fileno(), 1 << 30, self._read)
        self._read += len(data) - len(self._rest)
        *lines, self._rest = data.split(b"\n")
        now = time.monotonic()
        for line in lines:
            text = line.decode(errors="replace")
            # Date, time and level come before the message.
            level, _, message = text[24:].partition(" ")
            if match := _CLOSED.fullmatch(message):
                self.closes[match[2]] += 1
                self.closed[match[1]] = now, match[2]
            elif level != "INFO":
                self.problems.append(text)

    def too_slow(self) -> int:
        """The number of connections closed for being too slow, as of the last `read_log`."""
        return sum(n for why, n in self.closes.items() if why.startswith("slow consumer"))

    def slow_since(self, name: str) -> float | None:
        """When a client was closed for being too slow; None if it was not."""
        self.read_log()
        when, reason = self.closed.get(name, (0.0, ""))
        return when if reason.startswith("slow consumer") else None

    def _size(self, field: str) -> int:
        status = Path(f"/proc/{self._popen.pid}/status").read_text(encoding="utf-8")
        match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        if match is None:
            raise RuntimeError(f"no {field} in the status of a process")
        return int(match[1]) * 1024


misses: list[str] = []
"""The figures that missed their targets."""


def report(figure: str, value: object, target: str = "", ok: bool = True) -> None:
    """Print a figure, and its target if there is one."""
    verdict = ("ok" if ok else "MISS") if target else ""
    print(f"    {figure:<44} {value!s:>14}   {target:<20} {verdict}", flush=True)
    if not ok:
        misses.append(figure)


def report_end(server: Server) -> None:
    """Print how a server has ended."""
    ok = server.status == 0 and not server.problems
    report("exit status, problems", (server.status, len(server.problems)), "(0, 0)", ok)
    for line in server.problems[:5]:
        print(f"      {line}")
