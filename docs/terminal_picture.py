"""Run `chatproto chat` in a terminal, and draw what it shows as `terminal.svg`, beside this file.

The server, the program, and the users who talk to it are real. Only the times are not: each line
has the same one, so that the same conversation makes the same file.
"""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self
from xml.sax.saxutils import escape

import pyte

from chatproto_sync import Server, connect

SVG: Final = Path(__file__).with_name("terminal.svg")
"""The picture in the repository."""

COLUMNS: Final = 56
ROWS: Final = 40
"""More than the conversation needs. The picture ends with the prompt."""

TIMEOUT: Final = 30.0
"""Seconds until what somebody waits for must have happened."""

COMMAND: Final = "chatproto chat alice"

PROGRAM: Final = """
from chatproto_anyio.cli.chat import command, conversation
conversation.SHOW_DELAY = conversation.WAIT_INFO_DELAY = command.HEARTBEAT = 3600.0
from chatproto.__main__ import main
main()
"""
"""The command, but on a slow machine it does not tell the user that it waits."""

TIME: Final = "16:05"
"""The time of every line."""

COLUMN_WIDTH, ROW_HEIGHT = 8.4, 20
LEFT, TOP = 16, 44

CLASSES: Final = {
    "green": "green",
    "brightblue": "blue",
    "cyan": "cyan",
    "red": "red",
    "magenta": "magenta",
    "default": "",
}
"""The class of each colour that the program may use, by the colour's name in pyte."""

STYLE: Final = """\
.chat-terminal{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
max-width:100%;height:auto}
.chat-terminal text{fill:#e6edf3;white-space:pre}
.chat-terminal .pane{fill:#161b22;stroke:#6e7681}
.chat-terminal .button{fill:#6e7681}
.chat-terminal .title{fill:#b1bac4;text-anchor:middle}
.chat-terminal .bold{font-weight:700}
.chat-terminal .underline{text-decoration:underline}
.chat-terminal .cursor{fill:#e6edf3}
.chat-terminal .green{fill:#56d364}
.chat-terminal .blue{fill:#79c0ff}
.chat-terminal .cyan{fill:#4dd0e1}
.chat-terminal .red{fill:#ff7b72}
.chat-terminal .magenta{fill:#d2a8ff}"""
"""The pane is dark on light pages too, as most terminals are."""


