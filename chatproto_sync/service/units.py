"""Sizes and times as people write them: `64k`, `1M`, `10s`, `5m`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isinf
from typing import Any, Final

HELP: Final = (
    "BYTES may end with k, M or G, as in 64k: 1k is 1024 bytes, 1M is 1024k, 1G is 1024M. SECONDS"
    " may end with ms, s, m or h, as in 10s or 5m."
)
"""What the help says about both."""

_SIZES: Final = {"g": 1 << 30, "m": 1 << 20, "k": 1 << 10, "": 1}
_TIMES: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0, "ms": 0.001}


def size_of(text: str) -> int:
    """The bytes that a text such as `64k` stands for.

    Raises:
        ValueError: It stands for none. The error says what to write.
    """
    try:
        [(number, suffix)] = re.findall(r"^(.*?)([kKmMgG]?)\Z", text)
        return int(number) * _SIZES[suffix.lower()]
    except ValueError:
        raise ValueError(
            f"{text!r} is not a size: write a whole number of bytes, or one with k, M or G such as"
            " 64k"
        ) from None


def text_of_size(size: int) -> str:
    """The shortest text that stands for a size."""
    for suffix, shown in (("g", "G"), ("m", "M"), ("k", "k")):
        if size and size % _SIZES[suffix] == 0:
            return f"{size // _SIZES[suffix]}{shown}"
    return str(size)


def time_of(text: str) -> float:
    """The seconds that a text such as `10s` or `5m` stands for.

    Raises:
        ValueError: It stands for none. The error says what to write.
    """
    try:
        [(number, suffix)] = re.findall(r"^(.*?)(ms|s|m|h|)\Z", text)
        return float(number) * _TIMES[suffix]
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time: write a number of seconds, or one with ms, s, m or h such as"
            " 10s"
        ) from None


def text_of_time(seconds: float) -> str:
    """A text that stands for a time, with the largest unit in which it is a whole number."""
    if isinf(seconds):
        return "inf"
    suffix = next((each for each in "hm" if seconds and seconds % _TIMES[each] == 0), "s")
    return f"{seconds / _TIMES[suffix]:.12g}{suffix}"


@dataclass(frozen=True, slots=True)
class Unit:
    """What the number of an option counts."""

    metavar: str
    """What the help calls the text: the unit of numbers without a suffix."""
    example: str
    """A text with a suffix."""
    value_of: Callable[[str], Any]
    """Turns a text into a number, or raises ValueError with words for people."""
    text_of: Callable[[Any], str]
    """Turns a number into a text."""


SIZE: Final = Unit("BYTES", "64k", size_of, text_of_size)
"""Bytes."""

TIME: Final = Unit("SECONDS", "10s", time_of, text_of_time)
"""Seconds."""
