"""Chat without a terminal: plain lines on standard input and output."""

import sys
from collections import deque
from collections.abc import AsyncIterator
from time import strftime

import anyio

from ..stdio import InputLine, StandardInput, StandardOutput
from .lines import OutputLine


class PlainInterface:
    """A `UserInterface` on standard input and output. It does not need prompt_toolkit.

    Raises:
        click.ClickException: Standard input or output is closed.
    """

    def __init__(self) -> None:
        self._input = StandardInput()
        self._output = StandardOutput()
        self._unread: deque[InputLine] = deque()

    async def read(self) -> AsyncIterator[str]:
        """Read lines. Bytes that the encoding does not have become surrogates."""
        while lines := await self._input.read_lines():
            self._unread.extend(lines)
            while self._unread:
                line = self._unread.popleft()
                if isinstance(line, bytes):
                    yield _decode(line)
                else:
                    await self.show(OutputLine.error(str(line)))

    def take_unread(self) -> list[str]:
        """Take the lines that arrived together with the last one that was read."""
        lines = [_decode(line) for line in self._unread if isinstance(line, bytes)]
        self._unread.clear()
        return lines

    async def wait_until_ended(self) -> None:
        """Wait for ever: no user waits, so the client's own timeout is enough."""
        await anyio.sleep_forever()

    async def show(self, line: OutputLine) -> None:
        """Print a line.

        Raises:
            BrokenPipeError: Nobody reads the output any more.
        """
        text = "".join(text for _, text in line.fragments(strftime("%H:%M")))
        await self._output.write_line(text)


def _decode(line: bytes) -> str:
    return line.decode(sys.stdin.encoding, "surrogateescape")
