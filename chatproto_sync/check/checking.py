"""Checks a server, or a client program: does what a `Check` and its `Play`s want."""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, PollSelector
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias

from chatproto import ConnectionLostError
from chatproto.conformance import (
    Action,
    Check,
    Close,
    Connect,
    EndWriting,
    Pause,
    Play,
    Reset,
    RowResult,
    Suite,
    Write,
)

from ..sockets.addresses import Endpoint, prepare
from .channels import Channel, PipeChannel, SocketChannel, connect

_SEEDS: Final = 36**5
_WORDS: Final = 300
"""Most bytes of what a program writes on standard error that a reason quotes."""

Report: TypeAlias = Callable[[Check, list[RowResult]], None]
"""Gets the check after each play, and the rows that are complete since the last one."""


def check_server(suite: Suite, endpoint: Endpoint[Any], timeout: float, report: Report) -> Check:
    """Play transcripts against a server.

    Args:
        suite: The transcripts.
        endpoint: Where the server is.
        timeout: Seconds to wait for what the server can't be asked for.
        report: Is called after each play.
    """
    check = Check(
        suite,
        secrets.randbelow(_SEEDS),
        timeout=timeout,
        reads_after_end=endpoint.ssl is None,
    )
    return _run(check, partial(_ServerPlace, endpoint, timeout), report)


