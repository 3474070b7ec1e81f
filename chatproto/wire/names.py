"""Names of users and groups: what a name is, and which are reserved (protocol.md, section 1)."""

import re
from typing import Final

from .errors import ErrorCode, LocalProtocolError

NAME_MAX: Final = 64
"""The longest name in bytes of UTF-8."""

SERVER_NAME: Final = "*server*"
"""The name that the server's notices come from."""

GROUPS_NAME: Final = "*groups*"
"""The name of the service for groups (protocol.md, section 5)."""

# `\s` is Unicode white space; the two ranges are category Cc. Neither covers the other.
_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]+")


def check_name(name: str) -> None:
    """Refuse a string that is no name in the grammar.

    Raises:
        LocalProtocolError: With BAD_NAME.
        TypeError: It is not a `str`.
    """
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, not {type(name).__name__}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise LocalProtocolError(ErrorCode.BAD_NAME, "a name holds no lone surrogate") from None
    _check(name, size)


def check_unreserved(name: str) -> None:
    """Refuse a name that is reserved for the server.

    Raises:
        LocalProtocolError: With NAME_RESERVED.
    """
    if is_reserved(name):
        raise LocalProtocolError(ErrorCode.NAME_RESERVED, "names that start with * are reserved")


def is_reserved(name: str) -> bool:
    """Whether only the server may go by this name."""
    return name.startswith("*")


def _check(name: str, size: int) -> None:
    if not 0 < size <= NAME_MAX:
        raise LocalProtocolError(ErrorCode.BAD_NAME, f"a name has 1 to {NAME_MAX} bytes")
    if _NAME.fullmatch(name) is None:
        raise LocalProtocolError(
            ErrorCode.BAD_NAME, "a name holds no white space and no control characters"
        )


class NameCache(dict[bytes, str]):
    """Names by their bytes, each decoded and checked when it first appears.

    Nearly every line repeats a name, and a hit takes a tenth of the time that decoding takes. A
    full cache is cleared, so names that never come back can't make it grow.

    Args:
        size: The most names it holds.
    """

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __missing__(self, raw: bytes) -> str:
        """Decode and keep a name.

        Raises:
            LocalProtocolError: With BAD_NAME.
        """
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            raise LocalProtocolError(ErrorCode.BAD_NAME, "a name is UTF-8") from None
        _check(name, len(raw))
        if len(self) >= self._size:
            self.clear()
        self[raw] = name
        return name


NAMES: Final = NameCache(16384)
"""The names that this process has read. It only remembers the results of a pure function, so
connections that share it do not affect one another."""
