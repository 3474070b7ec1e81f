"""Chat without a terminal: plain lines on standard input and output."""

import sys
from collections.abc import AsyncIterator
from time import strftime

from ..stdio import StandardInput, StandardOutput
from .lines import OutputLine


class PlainInterface:
    """A `UserInterface` on standard input and output. It does not need prompt_toolkit.

    Raises:
        click.ClickException: Standard input or output is closed.
    """

    def __init__(self) -> None:
        self.flush_timeout: None = None
        """No user waits at the terminal, so the client's own timeout is enough."""
        self._input = StandardInput()
        self._output = StandardOutput()

    async def read(self) -> AsyncIterator[str]:
        """Read lines. Bytes that the encoding does not have become surrogates."""
        while lines := await self._input.read_lines():
            for line in lines:
                if isinstance(line, bytes):
                    yield line.decode(sys.stdin.encoding, "surrogateescape")
                else:
                    await self.show(OutputLine.error(str(line)))

    async def show(self, line: OutputLine) -> None:
        """Print a line.

        Raises:
            BrokenPipeError: Nobody reads the output any more.
        """
        text = "".join(text for _, text in line.fragments(strftime("%H:%M")))
        await self._output.write_line(text)
