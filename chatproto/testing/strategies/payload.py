"""Strategies for the data of messages."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

DATA_MAX: Final = 4010
"""The most bytes of data that fit into a line of the default limit, whatever its command and name,
and with CR LF at its end."""

_UNUSUAL: Final = (
    b"  hi  there ",
    b"\0",
    b"\r.",
    b"a\rb",
    b"\xff\xfe",
    b"\x1b[2J",
    b"CHAT/1.0 LOGOUT",
)

# Hypothesis shrinks towards NUL, people write "a". No byte is lost.
_LETTERS_FIRST: Final = bytes((byte + ord("a")) % 256 for byte in range(256))


def data(max_size: int = DATA_MAX) -> SearchStrategy[bytes]:
    """Data that a line can hold: any bytes without LF, the last one not CR.

    Args:
        max_size: The most bytes.
    """
    unusual = [each[:max_size].rstrip(b"\r") for each in _UNUSUAL]
    return st.one_of(
        st.just(b""),
        st.just(b"hi"[:max_size]),
        st.binary(max_size=max_size).map(_clean),
        st.sampled_from(unusual),
        _repeated(max_size),
    )


# With a lambda, Hypothesis would show that, and not the data.
@st.composite
def _repeated(draw: DrawFn, max_size: int) -> bytes:
    """One byte several times; often as often as it may be."""
    return b"a" * min(draw(st.integers(0, max_size + max_size // 2)), max_size)


def _clean(raw: bytes) -> bytes:
    return raw.translate(_LETTERS_FIRST).replace(b"\n", b"").rstrip(b"\r")
