"""Texts and names of strangers, made safe to show."""

import re
from typing import Final
from unicodedata import category

_IGNORABLE: Final = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
"""Code points for which nothing is drawn: those with the property Default_Ignorable_Code_Point (The
Unicode Standard, section 5.21), assigned or not, and the marks of interlinear annotations."""

_BLANK: Final = "\u2800\U00013441\U00013442\U00016fe4\U0001d159"
"""Code points that are letters or symbols by their category, and look like a space."""

_SHAPING: Final = "\u070f\U00013430-\U00013440"
"""Code points that arrange the signs of their script, and show nothing among other signs."""

_NONCHARACTERS: Final = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}-{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
"""Code points that will never be characters (The Unicode Standard, section 23.7)."""

_IGNORED: Final = re.compile(f"[{_IGNORABLE}]")

_INVISIBLE: Final = re.compile(f"[{_IGNORABLE}{_BLANK}{_SHAPING}{_NONCHARACTERS}]")

_JOINERS: Final = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER. They shape words in Persian and other languages, and
make one emoji of several."""

_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
"""A black flag with the tags that say whose it is, and the tag that ends them (Unicode Technical
Standard 51, section 1.4.6)."""


def visible(text: str) -> str:
    r"""Make a text from a peer safe to show to people, with as few changes as possible.

    Every kind of space becomes a space. Joiners between letters or emoji stay, and so do
    backslashes and code points that are newer than this Python. For names, use `visible_name`.

    Args:
        text: Anything.

    Returns:
        The text with escapes, as in a Python string (`\x1b`, `\u202e`), for control characters,
        line ends, marks that change the direction of writing, and other invisible code points.
    """
    if text.isprintable():
        return text
    neighbours = zip(" " + text, text, text[1:] + " ", strict=False)
    shown = [_shown(before, each, after) for before, each, after in neighbours]
    for flag in _FLAG.finditer(text):
        shown[slice(*flag.span())] = flag[0]
    return "".join(shown)


def visible_name(name: str) -> str:
    r"""Make a name from a peer safe to show, with its invisible code points escaped.

    So names that differ only in such code points look different. Letters that look alike stay as
    they are.

    Args:
        name: Anything.

    Returns:
        The name with escapes, as in a Python string (`\u200d`, `\\`), for all that does not print,
        every other code point that is invisible or looks like a space, and backslashes.
    """
    return "".join(
        each
        if each.isprintable() and each != "\\" and _INVISIBLE.match(each) is None
        else _escape(each)
        for each in name
    )


def has_invisible(name: str) -> bool:
    """Whether a name has code points that are invisible or look like a space."""
    return not name.isascii() and _INVISIBLE.search(name) is not None


def _shown(before: str, each: str, after: str) -> str:
    """A code point of a text as it is shown between its neighbours."""
    kind = category(each)
    if kind == "Zs":
        return " "
    if each in _JOINERS:
        stays = _can_be_joined(before) and _can_be_joined(after)
    else:
        stays = each.isprintable() or (kind in ("Cf", "Cn", "Co") and _IGNORED.match(each) is None)
    return each if stays else _escape(each)


def _can_be_joined(each: str) -> bool:
    """Whether a code point is a letter, a mark on one, or an emoji."""
    return category(each)[0] in "LMS"


def _escape(each: str) -> str:
    return each.encode("unicode_escape").decode()
