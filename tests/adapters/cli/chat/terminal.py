"""Runs `chatproto chat` in a pseudo-terminal, and emulates the screen that a user would see."""

import contextlib
import os
import re
import signal
import sys
import termios
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pexpect  # type: ignore[import-untyped]
import pyte

from ...processes import PATIENCE
from ...servers import TIMEOUT
from ..commands import CALM, CALM_CHATPROTO

CHAT = [*CALM_CHATPROTO, "chat"]

PATIENT = f"""
from chatproto_anyio.cli.chat import conversation
conversation.SHOW_DELAY = 3600.0
{CALM}
"""
PATIENT_CHAT = [sys.executable, "-c", PATIENT, "chat"]
"""Shows what was sent when the server has answered, however long that takes."""

IMPATIENT = """
from chatproto_anyio.cli.chat import conversation
conversation.WAIT_INFO_DELAY = conversation.FLUSH_TIMEOUT = 0.1
from chatproto.__main__ import main
main()
"""
IMPATIENT_CHAT = [sys.executable, "-c", IMPATIENT, "chat"]
"""Waits a tenth of a second where `CHAT` waits for an hour, and users wait two seconds."""

STUBBORN_CHAT = [
    sys.executable,
    "-c",
    IMPATIENT.replace("main()", "conversation.FLUSH_TIMEOUT = 3600.0\nmain()"),
    "chat",
]
"""As `IMPATIENT_CHAT`, but does not give up after Ctrl-D."""

HASTY = f"""
from chatproto_anyio.cli.chat import command
command.HEARTBEAT = 0.1
{IMPATIENT}
"""
HASTY_CHAT = [sys.executable, "-c", HASTY, "chat"]
"""Does not give a server the time to answer heartbeats, and else waits as `IMPATIENT_CHAT`."""

SHELL = """
import contextlib, os, signal, sys, termios
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
settings = termios.tcgetattr(0)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    kept = termios.tcgetattr(0) == settings
    termios.tcsetattr(0, termios.TCSANOW, settings)
    print("stopped by", os.WSTOPSIG(status), "settings", "kept" if kept else "changed", flush=True)
    if input("$ ") == "fg":
        os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
"""
IN_SHELL = [sys.executable, "-c", SHELL]
"""Runs a program as a shell with job control does, which knows only `fg` and `bg`."""

ROWS = 24


class _Screen(pyte.Screen):
    """A screen that answers programs, for example with the position of the cursor."""

    answer: Callable[[str], None]

    def draw(self, data: str) -> None:
        # pyte would leave out all that follows such a character.
        super().draw(re.sub("[\u200b-\u200d\ufe00-\ufe0f]", "", data))

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class Terminal:
    """A terminal and the program in it. `spawn_in_terminal` makes one."""

    def __init__(self, child: Any, columns: int) -> None:
        self.raw = b""
        """Everything that the program has written."""
        self.screen = _Screen(columns, ROWS)
        self.screen.answer = self.type
        self._stream = pyte.ByteStream(self.screen)
        self._child = child
        self._settings = termios.tcgetattr(child.child_fd)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without spaces at their ends and empty lines at the bottom."""
        return "\n".join(map(str.rstrip, self.screen.display)).rstrip().split("\n")

    @property
    def colours(self) -> set[int]:
        """The codes of the colours that the program has used (ECMA-48, SGR)."""
        found = re.findall(rb"\x1b\[([\d;]*)m", self.raw)
        codes = {int(code) for each in found for code in each.split(b";") if code}
        return {code for code in codes if 30 <= code <= 49 or 90 <= code <= 107} - {39, 49}

    @property
    def is_as_before(self) -> bool:
        """Whether the program has left the terminal in the state in which it was before."""
        modes = dict(re.findall(rb"\x1b\[\?(\d+)([hl])", self.raw))
        # A visible cursor, wrapped lines, normal pasting and normal cursor keys.
        kept = {b"25": b"h", b"7": b"h", b"2004": b"l", b"1": b"l"}
        return termios.tcgetattr(self._child.child_fd) == self._settings and all(
            modes.get(mode, state) == state for mode, state in kept.items()
        )

    def type(self, text: str) -> None:
        self._child.send(text.encode())

    def paste(self, text: str) -> None:
        self.type(f"\x1b[200~{text}\x1b[201~")

    def kill(self, number: int) -> None:
        self._child.kill(number)

    def kill_job(self, number: int) -> None:
        """Send a signal to the processes that are in the foreground."""
        os.killpg(os.tcgetpgrp(self._child.child_fd), number)

    def wait_for(self, check: Callable[[list[str]], bool]) -> None:
        """Wait until the lines on the screen pass a check."""
        end = time.monotonic() + TIMEOUT
        while not check(self.lines):
            try:
                data = self._child.read_nonblocking(65536, max(0, end - time.monotonic()))
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                shown = "\n".join(self.lines)
                raise AssertionError(
                    f"{type(error).__name__}, with this on screen:\n{shown}"
                ) from None
            self._take(data)

    def wait_for_line(self, pattern: str) -> None:
        """Wait for a line anywhere on the screen.

        Args:
            pattern: A regular expression for the whole line after the time.
        """
        regex = re.compile(rf"\d\d:\d\d {pattern}")
        self.wait_for(lambda lines: any(map(regex.fullmatch, lines)))

    def wait_for_prompt(self, text: str) -> None:
        """Wait until the last line is the prompt, with what is typed there."""
        self.wait_for(lambda lines: lines[-1] == text.rstrip())

    def wait_for_end(self) -> int:
        """Wait until the program has ended, and return its exit status."""
        with contextlib.suppress(pexpect.EOF):
            while True:
                self._take(self._child.read_nonblocking(65536, TIMEOUT))
        self._child.wait()
        assert self._child.signalstatus is None
        return int(self._child.exitstatus)

    def _take(self, data: bytes) -> None:
        self.raw += data
        self._stream.feed(data)


@contextlib.contextmanager
def spawn_in_terminal(
    command: Sequence[str], columns: int = 80, **environment: str
) -> Iterator[Terminal]:
    """Run a program in a terminal. The end of the context kills it."""
    inherited = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
    program, *arguments = command
    with warnings.catch_warnings():
        # Servers run in threads here. The child of the fork uses none of them: it calls exec.
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        child = pexpect.spawn(
            program,
            arguments,
            dimensions=(ROWS, columns),
            env={**inherited, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment},
        )
    # By default, pexpect waits before it sends, for programs that lose early input.
    child.delaybeforesend = child.delayafterread = None
    try:
        yield Terminal(child, columns)
    finally:
        # With SIGTERM, so that its coverage is saved; by force if that takes long.
        child.kill(signal.SIGTERM)
        with contextlib.suppress(pexpect.TIMEOUT):
            child.expect(pexpect.EOF, PATIENCE)
        child.close(force=True)


def open_chat(
    path: str,
    *options: str,
    command: Sequence[str] = CHAT,
    columns: int = 80,
    **environment: str,
) -> AbstractContextManager[Terminal]:
    """Run `chatproto chat alice` in a terminal.

    Args:
        path: The server's Unix socket.
        options: More options.
        command: `CHAT` or `IMPATIENT_CHAT`.
        columns: The width of the terminal.
        environment: More variables of the environment.
    """
    return spawn_in_terminal([*command, "alice", "--unix", path, *options], columns, **environment)
