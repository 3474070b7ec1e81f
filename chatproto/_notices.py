"""The server's answers, which the protocol has no line for (protocol.md, section 3)."""

from typing import Final

from ._codec import command_word
from ._errors import ErrorCode
from ._events import Event, Invalid, Receive
from ._names import SERVER_NAME
from ._records import CloseReason

WORDS: Final[dict[ErrorCode, str]] = {
    ErrorCode.MALFORMED: "this line does not follow the grammar of CHAT/1.0",
    ErrorCode.UNSUPPORTED_VERSION: "this server speaks CHAT/1.0",
    ErrorCode.UNSUPPORTED_COMMAND: "there is no such command; commands are upper case",
    ErrorCode.LINE_TOO_LONG: "the line is too long",
    ErrorCode.BAD_NAME: "a name is 1 to 64 octets of UTF-8 without spaces and control characters",
    ErrorCode.NAME_RESERVED: "names that start with * are reserved",
    ErrorCode.NAME_IN_USE: "somebody else has logged in under your name",
    ErrorCode.NOT_LOGGED_IN: "log in first",
    ErrorCode.WRONG_DIRECTION: "only a server sends that",
    ErrorCode.TRUNCATED: "the line has no end and was not run",
    ErrorCode.TOO_MANY: "too many bad lines in a row",
    ErrorCode.SHUTTING_DOWN: "the server is shutting down",
}
"""What a code means to people, where there is nothing more particular to say."""


def command_of(event: Event) -> str:
    """The command that an event is, or that an invalid line names; `-` when it names none."""
    if isinstance(event, Invalid):
        return command_word(event.line)
    return type(event).__name__.upper()


_LAST_WORDS: Final = {
    CloseReason.BAD_LINES: ErrorCode.TOO_MANY,
    CloseReason.REPLACED: ErrorCode.NAME_IN_USE,
    CloseReason.SHUTTING_DOWN: ErrorCode.SHUTTING_DOWN,
}


def last_words(reason: CloseReason) -> Receive | None:
    """What a connection is told before it is closed.

    Args:
        reason: Why it is closed.

    Returns:
        The notice; None where it is the peer's own doing, or nothing can be written any more.
    """
    code = _LAST_WORDS.get(reason)
    return None if code is None else notice(code, "-", WORDS[code])


def notice(code: ErrorCode, command: str, text: str) -> Receive:
    """Put an answer into the one form that every client understands.

    Args:
        code: Why something was refused; never changes, for programs.
        command: What it answers; `-` when it answers no command.
        text: Words for people.
    """
    return Receive(SERVER_NAME, f"ERR {code} {command} {text}".encode())
