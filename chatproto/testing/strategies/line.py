"""Strategies for lines: valid ones, and those with one thing changed."""

from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...wire.codec import encode
from ...wire.events import Command
from ...wire.states import Role
from ..grammar import JudgedLine, judge
from .event import commands, receives, short_commands
from .payload import data


def valid_lines() -> SearchStrategy[bytes]:
    """Lines that can be parsed as a command, with LF or CR LF at the end."""
    return st.just(b"CHAT/1.0 LOGIN a\n") | _valid()


# With `builds` and a lambda, Hypothesis would show that, and not the line.
@st.composite
def _valid(draw: DrawFn) -> bytes:
    text = _text(draw(commands()))
    if text.startswith(b"CHAT/1.0 LEAVE ") and draw(st.booleans()):
        # What follows the name in a LEAVE is ignored; `encode` never writes it.
        text += b" " + draw(data())
    return text + draw(st.sampled_from((b"\n", b"\r\n")))


def near_valid_lines(sender: Role | None = None) -> SearchStrategy[JudgedLine]:
    """Valid lines with one thing changed, and what a right reader says of each, as `judge` has it.

    Most, not all, are invalid. Some have no end.

    Args:
        sender: Who sends the line. Some lines are the other side's, which is WRONG_DIRECTION. None
            for lines of both sides, all of them right.
    """
    events = short_commands() if sender is not Role.SERVER else receives() | short_commands()
    return _near_valid(events, sender)


@st.composite
def _near_valid(draw: DrawFn, events: SearchStrategy[Command], sender: Role | None) -> JudgedLine:
    change = draw(st.sampled_from(_CHANGES))
    return judge(change(_text(draw(events)), draw(st.integers(0, 255))), sender)


def _text(event: Command) -> bytes:
    """A line without its end."""
    return encode(event)[:-1]


# A change gets a line without its end, and a number that stands for all choices that it has.
_Change = Callable[[bytes, int], bytes]

_INSTEAD_OF_SPACES: Final = (b"  ", b"\t", b"", b"\r", b"\0", b"\xc2\xa0", b"\xe3\x80", b"*")
_INSERTED: Final = (b" ", b"\t", b"\r", b"\0", b"\xff", b"*", b"\xc2\xa0", b"\xe3\x80", b"\xc2\x85")
_OTHER_VERSIONS: Final = (
    b"CHAT/1.1",
    b"CHAT/2",
    b"CHAT/",
    b"chat/1.0",
    b"HTTP/1.0",
    b"CHAT/x",
    b"",
)
_OTHER_COMMANDS: Final = (
    b"STAR",
    b"RECEIVE",
    b"LOGIN",
    b"LOGOUT",
    b"GROUP",
    b"SENDS",
    b"s\xff",
    b"",
)
_OTHER_NAMES: Final = (
    b"*",
    b"",
    b"a" * 65,
    b"*server*",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc3\xa9" * 33,
)
_OTHER_ENDS: Final = (b"\r\r\n", b"", b"\r", b" \n", b"\r\n")
_LENGTHS: Final = (4097, 4096, 4095, 4096, 5000)


def _change_space(text: bytes, number: int) -> bytes:
    kind, at = divmod(number, len(_INSTEAD_OF_SPACES))
    spaces = [index for index, byte in enumerate(text) if byte == 0x20][:3]
    space = spaces[kind % len(spaces)]
    return text[:space] + _INSTEAD_OF_SPACES[at] + text[space + 1 :] + b"\n"


def _change_word(text: bytes, index: int, word: bytes) -> bytes:
    words = text.split(b" ")
    words[index:] = [word, *words[index + 1 :]]
    return b" ".join(words) + b"\n"


def _change_version(text: bytes, number: int) -> bytes:
    return _change_word(text, 0, _OTHER_VERSIONS[number % len(_OTHER_VERSIONS)])


def _change_command(text: bytes, number: int) -> bytes:
    return _change_word(text, 1, _OTHER_COMMANDS[number % len(_OTHER_COMMANDS)])


def _change_name(text: bytes, number: int) -> bytes:
    return _change_word(text, 2, _OTHER_NAMES[number % len(_OTHER_NAMES)])


def _change_case(text: bytes, number: int) -> bytes:
    index = number % 2
    return _change_word(text, index, text.split(b" ")[index].lower())


def _change_end(text: bytes, number: int) -> bytes:
    return text + _OTHER_ENDS[number % len(_OTHER_ENDS)]


def _change_length(text: bytes, number: int) -> bytes:
    return text.ljust(_LENGTHS[number % len(_LENGTHS)] - 1, b"x") + b"\n"


def _insert(text: bytes, number: int) -> bytes:
    at, kind = divmod(number, len(_INSERTED))
    # Here, at the end, or between.
    at = min(at, len(text)) if at % 4 else len(text)
    return text[:at] + _INSERTED[kind] + text[at:] + b"\n"


def _remove(text: bytes, number: int) -> bytes:
    at = number % len(text)
    return text[:at] + text[at + 1 :] + b"\n"


def _cut(text: bytes, number: int) -> bytes:
    return text[: number % len(text)] + b"\n"


def _break_off(text: bytes, number: int) -> bytes:
    return text[: len(text) - number % len(text)]


_CHANGES: Final[tuple[_Change, ...]] = (
    _change_space,
    _change_version,
    _change_command,
    _change_name,
    _change_case,
    _change_end,
    _insert,
    _remove,
    _cut,
    _break_off,
    _change_length,
)
