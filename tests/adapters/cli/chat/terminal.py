"""A terminal that a person could sit at: a pseudo-terminal, and what would be on its screen."""

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

CHAT = [sys.executable, "-m", "chatproto", "chat"]
ROWS = 24


class _Screen(pyte.Screen):
    """A screen that answers when a program asks where the cursor is."""

    answer: Callable[[str], None]

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class Terminal:
    """A terminal with a program in it. `open_terminal` makes one."""

    def __init__(self, child: Any, columns: int) -> None:
        self.raw = b""
        """All that the program has written."""
        self.screen = _Screen(columns, ROWS)
        self.screen.answer = self.type
        self._stream = pyte.ByteStream(self.screen)
        self._child = child
        self._settings = termios.tcgetattr(child.child_fd)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without what is empty at their ends and below them."""
        return "\n".join(map(str.rstrip, self.screen.display)).rstrip().split("\n")

    @property
    def colours(self) -> set[int]:
        """The codes of colours that were used (ECMA-48, SGR)."""
        found = re.findall(rb"\x1b\[([\d;]*)m", self.raw)
        codes = {int(code) for each in found for code in each.split(b";") if code}
        return {code for code in codes if 30 <= code <= 49 or 90 <= code <= 107} - {39, 49}

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal is in the state in which the program found it."""
        modes = dict(re.findall(rb"\x1b\[\?(\d+)([hl])", self.raw))
        # The cursor is to be seen, lines to be wrapped; pasting and keys are to be as usual.
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

    def wait_for(self, check: Callable[[list[str]], bool]) -> None:
        """Wait until the lines on the screen are as they should be."""
        deadline = time.monotonic() + TIMEOUT
        while not check(self.lines):
            try:
                data = self._child.read_nonblocking(65536, deadline - time.monotonic())
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                shown = "\n".join(self.lines)
                raise AssertionError(
                    f"{type(error).__name__}, with this on screen:\n{shown}"
                ) from None
            self._take(data)

    def wait_for_line(self, pattern: str) -> None:
        """Wait for a line somewhere on the screen; a pattern for all of it, but the time."""
        regex = re.compile(rf"\d\d:\d\d {pattern}")
        self.wait_for(lambda lines: any(map(regex.fullmatch, lines)))

    def wait_for_prompt(self, text: str) -> None:
        """Wait until this is all that is in the last line."""
        self.wait_for(lambda lines: lines[-1] == text.rstrip())

    def wait_for_end(self) -> int:
        """Wait until the program has ended, and return its status."""
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
def open_terminal(
    command: Sequence[str], columns: int = 80, **environment: str
) -> Iterator[Terminal]:
    """Run a program in a terminal; it does not outlive the context."""
    inherited = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
    program, *arguments = command
    with warnings.catch_warnings():
        # A server may run in a thread here. What is forked does not care, it is replaced at once.
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        child = pexpect.spawn(
            program,
            arguments,
            dimensions=(ROWS, columns),
            env={**inherited, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment},
        )
    # It is made for programs that lose what comes too early.
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
    path: str, *options: str, columns: int = 80, **environment: str
) -> AbstractContextManager[Terminal]:
    """Run `chatproto chat` for alice.

    Args:
        path: The server's Unix socket.
        options: What else to call it with.
        columns: How wide the terminal is.
        environment: What else is in its environment.
    """
    return open_terminal([*CHAT, "alice", "--unix", path, *options], columns, **environment)
