"""Keep what a conversation shows in a file."""

import os
from collections.abc import AsyncIterator
from time import strftime
from typing import Final

import click

from .conversation import UserInterface
from .lines import OutputLine

MODE: Final = 0o600
"""The mode of a new file: what others have written is for this user alone."""


class LogFile:
    """A file to which lines are added.

    Args:
        path: Where the file is. It is made if it does not exist.

    Raises:
        click.BadParameter: It can't be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            # Without a buffer: each line is in the file when it is on the screen.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as error:
            raise click.BadParameter(f"{path}: {error.strerror}", param_hint="'--log'") from None
        self._file = os.fdopen(descriptor, "ab", buffering=0)

    def write(self, line: OutputLine) -> str | None:
        """Add a line with its date and time.

        Returns:
            The words for an error; None for none. After an error, nothing more is written.
        """
        if self._file.closed:
            return None
        text = f"{strftime('%Y-%m-%d %H:%M:%S')} {line}\n"
        try:
            self._file.write(text.encode(errors="backslashreplace"))
        except OSError as error:
            self._file.close()
            return f"{self._path} gets no more lines: {error.strerror}"
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LoggedInterface:
    """A `UserInterface` whose lines also go to a file.

    Args:
        interface: The interface.
        log: The file.
    """

    def __init__(self, interface: UserInterface, log: LogFile) -> None:
        self._interface = interface
        self._log = log

    def read(self) -> AsyncIterator[str]:
        """Read what the user types."""
        return self._interface.read()

    def take_unread(self) -> list[str]:
        """Take what the user has typed and nobody has read."""
        return self._interface.take_unread()

    async def wait_until_ended(self) -> None:
        """Wait until the user has quit."""
        await self._interface.wait_until_ended()

    async def show(self, line: OutputLine) -> None:
        """Write a line to the file, and show it."""
        error = self._log.write(line)
        await self._interface.show(line)
        if error is not None:
            await self._interface.show(OutputLine.error(error))
