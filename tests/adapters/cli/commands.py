"""The commands that are clients, as processes whose streams carry octets."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any, Self

from ..clients import Peer, where
from ..processes import end
from ..servers import TIMEOUT, Running, SocketClient

CHATPROTO = [sys.executable, "-m", "chatproto"]
"""What `chatproto` runs."""


def at(server: Running) -> list[str]:
    """The options that say where a server is."""
    return [f"--{option}={value}" for option, value in where(server).items()]


@contextlib.contextmanager
def start(
    *arguments: str | bytes,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    environment: Mapping[str, str] = {},
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `chatproto`; it does not outlive the context."""
    with subprocess.Popen(
        [*CHATPROTO, *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | dict(environment),
    ) as popen:
        watchdog = threading.Timer(2 * TIMEOUT, popen.kill)
        watchdog.start()
        try:
            yield popen
        finally:
            watchdog.cancel()
            end(popen)


def finish(popen: subprocess.Popen[bytes], stdin: bytes | None = None) -> tuple[int, str, str]:
    """Give a command its last input, and wait for its end.

    Returns:
        Its status, and what it has written to standard output and standard error.
    """
    out, err = popen.communicate(stdin, timeout=2 * TIMEOUT)
    return popen.returncode, (out or b"").decode(), err.decode()


def run(
    *arguments: str | bytes, stdin: bytes | None = None, **environment: str
) -> tuple[int, str, str]:
    """Run `chatproto` with a pipe for its input, and nothing in it unless said."""
    with start(*arguments, environment=environment, stdin=subprocess.PIPE) as popen:
        return finish(popen, stdin)


class Listener:
    """`chatproto listen --json`."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        assert popen.stdout is not None
        self._stdout = popen.stdout

    def read_line(self) -> str:
        """The next line. It prints, in any encoding."""
        line = self._stdout.readline().decode("ascii")
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        return line

    def read(self) -> dict[str, Any]:
        """The next object, without the time, which is one that RFC 3339 allows."""
        value: dict[str, Any] = json.loads(self.read_line())
        assert re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d+Z", value.pop("time"))
        return value


@contextlib.contextmanager
def listening(*arguments: str) -> Iterator[Listener]:
    """Run `chatproto listen --json` as alice, and wait until it listens."""
    with start("listen", "--as=alice", "--json", *arguments) as popen:
        listener = Listener(popen)
        assert listener.read() == {"type": "listening", "name": "alice"}
        yield listener


class PlayedServer:
    """A server that the test plays."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT)
        host, port = self._listener.getsockname()
        self.addresses = [f"{host}:{port}"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def accept(self) -> Peer:
        """Its end of the next connection."""
        return Peer(self._listener.accept()[0])


def said(bob: SocketClient, count: int) -> list[bytes]:
    """The next messages to bob, all from alice."""
    prefix = b"CHAT/1.0 RECEIVE alice "
    lines = [bob.read_line() for _ in range(count)]
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix).removesuffix(b"\n") for line in lines]
