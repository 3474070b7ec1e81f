"""Redis, the nodes of a cluster, and the network between them, as processes that faults can hit."""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import hiredis

from .kills import COMMANDS, Finding

REDIS: Final = ("redis-server", "valkey-server")
"""What is looked for, in this order."""
START_TIMEOUT: Final = 20.0
"""Seconds that a process has to listen."""
RESTART: Final = 0.5
"""Seconds until a node that has ended is started again, as systemd does it."""

REDIS_SIDE, NODE_SIDE = "192.0.2.1", "192.0.2.2"
"""The ends of the link between Redis and the node apart."""
CLIENT_SIDE, CHAT_SIDE = "198.51.100.1", "198.51.100.2"
"""The ends of the link between the clients and that node."""
CLONE_NEWNET: Final = 0x40000000


def free_port() -> int:
    """A port that is free, and stays so while nobody listens on it.

    Systems give none of these ports to a socket that connects. Otherwise a client that connects
    again could take the port of a process that was killed, before that process is started again.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Redis:
    """A redis-server or valkey-server.

    Args:
        folder: An empty folder for its files.
        port: Where it listens.
        hosts: The addresses on which it listens.
    """

    def __init__(self, folder: Path, port: int, hosts: Sequence[str] = ("127.0.0.1",)) -> None:
        program = next((path for name in REDIS if (path := shutil.which(name))), None)
        if program is None:
            raise Finding(f"there is none of {', '.join(REDIS)}")
        self.port = port
        self._folder = folder
        self._hosts = hosts
        self._program = program
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what it has written to its files, and wait until it answers."""
        options = {
            "port": str(self.port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "protected-mode": "no",
            "repl-diskless-sync-delay": "0",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        self._popen = subprocess.Popen(  # noqa: S603 - our own words
            [self._program, *words, "--bind", *self._hosts], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                if self.call("PING") == b"PONG":
                    return
            except OSError:
                pass
            if time.monotonic() > end or self._popen.poll() is not None:
                raise Finding("Redis does not start")
            time.sleep(0.02)

    def call(self, *words: str) -> Any:
        """Send a command. Returns the answer, which is an exception if it is an error."""
        reader = hiredis.Reader()
        # The type in the package is that of a tuple of one.
        command: Any = words
        with socket.create_connection(("127.0.0.1", self.port), START_TIMEOUT) as sock:
            sock.sendall(hiredis.pack_command(command))
            while (answer := reader.gets()) is False:
                data = sock.recv(1 << 16)
                if not data:
                    raise ConnectionError("Redis has closed the connection")
                reader.feed(data)
        return answer

    def follow(self, other: "Redis") -> None:
        """Become a replica of another one, and wait until all is copied."""
        self.call("REPLICAOF", "127.0.0.1", str(other.port))
        end = time.monotonic() + START_TIMEOUT
        while b"master_link_status:up" not in self.call("INFO", "replication"):
            if time.monotonic() > end:
                raise Finding("the replica does not follow")
            time.sleep(0.02)

    def lead(self, port: int) -> None:
        """Go on as the one that the nodes use, which has ended, on its port."""
        self.call("CONFIG", "SET", "port", str(port))
        self.port = port

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def end(self) -> None:
        """Kill it, if it runs."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()


class Node:
    """A server that is a node, which is started again when it ends.

    Args:
        name: Its id.
        kind: One of `COMMANDS`.
        options: Further arguments.
        log: The file for its log.
        host: Where it listens.
        namespace: The network namespace that it runs in; empty for the one of this process.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        options: Sequence[str],
        log: Path,
        host: str = "127.0.0.1",
        namespace: str = "",
    ) -> None:
        self.name = name
        self.address = host, free_port()
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        python = [sys.executable, "-m", *COMMANDS[kind]]
        where = ["--host", host, "--port", str(self.address[1]), "--node", name]
        self._command = [*inside, *python, *where, *options]
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None
        self._ended = 0.0
        self.starts = 0
        """How many times it was started."""

    def keep(self) -> None:
        """Start it, if it does not run and has not run for a moment."""
        now = time.monotonic()
        if self._popen is not None and self._popen.poll() is None:
            self._ended = now
        elif self._popen is None or now > self._ended + RESTART:
            self.starts += 1
            with self._log.open("ab") as log:
                self._popen = subprocess.Popen(  # noqa: S603 - our own words
                    self._command, stdout=subprocess.DEVNULL, stderr=log
                )
            self._ended = now

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(number)

    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def end(self) -> None:
        """End it, and wait."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self._popen is not None:
            try:
                self._popen.wait(START_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()


class Network:
    """Two network namespaces, with a link for Redis between them and one for the clients.

    This process moves into the first one, with all that it starts. So the network of the machine
    stays as it is.
    """

    def __init__(self) -> None:
        name = f"chat{uuid.uuid4().hex[:6]}"
        self.here, self.there = f"{name}-s", f"{name}-c"

    def make(self) -> str:
        """Make them, and move. Returns why that is not possible; empty when it was done."""
        if sys.platform != "linux" or shutil.which("ip") is None or os.geteuid() != 0:
            return "network namespaces need Linux, root, and ip of iproute2"
        try:
            for each in (self.here, self.there):
                _ip("netns", "add", each)
                _ip("-n", each, "link", "set", "lo", "up")
            for link, here, there in (
                ("redis", REDIS_SIDE, NODE_SIDE),
                ("chat", CLIENT_SIDE, CHAT_SIDE),
            ):
                peer = ("type", "veth", "peer", "name", link, "netns", self.there)
                _ip("link", "add", link, "netns", self.here, *peer)
                for namespace, address in ((self.here, here), (self.there, there)):
                    _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", link)
                    _ip("-n", namespace, "link", "set", link, "up")
            self._enter()
        except (OSError, subprocess.CalledProcessError) as error:
            self.remove()
            return f"can't make network namespaces: {error}"
        return ""

    def cut(self) -> None:
        """Stop all traffic to and from Redis over the link. Neither end learns of it."""
        _ip("-n", self.here, "link", "set", "redis", "down")

    def mend(self) -> None:
        """Let it pass again."""
        _ip("-n", self.here, "link", "set", "redis", "up")

    def remove(self) -> None:
        """Remove the namespaces. They vanish once nothing is in them."""
        for each in (self.here, self.there):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", each)

    def _enter(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", self.here).open() as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))


def _ip(*arguments: str) -> None:
    command = ["ip", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=START_TIMEOUT)  # noqa: S603
