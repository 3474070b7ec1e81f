"""Texts that are too long for one message, or have several lines."""

import re
from collections.abc import Iterator
from typing import Final
from unicodedata import category

from ..wire.codec import receive_prefix, with_label
from ..wire.limits import LineLimits
from ..wire.names import NAME_MAX
from .messages import encode_data

# What a line holds around the data, for the longest names: a recipient who has asked for labels
# gets the longest form (protocol.md, section 5). The last byte is the LF.
_AROUND: Final = len(with_label(receive_prefix("n" * NAME_MAX), "n" * NAME_MAX)) + 1

_LINE_END: Final = re.compile(r"\r*\n")

_ZERO_WIDTH_JOINER: Final = "\u200d"

_MOST_JOINED: Final = 32
"""The most characters that are kept together because they are shown as one. Longer runs are not
writing, and may be as long as the text."""


def split_text(text: str, limits: LineLimits = LineLimits()) -> list[str]:
    """Split a text into messages that fit into a line, for each sender and each recipient.

    Each line of the text becomes a message, an empty one too. A line that is too long becomes
    several. It is split at a space, which is left out, or within a word that has no space in half
    of the room; but not within a character, nor before an accent that is a character of its own.

    Args:
        text: The text.
        limits: The limits of the server, if they are not the default.

    Returns:
        At least one text. Each is valid as the data of a message.

    Raises:
        LocalProtocolError: MALFORMED, for a text with a lone surrogate.
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"split_text takes a str, not {type(text).__name__}")
    lines = _LINE_END.split(text)
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    room = limits.max_line - _AROUND
    return [part for line in lines for part in _split_line(line.rstrip("\r"), room)]


def _split_line(line: str, room: int) -> Iterator[str]:
    data = encode_data(line)
    while len(data) > room:
        end = start = data.rfind(b" ", room // 2, room + 1)
        if end >= 0:
            start += 1
        else:
            end = start = _end_of_character(data, room)
        # No message ends with a CR.
        yield data[:end].decode().rstrip("\r")
        data = data[start:]
    yield data.decode()


def _end_of_character(data: bytes, room: int) -> int:
    """The last place, `room` at most, where one character ends and another one starts."""
    while data[room] & 0xC0 == 0x80:
        # In the middle of the bytes of one character (RFC 3629, section 3).
        room -= 1
    # Each has four bytes at most. The first and the last may be incomplete.
    around = data[max(0, room - 4 * _MOST_JOINED) : room + 4].decode(errors="ignore")
    following = len(around) - len(data[room : room + 4].decode(errors="ignore"))
    end = following
    while end > 1 and _are_joined(around[end - 1], around[end]):
        end -= 1
    return room if end <= 1 else room - len(around[end:following].encode())


def _are_joined(character: str, following: str) -> bool:
    """Whether two characters are shown as one: an accent, a skin tone, a joined emoji."""
    return (
        _ZERO_WIDTH_JOINER in (character, following)
        or category(following).startswith("M")
        or "\U0001f3fb" <= following <= "\U0001f3ff"
    )
