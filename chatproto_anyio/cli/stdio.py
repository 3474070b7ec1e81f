"""Standard input and output for an event loop: waiting for them stops nothing else."""

import contextlib
import os
import select
import stat
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TextIO

import anyio
import click

READ_SIZE: Final = 65536
"""As much as a pipe holds on Linux."""

# What a pipe is sure to take at once when it takes anything. Not every platform says.
_WRITE_SIZE: Final = getattr(select, "PIPE_BUF", 512)


class Input:
    """Standard input.

    Raises:
        click.ClickException: It is closed.
    """

    def __init__(self) -> None:
        self._fd = _descriptor(sys.stdin, "input")

    async def read(self) -> bytes:
        """What has arrived, at least one octet; none at the end.

        Raises:
            click.ClickException: It can't be read.
        """
        while True:
            await _wait(anyio.wait_readable, self._fd)
            try:
                return os.read(self._fd, READ_SIZE)
            except BlockingIOError:
                # Somebody who has it, too, was faster.
                continue
            except OSError as error:
                text = f"can't read standard input: {error.strerror}"
                raise click.ClickException(text) from None


class Output:
    """Standard output, unbuffered. Tasks may share it.

    Raises:
        click.ClickException: It is closed.
    """

    def __init__(self) -> None:
        self._fd = _descriptor(sys.stdout, "output")
        self._turn = anyio.Lock(fast_acquire=True)

    async def write_line(self, line: str) -> None:
        """Write a line whole, and its LF. What the encoding does not have is escaped.

        Raises:
            BrokenPipeError: Nobody reads it any more.
            click.ClickException: It can't be written.
        """
        rest = f"{line}\n".encode(sys.stdout.encoding, "backslashreplace")
        async with self._turn:
            while rest:
                await _wait(anyio.wait_writable, self._fd)
                try:
                    rest = rest[os.write(self._fd, rest[:_WRITE_SIZE]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise
                except OSError as error:
                    text = f"can't write to standard output: {error.strerror}"
                    raise click.ClickException(text) from None

    async def wait_until_unread(self) -> None:
        """Wait until nobody reads it any more. Only of a pipe can that be known."""
        if stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            # The writing end becomes readable when there is no reading end.
            await _wait(anyio.wait_readable, self._fd)
            poll = select.poll()
            poll.register(self._fd, 0)
            # A named pipe that was opened for both is readable once something is in it.
            if poll.poll(0):
                return
        await anyio.sleep_forever()


def _descriptor(stream: TextIO | None, which: str) -> int:
    # Something else may have its number by now.
    if stream is None:
        raise click.ClickException(f"standard {which} is closed")
    return stream.fileno()


async def _wait(ready: Callable[[int], Awaitable[None]], fd: int) -> None:
    # Files never make anybody wait. Some selectors say so by not taking them, while others take
    # them but do not report their end.
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        with contextlib.suppress(OSError):
            await ready(fd)
