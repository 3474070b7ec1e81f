"""chatproto_anyio.cli.stdio: how standard input becomes lines.

The tests of `send` and `listen` have the kinds of files that standard input and output may be.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import anyio
import pytest

from chatproto import LocalProtocolError
from chatproto_anyio.cli import stdio
from chatproto_anyio.cli.stdio import StandardInput

from ..servers import TIMEOUT

pytestmark = pytest.mark.anyio

LINE_MAX = 8
TOO_LONG = "LINE_TOO_LONG: the line is too long"


@pytest.fixture
def anyio_backend() -> str:
    """The commands that are clients run on asyncio."""
    return "asyncio"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    """The writing end of standard input."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(stdio, "LINE_MAX", LINE_MAX)
        yield pipe


async def read_all() -> list[str]:
    """Read to the end; errors as their messages."""
    standard_input = StandardInput()
    lines: list[str] = []
    while batch := await standard_input.read_lines():
        lines += [line.decode() if isinstance(line, bytes) else str(line) for line in batch]
    assert await standard_input.read_lines() == []
    return lines


@pytest.mark.parametrize("read_size", [1, 3, 65536])
@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\n\ntwo", ["one", "", "two"]),
        (b"one\r\ntwo\r\r\n\r\n", ["one", "two\r", ""]),
        (b"in\rside\nlast\r", ["in\rside", "last\r"]),
        (b"1234567\n1234567", ["1234567", "1234567"]),
        (b"12345678\nnext\n", [TOO_LONG, "next"]),
        (b"one\n" + b"x" * 100 + b"\n\nnext", ["one", TOO_LONG, "", "next"]),
        (b"12345678", [TOO_LONG]),
        (b"x" * 100, [TOO_LONG]),
        (b"x" * 9 + b"\n" + b"y" * 9 + b"\nz", [TOO_LONG, TOO_LONG, "z"]),
    ],
)
async def test_lines(
    pipe: BinaryIO,
    monkeypatch: pytest.MonkeyPatch,
    read_size: int,
    data: bytes,
    lines: list[str],
) -> None:
    monkeypatch.setattr(stdio, "READ_SIZE", read_size)
    with closing(pipe):
        pipe.write(data)
    assert await read_all() == lines


async def test_lines_come_before_the_input_ends(pipe: BinaryIO) -> None:
    with anyio.fail_after(TIMEOUT):
        standard_input = StandardInput()
        pipe.write(b"one\ntwo\nthr")
        assert await standard_input.read_lines() == [b"one", b"two"]
        pipe.write(b"ee\n")
        assert await standard_input.read_lines() == [b"three"]


async def test_a_long_line_is_an_error_before_it_ends(pipe: BinaryIO) -> None:
    with anyio.fail_after(TIMEOUT):
        standard_input = StandardInput()
        pipe.write(b"x" * LINE_MAX)
        [error] = await standard_input.read_lines()
        assert isinstance(error, LocalProtocolError)
        pipe.write(b"still the same line\nnext\n")
        assert await standard_input.read_lines() == [b"next"]
