"""The server's answers, which the protocol has no line for (protocol.md, section 3)."""

from typing import Final

from ._codec import command_word
from ._errors import ErrorCode
from ._events import Event, Invalid, Receive
from ._names import SERVER_NAME
from ._records import CloseReason


def command_of(event: Event) -> str:
    """The command that an event is, or that an invalid line names; `-` when it names none."""
    if isinstance(event, Invalid):
        return command_word(event.line)
    return type(event).__name__.upper()


_LAST_WORDS: Final = {
    CloseReason.BAD_LINES: (ErrorCode.TOO_MANY, "too many bad lines in a row"),
    CloseReason.REPLACED: (ErrorCode.NAME_IN_USE, "somebody else has logged in under your name"),
    CloseReason.SHUTTING_DOWN: (ErrorCode.SHUTTING_DOWN, "the server is shutting down"),
}


def last_words(reason: CloseReason) -> Receive | None:
    """What a connection is told before it is closed; that is not the answer to any line.

    Args:
        reason: Why it is closed.

    Returns:
        The notice; None where it is the peer's own doing, or nothing can be written any more.
    """
    if reason not in _LAST_WORDS:
        return None
    code, text = _LAST_WORDS[reason]
    return notice(code, "-", text)


def notice(code: ErrorCode, command: str, text: str) -> Receive:
    """Put an answer into the one form that every client understands.

    Args:
        code: Why something was refused; never changes, for programs.
        command: What it answers; `-` when it answers no command.
        text: Words for people.
    """
    return Receive(SERVER_NAME, f"ERR {code} {command} {text}".encode())