def check_program(suite: Suite, command: str, timeout: float, report: Report) -> Check:
    """Play transcripts for clients with a program.

    Args:
        suite: The transcripts.
        command: The command line of the program, as for a shell, with `{host}` and `{port}`.
        timeout: Seconds to wait for what the program can't be asked for.
        report: Is called after each play.

    Raises:
        ValueError: The command is empty, a quotation mark is missing, or there is no such program.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"the command {command!r} can't be split: {error}") from None
    if not words:
        raise ValueError("the command is empty")
    if shutil.which(words[0]) is None:
        # The same words would stand below each row.
        raise ValueError(f"there is no program {words[0]!r} that can be started")
    check = Check(suite, secrets.randbelow(_SEEDS), timeout=timeout)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        return _run(check, partial(_ProgramPlace, words, listener), report)


def _run(check: Check, place: Callable[[], "_Place"], report: Report) -> Check:
    while (play := check.next_play()) is not None:
        with contextlib.closing(place()) as here:
            _Stage(here).play(play)
        report(check, check.finish(play))
    return check


class _Place(Protocol):
    """Where the connections of one play come from."""

    listener: socket.socket | None
    """What the program connects to; None for none."""

    def open(self, client: str) -> Channel:
        """Connect to the server, or start the program.

        Raises:
            ConnectionLostError: That fails.
        """
        ...

    def why(self, channel: Channel) -> str:
        """Why a stream has ended, for people; empty if that is not known."""
        ...

    def close(self) -> None:
        """End what is left."""
        ...


class _Stage:
    """The connections of one play, and the loop that serves them.

    Args:
        place: Where they come from.
    """

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._channels: dict[str, Channel] = {}
        self._ended: set[str] = set()

    def play(self, play: Play) -> None:
        """Do what a play wants, until there is a verdict. Then close all connections."""
        try:
            while True:
                for action in play.advance(monotonic()):
                    try:
                        self._do(action)
                    except ConnectionLostError as error:
                        play.failed(error.text)
                for each in self._channels.values():
                    each.flush()
                if play.verdict is not None:
                    return
                self._wait(play)
        finally:
            for each in self._channels.values():
                each.close()

    def _do(self, action: Action) -> None:
        if isinstance(action, Connect):
            # What others have written before is on its way before that.
            for each in self._channels.values():
                each.flush()
            self._channels[action.client] = self._place.open(action.client)
            return
        channel = self._channels.get(action.client)
        match action, channel:
            case Write(data=data), SocketChannel() | PipeChannel():
                channel.queue(data)
            case EndWriting(), SocketChannel() | PipeChannel():
                channel.end()
            case Reset(client), SocketChannel():
                self._ended.add(client)
                channel.reset()
            case Pause(), SocketChannel():
                channel.pause()
            case Close(client), SocketChannel():
                self._ended.add(client)
                channel.end_and_close()
            case _:
                # The connection was not made, and the play ends.
                pass

    def _wait(self, play: Play) -> None:
        """Wait until something arrives, can be written, or is late, and read what has arrived."""
        listener = self._place.listener
        with PollSelector() as selector:
            for label, channel in self._channels.items():
                if label not in self._ended:
                    for fd, events in channel.interests():
                        selector.register(fd, events, partial(self._read, play, label))
            if listener is not None:
                selector.register(listener, EVENT_READ, partial(self._accept, listener))
            deadline = play.deadline
            seconds = 0.0 if deadline is None else max(deadline - monotonic(), 0.0)
            ready = selector.select(seconds)
        for key, _ in ready:
            key.data()

    def _read(self, play: Play, label: str) -> None:
        """Take all that has arrived: TLS may hold more than what the system says."""
        channel = self._channels[label]
        while play.verdict is None and (data := channel.read()) is not None:
            if not data:
                self._ended.add(label)
                play.ended(label, self._place.why(channel))
                return
            play.received(label, data)

    def _accept(self, listener: socket.socket) -> None:
        """Take the connection of the program. It gets only one."""
        try:
            sock, _ = listener.accept()
        except OSError:
            # It is gone already.
            return
        if "server" in self._channels:
            sock.close()
            return
        prepare(sock)
        self._channels["server"] = SocketChannel(sock)


class _ServerPlace:
    """A server that runs already.

    Args:
        endpoint: Where it is.
        timeout: Seconds for a connection.
    """

    listener: socket.socket | None = None

    def __init__(self, endpoint: Endpoint[Any], timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout

    def open(self, client: str) -> Channel:  # noqa: ARG002
        """See `_Place`."""
        return connect(self._endpoint, self._timeout)

    def why(self, channel: Channel) -> str:
        """See `_Place`."""
        return channel.why

    def close(self) -> None:
        """See `_Place`."""


class _ProgramPlace:
    """A client program that is started for each play.

    Args:
        words: Its command line.
        listener: What it connects to.
    """

    def __init__(self, words: list[str], listener: socket.socket) -> None:
        self.listener: socket.socket | None = listener
        host, port = listener.getsockname()
        self._words = [each.replace("{host}", host).replace("{port}", str(port)) for each in words]
        self._environment = {"CHATPROTO_HOST": host, "CHATPROTO_PORT": str(port)}
        self._listener = listener
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, client: str) -> Channel:  # noqa: ARG002
        """See `_Place`."""
        (its_stdin, stdin), (stdout, its_stdout) = os.pipe(), os.pipe()
        channel = PipeChannel(stdin, stdout)
        try:
            self._process = subprocess.Popen(  # noqa: S603
                self._words,
                stdin=its_stdin,
                stdout=its_stdout,
                stderr=self._errors,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        except OSError as error:
            channel.close()
            raise ConnectionLostError(f"can't start {self._words[0]}: {error.strerror}") from None
        finally:
            os.close(its_stdin)
            os.close(its_stdout)
        return channel

    def why(self, channel: Channel) -> str:
        """For the end of the program: the last line that it has written on standard error."""
        if isinstance(channel, SocketChannel):
            return channel.why
        self._errors.seek(0)
        lines = self._errors.read()[-_WORDS:].decode(errors="replace").split("\n")
        words = [ascii(each.strip())[1:-1] for each in lines if each.strip()]
        return words[-1] if words else ""

    def close(self) -> None:
        """See `_Place`."""
        if self._process is not None:
            # The command may be a shell, with the program as its child.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()
        # Connections that came too late.
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
