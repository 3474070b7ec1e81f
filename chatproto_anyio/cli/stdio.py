"""Standard input and output without blocking the event loop."""

import contextlib
import os
import select
import stat
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TextIO, TypeAlias

import anyio
import click

from chatproto import ErrorCode, Limits, LocalProtocolError

READ_SIZE: Final = 65536
"""Bytes to read at once: as many as a pipe holds on Linux."""

LINE_MAX: Final = Limits().max_line
"""A line of input has fewer bytes than this: a longer one fits into no line of the protocol."""

InputLine: TypeAlias = bytes | LocalProtocolError
"""A line without its LF or CR LF, or LINE_TOO_LONG in its place."""


class StandardInput:
    """Reads lines from standard input.

    Raises:
        click.ClickException: Standard input is closed.
    """

    def __init__(self) -> None:
        self._fd = _descriptor(sys.stdin, "input")
        self._partial = b""
        self._discarding = False

    async def read_lines(self) -> list[InputLine]:
        """Wait for lines.

        Returns:
            The lines that have arrived; none at the end of the input. The last line needs no LF.

        Raises:
            click.ClickException: Standard input can't be read.
        """
        while data := await self._read():
            if lines := self._split(data):
                return lines
        last, self._partial = self._partial, b""
        return [last] if last else []

    def _split(self, data: bytes) -> list[InputLine]:
        """Split what has arrived into lines, and keep the last one until it is complete."""
        *complete, partial = (self._partial + data).split(b"\n")
        if complete and self._discarding:
            del complete[0]
            self._discarding = False
        lines: list[InputLine] = [
            line.removesuffix(b"\r") if len(line) < LINE_MAX else _too_long() for line in complete
        ]
        if self._discarding:
            partial = b""
        elif len(partial) >= LINE_MAX:
            # Its end may never come.
            lines.append(_too_long())
            partial = b""
            self._discarding = True
        self._partial = partial
        return lines

    async def _read(self) -> bytes:
        while True:
            await _wait(anyio.wait_readable, self._fd)
            try:
                return os.read(self._fd, READ_SIZE)
            except BlockingIOError:
                # Another process that shares the input has read it first.
                continue
            except OSError as error:
                text = f"can't read standard input: {error.strerror}"
                raise click.ClickException(text) from None


class StandardOutput:
    """Writes lines to standard output, unbuffered. Tasks may share it.

    Raises:
        click.ClickException: Standard output is closed.
    """

    def __init__(self) -> None:
        self._fd = _descriptor(sys.stdout, "output")
        self._lock = anyio.Lock(fast_acquire=True)

    async def write_line(self, line: str) -> None:
        """Write a whole line. Characters that the encoding does not have are escaped.

        Args:
            line: The line without its LF.

        Raises:
            BrokenPipeError: Nobody reads the output any more.
            click.ClickException: Standard output can't be written.
        """
        unwritten = f"{line}\n".encode(sys.stdout.encoding, "backslashreplace")
        async with self._lock:
            while unwritten:
                await _wait(anyio.wait_writable, self._fd)
                try:
                    # More than this could block.
                    count = os.write(self._fd, unwritten[: select.PIPE_BUF])
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise
                except OSError as error:
                    text = f"can't write to standard output: {error.strerror}"
                    raise click.ClickException(text) from None
                unwritten = unwritten[count:]

    async def wait_until_unread(self) -> None:
        """Wait until nobody reads the output any more: for ever, if it is not a pipe."""
        if stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            # The writing end becomes readable when there is no reading end.
            await _wait(anyio.wait_readable, self._fd)
            poll = select.poll()
            poll.register(self._fd, 0)
            # A named pipe that is open for reading and writing is also readable when it holds data.
            if poll.poll(0):
                return
        await anyio.sleep_forever()


def _descriptor(stream: TextIO | None, which: str) -> int:
    # If the stream is closed, another file may have its number by now.
    if stream is None:
        raise click.ClickException(f"standard {which} is closed")
    return stream.fileno()


def _too_long() -> LocalProtocolError:
    return LocalProtocolError(ErrorCode.LINE_TOO_LONG, "the line is too long")


async def _wait(ready: Callable[[int], Awaitable[None]], fd: int) -> None:
    # Files are always ready. epoll refuses them, and kqueue does not report their end.
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        # epoll refuses some devices, too: /dev/null is one.
        with contextlib.suppress(OSError):
            await ready(fd)
