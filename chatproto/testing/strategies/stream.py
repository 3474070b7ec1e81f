"""Strategies for what may arrive on a connection, and in which pieces."""

import re
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from .line import near_valid_lines, valid_lines

_RUN_MAX = 5000
_WINDOW = 256


def hostile_lines() -> SearchStrategy[bytes]:
    """Lines that no honest peer sends: noise, and lines at and over the limit; some have no end."""
    starts = st.sampled_from((b"", b" ", b"\0", b"CHAT/1.0", b"CHAT/1.0 SEND bob ", b"CHAT/1.0 \r"))
    ends = st.sampled_from((b"\n", b"\r\n", b"\r\r\n", b""))
    return _noise(starts, ends) | _filled(starts, ends)


# With `builds` or `map` and a lambda, Hypothesis would show that, and not what it returns.
@st.composite
def _noise(draw: DrawFn, starts: SearchStrategy[bytes], ends: SearchStrategy[bytes]) -> bytes:
    """Any bytes."""
    return draw(starts) + draw(st.binary()) + draw(ends)


@st.composite
def _filled(draw: DrawFn, starts: SearchStrategy[bytes], ends: SearchStrategy[bytes]) -> bytes:
    """A line that is made as long as a limit, or a little longer or shorter."""
    start, fill = draw(starts), draw(st.sampled_from((b"x", b"\0", b" ", b"\r", b"\xff")))
    size, end = draw(st.sampled_from((0, 1, 4094, 4095, 4096, 4097, 5000))), draw(ends)
    return start.ljust(size - len(end), fill) + end


def hostile_bytes() -> SearchStrategy[bytes]:
    """Noise: random bytes, long runs of one byte, and hostile lines in a row."""
    return st.binary() | _runs() | st.lists(hostile_lines(), max_size=5).map(b"".join)


@st.composite
def _runs(draw: DrawFn) -> bytes:
    """A few bytes again and again."""
    piece = draw(st.sampled_from((b"\n", b"\r", b"\r\n", b"\0", b" ", b"\xff", b"CHAT/1.0 ")))
    size = draw(st.integers(0, _RUN_MAX))
    return (piece * size)[:size]


def streams() -> SearchStrategy[bytes]:
    """Streams of valid, nearly valid and hostile lines."""
    near_valid = near_valid_lines().map(lambda judged: judged.line)
    return st.lists(st.one_of(valid_lines(), near_valid, hostile_lines())).map(b"".join)


def chunkings(stream: bytes) -> SearchStrategy[list[bytes]]:
    """Ways in which a stream may arrive: whole, in a few pieces, or in many small ones.

    Many cuts are in front of an LF or behind it. Some pieces are empty. A short stream also comes
    byte by byte. They shrink towards few pieces.

    Args:
        stream: The stream that the chunks make up.
    """
    # All cuts are counted from the end: so one between CR and LF stays there while the line
    # shrinks.
    whole: SearchStrategy[list[int]] = st.just([])
    few = st.lists(st.integers(0, len(stream)), max_size=10)
    cuts = whole | few | _many(len(stream))
    if b"\n" in stream:
        behind = [len(stream) - found.end() for found in re.finditer(b"\n", stream)]
        ends = [cut for place in reversed(behind) for cut in (place + 1, place)]
        cuts |= st.lists(st.sampled_from(ends), min_size=1, max_size=3)
    return _cut(stream, cuts)


@st.composite
def _cut(draw: DrawFn, stream: bytes, cuts: SearchStrategy[list[int]]) -> list[bytes]:
    """The pieces of a stream."""
    places = sorted(len(stream) - cut for cut in draw(cuts))
    return [stream[a:b] for a, b in pairwise([0, *places, len(stream)])]


@st.composite
def _many(draw: DrawFn, size: int) -> list[int]:
    """Many places in a part of a stream.

    Each place is a byte of its own, which shrinks to zero, no cut, whatever the others are. Sizes
    of pieces would not do: a piece can't grow while others shrink.
    """
    places = min(size, _WINDOW)
    first = draw(st.integers(0, size - places))
    least = draw(st.sampled_from((240, 128, 1)))
    marks = draw(st.binary(min_size=places, max_size=places))
    return [first + at for at, mark in enumerate(marks) if mark >= least]
