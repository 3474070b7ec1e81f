"""What a client hears: people, the server, and that something may have been missed."""

from dataclasses import dataclass
from typing import final

from ..wire.errors import ErrorCode, LocalProtocolError


@final
@dataclass(frozen=True, slots=True)
class Message:
    """What somebody has sent to this client, directly or to a group that it is in."""

    sender: str
    """Who sent it. The server vouches for that as far as it checks who logs in."""

    data: bytes
    """What they sent; any octets but LF, not ending with CR."""

    @property
    def text(self) -> str:
        """The data as UTF-8; what is none becomes U+FFFD. Use `visible` before you show it."""
        return self.data.decode(errors="replace")


@final
@dataclass(frozen=True, slots=True)
class Notice:
    """What the server itself has to say (protocol.md, section 3)."""

    code: str
    """Why something was refused: an `ErrorCode` if this library knows it, which equals the same
    word as a `str`. Empty when the server's words do not have the usual form."""

    command: str
    """The command that it answers; `-` when it answers none."""

    text: str
    """Words for people. Use `visible` before you show them."""


@final
@dataclass(frozen=True, slots=True)
class Reconnected:
    """The connection was lost and is there again. Messages may have been missed in between."""

    downtime: float
    """Seconds without a connection."""


def read_notice(data: bytes) -> Notice:
    """Take apart what came from the server's own name.

    Args:
        data: `ERR`, code, command, words, each after one space; or anything else.
    """
    words = data.decode(errors="replace").split(" ", 3)
    if words[0] != "ERR" or len(words) < 4:
        return Notice("", "-", data.decode(errors="replace"))
    _, code, command, text = words
    return Notice(ErrorCode(code) if code in ErrorCode.__members__ else code, command, text)


def octets(data: str | bytes) -> bytes:
    """Data as it travels; text goes as UTF-8.

    Raises:
        LocalProtocolError: MALFORMED, for text with a lone surrogate.
    """
    if not isinstance(data, str):
        return data
    try:
        return data.encode()
    except UnicodeEncodeError:
        text = "text holds no lone surrogate"
        raise LocalProtocolError(ErrorCode.MALFORMED, text) from None
