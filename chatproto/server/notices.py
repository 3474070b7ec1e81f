"""The server's answers, which the protocol has no line for (protocol.md, section 3)."""

from typing import Final

from ..wire.codec import command_word, encode
from ..wire.errors import ErrorCode
from ..wire.events import Event, Invalid, Receive
from ..wire.limits import Limits, RateLimiter
from ..wire.names import SERVER_NAME
from .log_events import CloseReason
from .peer import Link


def command_of(event: Event) -> str:
    """The command that an event is, or that an invalid line names; `-` when it names none."""
    if isinstance(event, Invalid):
        return command_word(event.line)
    return type(event).__name__.upper()


_LAST_WORDS: Final = {
    CloseReason.BAD_LINES: (ErrorCode.TOO_MANY, "too many bad lines in a row"),
    CloseReason.REPLACED: (ErrorCode.NAME_IN_USE, "somebody else has logged in under your name"),
    CloseReason.LOGIN_TIMEOUT: (ErrorCode.NOT_LOGGED_IN, "you have not logged in in time"),
    CloseReason.TOO_MANY_CONNECTIONS: (ErrorCode.TOO_MANY, "too many connections"),
    CloseReason.TOO_MANY_FROM_ADDRESS: (
        ErrorCode.TOO_MANY,
        "too many connections from your address",
    ),
    CloseReason.SHUTTING_DOWN: (ErrorCode.SHUTTING_DOWN, "the server is shutting down"),
}


def notice(code: ErrorCode, command: str, text: str) -> Receive:
    """Put an answer into the one form that every client understands.

    Args:
        code: Why something was refused; never changes, for programs.
        command: What it answers; `-` when it answers no command.
        text: Words for people.
    """
    return Receive(SERVER_NAME, f"ERR {code} {command} {text}".encode())


class Notices:
    """What one broker says of its own.

    Args:
        limits: How much of it a connection may get.
        enabled: Whether it says anything at all.
    """

    def __init__(self, limits: Limits, *, enabled: bool) -> None:
        self._limits = limits
        self._enabled = enabled

    def answer(self, link: Link, event: Event, code: ErrorCode, text: str, now: float) -> bytes:
        """The line that tells a connection why its event was not obeyed.

        Args:
            link: The connection.
            event: What it said.
            code: Why not.
            text: Why not, in words for people.
            now: The time in seconds.

        Returns:
            The line; nothing when the connection has been told enough.
        """
        if not self._enabled:
            return b""
        if link.notices is None:
            link.notices = RateLimiter(self._limits.notice_rate, self._limits.notice_burst)
        if not link.notices.allow(now):
            return b""
        return encode(notice(code, command_of(event), text))

    def last_words(self, reason: CloseReason) -> bytes:
        """The line that a connection is told before it is closed, which answers no line of its own.

        Args:
            reason: Why it is closed.

        Returns:
            The line; nothing where it is the peer's own doing, or nothing can be written any more.
        """
        if not self._enabled or reason not in _LAST_WORDS:
            return b""
        code, text = _LAST_WORDS[reason]
        return encode(notice(code, "-", text))
