"""Strategies for what may arrive on a connection, and in which pieces."""

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
    noise = st.builds(lambda start, raw, end: start + raw + end, starts, st.binary(), ends)
    return noise | _filled(starts, ends)


# With `builds` and a lambda, Hypothesis would show that, and not the line.
@st.composite
def _filled(draw: DrawFn, starts: SearchStrategy[bytes], ends: SearchStrategy[bytes]) -> bytes:
    """A line that is made as long as a limit, or a little longer or shorter."""
    start, fill = draw(starts), draw(st.sampled_from((b"x", b"\0", b" ", b"\r", b"\xff")))
    size, end = draw(st.sampled_from((0, 1, 4094, 4095, 4096, 4097, 5000))), draw(ends)
    return start.ljust(size - len(end), fill) + end


def hostile_bytes() -> SearchStrategy[bytes]:
    """Noise: random bytes, long runs of one byte, and hostile lines in a row."""
    runs = st.builds(
        lambda piece, size: (piece * size)[:size],
        st.sampled_from((b"\n", b"\r", b"\r\n", b"\0", b" ", b"\xff", b"CHAT/1.0 ")),
        st.integers(0, _RUN_MAX),
    )
    return st.binary() | runs | st.lists(hostile_lines(), max_size=5).map(b"".join)


def streams() -> SearchStrategy[bytes]:
    """Streams of valid, nearly valid and hostile lines."""
    near_valid = near_valid_lines().map(lambda judged: judged.line)
    return st.lists(st.one_of(valid_lines(), near_valid, hostile_lines())).map(b"".join)


def chunkings(stream: bytes) -> SearchStrategy[list[bytes]]:
    """Ways in which a stream may arrive: whole, in a few pieces, or in many small ones.

    Some pieces are empty. A short stream also comes byte by byte. They shrink towards few pieces.

    Args:
        stream: The stream that the chunks make up.
    """
    few = st.lists(st.integers(0, len(stream)), max_size=10)
    whole: SearchStrategy[list[int]] = st.just([])
    cuts = whole | few | _many(len(stream))
    return cuts.map(
        lambda cuts: [stream[a:b] for a, b in pairwise([0, *sorted(cuts), len(stream)])]
    )


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
