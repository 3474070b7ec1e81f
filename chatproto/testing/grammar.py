"""What a right reader says of one line, straight from the grammar (protocol.md, section 1).

It is slow and simple, and shares no code with the codec, so that each can show a mistake of the
other. A line may break several rules at once. Which of them a reader names first is its own
choice, so all of their codes are right.
"""

import re
from dataclasses import dataclass
from typing import Final, final
from unicodedata import category

from ..wire.errors import ErrorCode
from ..wire.events import Broadcast, Command, Group, Leave, Login, Logout, Receive, Send
from ..wire.states import Role

_NAME_MAX: Final = 64

# The property White_Space (PropList.txt of the Unicode Character Database).
_WHITE_SPACE: Final = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

_VERSION_NUMBER: Final = re.compile(rb"CHAT/[0-9]+(\.[0-9]+)*")

_COMMANDS: Final = {
    Role.CLIENT: (b"LOGIN", b"LOGOUT", b"SEND", b"BROADCAST", b"GROUP", b"LEAVE"),
    Role.SERVER: (b"RECEIVE",),
}


@final
@dataclass(frozen=True, slots=True)
class JudgedLine:
    """A line, and what a right reader says of it: an event, or one of some codes."""

    line: bytes
    """The line, its LF included if it has one."""

    event: Command | None
    """The event that the line stands for; None when it breaks a rule."""

    codes: frozenset[ErrorCode]
    """The codes of all rules that the line breaks. Each of them is right. Empty when there is an
    event."""


def judge(line: bytes, sender: Role | None = None, *, max_line: int = 4096) -> JudgedLine:
    """Say what a right reader says of a line (protocol.md, sections 1 and 4).

    It follows the grammar and shares no code with `ChatConnection`. It knows one line, not what
    came before: that a client is not logged in, and what a server makes of the event, is no part
    of it.

    Args:
        line: One line with its LF; or without LF, when the stream ends there.
        sender: Who sends the line. The other side's commands are WRONG_DIRECTION then. None when
            commands of both sides are right.
        max_line: The longest line in bytes, its LF included.

    Returns:
        The line with its event, or with the codes of all rules that it breaks.

    Raises:
        ValueError: That is no line: it is empty, or goes on after an LF.
    """
    text, end, more = line.partition(b"\n")
    if more or not line:
        raise ValueError("one line, with its LF at the end or with none, and not empty")
    if not end:
        # A reader may stop to count at the limit, or wait for the end of the stream.
        too_long = {ErrorCode.LINE_TOO_LONG} if len(line) >= max_line else set()
        return JudgedLine(line, None, frozenset({ErrorCode.TRUNCATED, *too_long}))
    if len(line) > max_line:
        return JudgedLine(line, None, frozenset({ErrorCode.LINE_TOO_LONG}))
    text = text.removesuffix(b"\r")
    codes: set[ErrorCode] = set()
    if text.endswith(b"\r"):
        # "The last one is not CR", in data and in what follows the name in a LEAVE.
        codes.add(ErrorCode.MALFORMED)
    version, space, rest = text.partition(b" ")
    word, *words = rest.split(b" ")
    if version != b"CHAT/1.0":
        codes |= _codes_of_version(version)
    elif not space:
        codes.add(ErrorCode.MALFORMED)
    else:
        codes |= _codes_of_command(word, words)
        if sender is not None and word in _COMMANDS[sender.peer]:
            codes.add(ErrorCode.WRONG_DIRECTION)
    return JudgedLine(line, None if codes else _event(word, words), frozenset(codes))


def _codes_of_version(version: bytes) -> set[ErrorCode]:
    """What is wrong with a version that is not CHAT/1.0."""
    if _VERSION_NUMBER.fullmatch(version):
        return {ErrorCode.UNSUPPORTED_VERSION}
    if not version.startswith(b"CHAT/") or version == b"CHAT/":
        return {ErrorCode.MALFORMED}
    return _codes_of_word(version, ErrorCode.UNSUPPORTED_VERSION)


def _codes_of_word(word: bytes, unsupported: ErrorCode) -> set[ErrorCode]:
    """What is wrong with a version or a command that is none of ours.

    Section 4 says that white space around it is MALFORMED. Of other bytes that hardly belong in a
    word it says nothing, so a reader may take them for a word or not. A version that is no number
    is such a word too.
    """
    text = word.decode(errors="replace")
    if not word or not _WHITE_SPACE.isdisjoint(text):
        return {ErrorCode.MALFORMED}
    if unsupported is ErrorCode.UNSUPPORTED_COMMAND and text.isascii() and text.isprintable():
        return {unsupported}
    return {unsupported, ErrorCode.MALFORMED}


def _codes_of_command(word: bytes, words: list[bytes]) -> set[ErrorCode]:
    """What is wrong with a command and what follows it, cut at each space."""
    match word:
        case b"LOGIN":
            names, fits = words[:1], len(words) == 1
        case b"LOGOUT":
            names, fits = [], not words
        case b"SEND" | b"BROADCAST" | b"RECEIVE":
            # Section 4: with an empty name, as in `SEND␣␣hi`, the line is MALFORMED.
            names = [each for each in words[:1] if each]
            fits = len(words) > 1 and names != []
        case b"LEAVE":
            names, fits = words[:1], words[:1] not in ([], [b""])
        case b"GROUP":
            # Section 4: with an empty member, the line is MALFORMED.
            names = [each for each in words if each] or words
            fits = words != [] and b"" not in words
        case _:
            return _codes_of_word(word, ErrorCode.UNSUPPORTED_COMMAND)
    may_be_reserved = word not in (b"LOGIN", b"GROUP")
    codes = {code for name in names for code in _codes_of_name(name, may_be_reserved)}
    return codes if fits else {*codes, ErrorCode.MALFORMED}


def _codes_of_name(raw: bytes, may_be_reserved: bool) -> set[ErrorCode]:
    """What is wrong with a name: "1*64 bytes of UTF-8, no white space, no control characters"."""
    codes = set()
    if raw.startswith(b"*") and not may_be_reserved:
        codes.add(ErrorCode.NAME_RESERVED)
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        return {*codes, ErrorCode.BAD_NAME}
    if not 1 <= len(raw) <= _NAME_MAX or any(
        each in _WHITE_SPACE or category(each) == "Cc" for each in name
    ):
        codes.add(ErrorCode.BAD_NAME)
    return codes


def _event(word: bytes, words: list[bytes]) -> Command:
    """The event of a command that breaks no rule."""
    if word == b"LOGOUT":
        return Logout()
    name, *rest = words
    match word:
        case b"LOGIN":
            return Login(name.decode())
        case b"LEAVE":
            return Leave(name.decode())
        case b"GROUP":
            return Group(name.decode(), [each.decode() for each in rest])
    kind = Send if word == b"SEND" else Broadcast if word == b"BROADCAST" else Receive
    return kind(name.decode(), b" ".join(rest))
