"""The server's answers, for which the protocol has no command (protocol.md, section 3)."""

from typing import Any, Final

from ..routing.actions import Answer
from ..wire.codec import command_word, encode, receive_prefix
from ..wire.errors import ErrorCode, LocalProtocolError
from ..wire.events import Event, Invalid, Receive
from ..wire.names import GROUPS_NAME, SERVER_NAME
from .close_reason import CloseReason
from .limits import Limits
from .peer import Peer
from .rate_limiter import RateLimiter

_CLOSE_NOTICES: Final = {
    CloseReason.BAD_LINES: (ErrorCode.TOO_MANY, "too many bad lines in a row"),
    CloseReason.REPLACED: (ErrorCode.NAME_IN_USE, "somebody else has logged in under your name"),
    CloseReason.PLAINTEXT: (ErrorCode.NOT_LOGGED_IN, "this server wants TLS here"),
    CloseReason.LOGIN_TIMEOUT: (ErrorCode.NOT_LOGGED_IN, "you have not logged in in time"),
    CloseReason.TOO_MANY_CONNECTIONS: (ErrorCode.TOO_MANY, "too many connections"),
    CloseReason.TOO_MANY_FROM_ADDRESS: (
        ErrorCode.TOO_MANY,
        "too many connections from your address",
    ),
    CloseReason.BANNED: (ErrorCode.REFUSED, "you are banned from this server"),
    CloseReason.KICKED: (ErrorCode.REFUSED, "you were disconnected"),
    CloseReason.UNAVAILABLE: (
        ErrorCode.UNAVAILABLE,
        "this server was cut off from the others; log in again",
    ),
    CloseReason.SHUTTING_DOWN: (ErrorCode.SHUTTING_DOWN, "the server is shutting down"),
}


def command_of(event: Event) -> str:
    """The command that an event is, or that an invalid line names; `-` when it names none."""
    if isinstance(event, Invalid):
        return command_word(event.line)
    return type(event).__name__.upper()


def notice(code: str, command: str, text: str) -> Receive:
    """A notice in the one form that every client understands.

    Args:
        code: Why the server refused something. Codes never change, so that programs can use them.
        command: The command that it answers; `-` when it answers none.
        text: Words for people.
    """
    return Receive(SERVER_NAME, f"ERR {code} {command} {text}".encode())


def answer_lines(answer: Answer[Any], max_line: int) -> list[bytes]:
    """The lines that answer a request about groups (protocol.md, section 5).

    Args:
        answer: The answer.
        max_line: The longest line in bytes, its LF included.
    """
    beginning = receive_prefix(GROUPS_NAME) + answer.head.encode()
    lines = [bytearray(beginning)]
    for each in answer.names:
        name = each.encode()
        if len(lines[-1]) + len(name) + 2 > max_line:
            lines.append(bytearray(beginning))
        lines[-1] += b" " + name
    return [bytes(line) + b"\n" for line in lines]


def check_text(text: str) -> None:
    """Check that a notice can hold a text for people. It need not be short.

    Raises:
        LocalProtocolError: MALFORMED: it has line ends in it, or surrogates.
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text for people is a str, and no {type(text).__name__}")
    try:
        data = text.encode()
    except UnicodeEncodeError:
        words = "a text for people holds no surrogates: decode bytes with errors='replace'"
        raise LocalProtocolError(ErrorCode.MALFORMED, words) from None
    if b"\n" in data or data.endswith(b"\r"):
        words = "a text for people is one line: leave out the ends of lines"
        raise LocalProtocolError(ErrorCode.MALFORMED, words)


class Notices:
    """The notices that one broker sends. A text that is too long for a line is cut off.

    Args:
        limits: How many a connection may get.
        enabled: Whether it sends any.
    """

    def __init__(self, limits: Limits, *, enabled: bool) -> None:
        self._limits = limits
        self._enabled = enabled

    def reconfigure(self, limits: Limits, *, enabled: bool) -> None:
        """Use other bounds for connections without a limiter; begin or stop to send notices."""
        self._limits = limits
        self._enabled = enabled

    def refusal(self, peer: Peer, event: Event, code: str, text: str, now: float) -> bytes:
        """The line that tells a connection why the server has not executed its event.

        Args:
            peer: The connection.
            event: What it has sent.
            code: Why not.
            text: The same in words for people.
            now: The time in seconds.

        Returns:
            The line; empty when notices are off, or the connection has used up its limit.
        """
        if not self._enabled or not self.allow(peer, now):
            return b""
        return self._line(code, command_of(event), text)

    def allow(self, peer: Peer, now: float) -> bool:
        """Whether a connection may get one more line from the server itself."""
        if peer.notice_limiter is None:
            limits = self._limits
            peer.notice_limiter = RateLimiter(limits.notice_rate, limits.notice_burst)
        return peer.notice_limiter.allow(now)

    def closing(self, reason: CloseReason, text: str = "") -> bytes:
        """The line that tells a connection why the server closes it.

        Args:
            reason: Why.
            text: The same in words for people; empty for the usual words.

        Returns:
            The line; empty where it is the peer's own doing, or the peer can't read it any more.
        """
        if not self._enabled or reason not in _CLOSE_NOTICES:
            return b""
        code, usual = _CLOSE_NOTICES[reason]
        return self._line(code, "-", text or usual)

    def _line(self, code: str, command: str, text: str) -> bytes:
        line = encode(notice(code, command, text))
        if (excess := len(line) - self._limits.max_line) > 0:
            # Neither half a character nor a CR may be the end.
            text = text.encode()[:-excess].decode(errors="ignore").rstrip("\r")
            line = encode(notice(code, command, text))
        return line
