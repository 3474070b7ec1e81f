"""Strategies for names: good, reserved and bad ones."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...wire.names import GROUPS_NAME, NAME_MAX, SERVER_NAME

# All white space and all control characters are in these categories.
_CHARACTERS: Final = st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp"))

# Hypothesis shrinks towards "0", people write "a". Both ways, so no character is lost.
_LETTERS_FIRST: Final = str.maketrans("0123456789abcdefghij", "abcdefghij0123456789")

# A few names come often, so that senders and recipients have the same ones.
_COMMON: Final = ("a", "b", "alice", "bob", "g1")

_UNUSUAL: Final = (
    "é",
    "e\u0301",  # Not the same name as é: names are not normalised.
    "a*",
    "LOGIN",
    "CHAT/1.0",
    "\u200b",  # Zero width, but no white space.
    "\ufeff",
)

_WIDTHS: Final = ("a", "é", "語", "😀")
"""One character for each number of bytes that UTF-8 has."""

_NO_NAMES: Final = ("", " ", "a b", "\ud800", "a\udfff")

_NOT_IN_NAMES: Final = " \t\n\v\f\r\0\x1b\x1c\x7f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000"


def names() -> SearchStrategy[str]:
    """Names that a client may have: valid and not reserved, often nearly invalid."""
    return st.one_of(
        st.sampled_from(_COMMON), st.sampled_from(_UNUSUAL), _repeated(1, 100).map(_fit), _free(1)
    )


def reserved_names() -> SearchStrategy[str]:
    """Valid names that only the server may have."""
    known = st.sampled_from((SERVER_NAME, GROUPS_NAME, "*"))
    return known | names().map(lambda name: _fit("*" + name))


def bad_names() -> SearchStrategy[str]:
    """Strings that are no names: empty, too long, with a surrogate, white space or a control."""
    part, bad = names() | st.just(""), st.sampled_from(_NOT_IN_NAMES)
    return st.one_of(
        st.sampled_from(_NO_NAMES),
        st.tuples(part, bad, part).map("".join),
        _repeated(NAME_MAX + 1, 2 * NAME_MAX),
    )


def _free(min_size: int) -> SearchStrategy[str]:
    """Any characters that a name may have."""
    texts = st.text(_CHARACTERS, min_size=min_size, max_size=NAME_MAX)
    return texts.map(lambda text: _fit(text.translate(_LETTERS_FIRST)).lstrip("*") or "a")


# With `builds` and a lambda, Hypothesis would show that, and not the name.
@st.composite
def _repeated(draw: DrawFn, min_bytes: int, max_bytes: int) -> str:
    """One character several times, to get at a length; it may be a few bytes longer."""
    each, size = draw(st.sampled_from(_WIDTHS)), draw(st.integers(min_bytes, max_bytes))
    return each * -(-size // len(each.encode()))


def _fit(name: str) -> str:
    """Cut a string to the longest name."""
    return name.encode()[:NAME_MAX].decode(errors="ignore")
