"""Chat without a terminal: lines in, lines out."""

import sys
from collections.abc import AsyncIterator
from time import strftime

from chatproto import ErrorCode, Limits
from chatproto.wire.line_buffer import LineBuffer

from ..stdio import Input, Output
from .lines import Line, trouble


class Plain:
    """Standard input and output as they are. Imports no prompt_toolkit.

    Raises:
        click.ClickException: One of them is closed.
    """

    def __init__(self) -> None:
        self.patience = None
        """Nobody sits there and waits."""
        self._input = Input()
        self._output = Output()

    async def typed(self) -> AsyncIterator[str]:
        """The lines of standard input. What can't be decoded becomes surrogates."""
        # What a line says would not fit into a message if the line did not.
        limit = Limits().max_line
        lines = LineBuffer(limit)
        while data := await self._input.read():
            for line in lines.feed(data):
                if len(line) < limit:
                    yield _decode(line)
                else:
                    await self.show(trouble(f"{ErrorCode.LINE_TOO_LONG}: the line is too long"))
        if lines.partial:
            yield _decode(lines.partial)

    async def show(self, line: Line) -> None:
        """Print a line.

        Raises:
            BrokenPipeError: Nobody reads them any more.
        """
        text = "".join(text for _, text in line.fragments(strftime("%H:%M")))
        await self._output.write_line(text)


def _decode(line: bytes) -> str:
    return line.decode(sys.stdin.encoding, "surrogateescape")