class _Screen(pyte.Screen):
    """A screen that tells the program where the cursor is, as terminals do."""

    answer: Callable[[str], None]

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class Terminal:
    """A terminal with `chatproto chat alice` in it. Its context runs the program.

    Args:
        path: The server's Unix socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.screen = _Screen(COLUMNS, ROWS)
        self.screen.answer = self.type
        self._stream = pyte.ByteStream(self.screen)
        # What a shell would have shown.
        self._stream.feed(f"$ {COMMAND}\r\n".encode())

    def __enter__(self) -> Self:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, (ROWS, COLUMNS))
        environment = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
        environment |= {"TERM": "xterm-256color", "PYTHONUTF8": "1", "CHATPROTO_UNIX": self._path}
        self._fd = ours
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", PROGRAM, *COMMAND.split()[1:]],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
        )
        os.close(theirs)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._fd)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def wait_for(self, text: str) -> None:
        """Show what the program writes, until a text is on the screen.

        Raises:
            TimeoutError: It does not appear.
        """
        end = time.monotonic() + TIMEOUT
        while not any(text in line for line in self.screen.display):
            ready, _, _ = select.select([self._fd], [], [], max(0, end - time.monotonic()))
            data = b""
            # Linux has an error for the end of a program.
            with contextlib.suppress(OSError):
                data = os.read(self._fd, 65536) if ready else data
            if not data:
                shown = "\n".join(map(str.rstrip, self.screen.display)).rstrip()
                raise TimeoutError(f"{text!r} does not appear:\n{shown}")
            self._stream.feed(data)


@contextlib.contextmanager
def _serve(path: str) -> Iterator[None]:
    server = Server(unix=path)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def converse() -> pyte.Screen:
    """Let alice talk to bob and carol.

    Returns:
        Alice's screen at the end.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        path = f"{folder}/chat"
        stack.enter_context(_serve(path))
        bob, carol = (
            stack.enter_context(connect(name=name, unix=path)) for name in ("bob", "carol")
        )
        terminal = stack.enter_context(Terminal(path))
        terminal.wait_for("alice: ")
        bob.send("alice", "Good afternoon! Do you have ten minutes?")
        terminal.wait_for("ten minutes?")
        terminal.type("/reply ")
        terminal.wait_for("alice: /msg bob ")
        terminal.type("For tea, always.\r")
        terminal.wait_for("-> bob: For tea, always.")
        terminal.type("/group tea alice bob carol\r")
        terminal.wait_for("asked for group tea")
        terminal.type("/say tea The kettle is on.\r")
        terminal.wait_for("-> group tea: The kettle is on.")
        carol.reply(next(iter(carol)), "With milk for me, please.")
        terminal.wait_for("#tea <carol> With milk for me, please.")
        terminal.type("/reply ")
        terminal.wait_for("alice: /say tea ")
        terminal.type("Of course.\r")
        terminal.wait_for("-> group tea: Of course.")
        terminal.type("/msg dave Tea?\r")
        terminal.wait_for("dave is not online")
        terminal.type("/to-group tea\r")
        terminal.wait_for("* you talk to group tea")
        terminal.wait_for("alice -> group tea: ")
        terminal.type("Who brings bis")
        terminal.wait_for("alice -> group tea: Who brings bis")
        return terminal.screen


def picture() -> str:
    """The whole picture."""
    screen = converse()
    last = screen.cursor.y
    width = round(2 * LEFT + COLUMNS * COLUMN_WIDTH)
    height = TOP + (last + 1) * ROW_HEIGHT + 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chat-terminal" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    )
    parts = [
        head,
        "<title>A conversation in chatproto chat</title>",
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="pane" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *(f'<circle class="button" cx="{x}" cy="18" r="5"/>' for x in (20, 38, 56)),
        f'<text class="title" x="{width / 2:g}" y="23">{COMMAND}</text>',
    ]
    for row in range(last + 1):
        parts += _row(screen, row)
    x, y = LEFT + screen.cursor.x * COLUMN_WIDTH, TOP + last * ROW_HEIGHT + 2
    parts.append(
        f'<rect class="cursor" x="{x:g}" y="{y}" width="{COLUMN_WIDTH}" height="{ROW_HEIGHT - 3}"/>'
    )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _row(screen: pyte.Screen, row: int) -> list[str]:
    """The texts of a row, one for each change of the colour."""
    line = screen.display[row].rstrip()
    styles: list[tuple[str, ...]] = []
    for column, character in enumerate(line):
        cell = screen.buffer[row][column]
        # A space looks the same in every style, and which one it has may differ.
        is_space = character == " " and styles
        looks = (CLASSES[cell.fg], "bold" * cell.bold, "underline" * cell.underscore)
        styles.append(styles[-1] if is_space else looks)
    line = re.sub(r"^\d\d:\d\d(?= )", TIME, line)
    parts = []
    column = 0
    for style, group in groupby(styles):
        text = line[column:][: len(list(group))]
        classes = " ".join(filter(None, style))
        attribute = f' class="{classes}"' if classes else ""
        x, y = LEFT + column * COLUMN_WIDTH, TOP + row * ROW_HEIGHT + 15
        column += len(text)
        text = text.rstrip()
        parts.append(
            f'<text{attribute} x="{x:g}" y="{y}" textLength="{len(text) * COLUMN_WIDTH:g}">'
            f"{escape(text)}</text>"
        )
    return parts


if __name__ == "__main__":
    SVG.write_text(picture(), encoding="utf-8")
