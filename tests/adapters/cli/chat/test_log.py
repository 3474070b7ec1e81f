"""chatproto_anyio.cli.chat.log: what a conversation shows, in a file."""

import os
import re
import sys
from contextlib import closing
from pathlib import Path

import anyio
import click
import pytest

from chatproto import Message
from chatproto_anyio.cli.chat.lines import OutputLine
from chatproto_anyio.cli.chat.log import LogFile, LoggedInterface
from chatproto_anyio.cli.chat.plain import PlainInterface

ONE, TWO = OutputLine.received(Message("bob", b"one")), OutputLine.info("\udcff")


class Shown(PlainInterface):
    """Keeps what it shows."""

    def __init__(self) -> None:
        self.lines: list[OutputLine] = []

    async def show(self, line: OutputLine) -> None:
        self.lines.append(line)


def show(log: LogFile, *lines: OutputLine) -> list[OutputLine]:
    """Show lines; return what is shown."""
    shown = Shown()

    async def main() -> None:
        interface = LoggedInterface(shown, log)
        for line in lines:
            await interface.show(line)

    with closing(log):
        anyio.run(main)
    return shown.lines


def test_lines_are_added_with_date_and_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert show(LogFile(str(path)), ONE) == [ONE]
    assert show(LogFile(str(path)), TWO) == [TWO]
    lines = path.read_text().splitlines()
    assert [line[20:] for line in lines] == ["<bob> one", "* \\udcff"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116 - the mode, not the file


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /dev/full")
def test_a_file_that_is_full_does_not_stop_the_chat() -> None:
    error = OutputLine.error("/dev/full gets no more lines: No space left on device")
    assert show(LogFile("/dev/full"), ONE, TWO) == [ONE, error, TWO]


def test_a_file_that_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match="Is a directory"):
        LogFile(str(tmp_path))
