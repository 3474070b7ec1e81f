"""Runs the client commands as processes, with bytes on their standard streams."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Self

import click

from chatproto_anyio.cli.main import cli

from ..clients import Listening, Peer, where
from ..processes import end
from ..servers import TIMEOUT, SocketClient

NO_LABELS = b"* this server does not say which group a message was sent to\n"
"""What `chatproto listen` tells people first, when the server is a `PlayedServer`."""

CHATPROTO = [sys.executable, "-m", "chatproto"]
"""Runs `chatproto`."""

CALM = """
from chatproto_anyio.cli.chat import command, conversation
conversation.WAIT_INFO_DELAY = conversation.FLUSH_TIMEOUT = 3600.0
conversation.RETRY_TIME = command.HEARTBEAT = 3600.0
from chatproto.__main__ import main
main()
"""
CALM_CHATPROTO = [sys.executable, "-c", CALM]
"""Runs `chatproto` too, but `chatproto chat` never loses patience with a server that is slow."""


def subcommands() -> dict[str, click.Command]:
    """The commands after `chatproto`, by name."""
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def at(server: Listening) -> list[str]:
    """The options that say where a server is."""
    return [f"--{option}={value}" for option, value in where(server).items()]


@contextlib.contextmanager
def start(
    *arguments: str | bytes,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    environment: Mapping[str, str] = {},
    program: Sequence[str] = CHATPROTO,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `chatproto`. The end of the context kills it."""
    with subprocess.Popen(
        [*program, *arguments],
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
    """Write the last input of a command, and wait for its end.

    Returns:
        The exit status, and the rest of standard output and standard error.
    """
    out, err = popen.communicate(stdin, timeout=2 * TIMEOUT)
    return popen.returncode, (out or b"").decode(), err.decode()


def run(
    *arguments: str | bytes, stdin: bytes | None = None, **environment: str
) -> tuple[int, str, str]:
    """Run `chatproto` to its end, with a pipe as its input: an empty one by default."""
    with start(*arguments, environment=environment, stdin=subprocess.PIPE) as popen:
        return finish(popen, stdin)


class Listener:
    """`chatproto listen --json`."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        assert popen.stdout is not None
        self._stdout = popen.stdout

    def read_line(self) -> str:
        """Read a line. It is printable ASCII."""
        line = self._stdout.readline().decode("ascii")
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        return line

    def read(self) -> dict[str, Any]:
        """Read an object, and remove its time, which has the format of RFC 3339."""
        value: dict[str, Any] = json.loads(self.read_line())
        assert re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d+Z", value.pop("time"))
        return value


@contextlib.contextmanager
def listening(*arguments: str) -> Iterator[Listener]:
    """Run `chatproto listen --json` as alice, and wait until she has logged in."""
    with start("listen", "--as=alice", "--json", *arguments) as popen:
        listener = Listener(popen)
        assert listener.read() == {"type": "listening", "name": "alice", "labels": True}
        yield listener


class PlayedServer:
    """A listener. The test plays the server on its connections."""

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
        """Accept a connection."""
        return Peer(self._listener.accept()[0])


def read_messages(bob: SocketClient, count: int) -> list[bytes]:
    """Read messages from alice to bob."""
    prefix = b"CHAT/1.0 RECEIVE alice "
    lines = [bob.read_line() for _ in range(count)]
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix).removesuffix(b"\n") for line in lines]
