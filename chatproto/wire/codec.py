"""Lines to events and back, one at a time and without state (protocol.md, section 1)."""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, Final, NoReturn

from .errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from .events import (
    Broadcast,
    Command,
    Event,
    Group,
    Leave,
    Login,
    Logout,
    Receive,
    Send,
    unchecked,
    unchecked_run,
)
from .line_buffer import CR, LF, has_long_line
from .names import NAMES, check_unreserved

VERSION: Final = b"CHAT/1.0"

# A version or command with any other byte (a tab, a no-break space) makes the line MALFORMED, even
# if it looks like another version or an unknown command.
_TOKEN = re.compile(rb"[!-~]+")

# The commands with a name and data, and the constructors of their events. Nearly all lines are
# such commands.
_MAKERS: Final[dict[bytes, Callable[[str, bytes], Send | Broadcast | Receive]]] = {
    b"SEND": unchecked(Send),
    b"BROADCAST": unchecked(Broadcast),
    b"RECEIVE": unchecked(Receive),
}
_RUN_MAKERS: Final[dict[bytes, Callable[[Iterable[str], Sequence[bytes]], list[Any]]]] = {
    b"SEND": unchecked_run(Send),
    b"BROADCAST": unchecked_run(Broadcast),
    b"RECEIVE": unchecked_run(Receive),
}

_new_group = unchecked(Group)


def decode(line: bytes) -> Command:
    """Parse one line.

    Args:
        line: The line without its LF or CR LF, as `LineBuffer` gives it. It holds no LF, and its
            length is bounded.

    Returns:
        The event that it stands for.

    Raises:
        RemoteProtocolError: The line is not valid; the code says why.
    """
    parts = line.split(b" ", 3)
    if parts[0] != VERSION or len(parts) < 2 or line.endswith(b"\r"):
        _refuse(parts, line)
    parser = _PARSERS.get(parts[1])
    if parser is None:
        _refuse(parts, line)
    try:
        return parser(parts)
    except LocalProtocolError as error:
        raise RemoteProtocolError(error.code, error.text) from None


def split_message(data: bytes) -> list[bytes] | None:
    """Split off the version, command and name of the first line, if it is a message.

    A message is SEND, BROADCAST or RECEIVE with a name and data, each after one space. Every
    parser that is faster than `decode` starts with this.

    Args:
        data: One line or more, each with its LF.

    Returns:
        The version, command and name of the first line, and the rest: its data and all other lines.
        None if the first line is not a message, the last line has no LF, or there is a CR in the
        rest, which needs a closer look. The name is not checked.
    """
    parts = data.split(b" ", 3)
    if (
        len(parts) == 4
        and parts[0] == VERSION
        and parts[1] in _MAKERS
        and CR not in parts[3]
        and data[-1] == LF
    ):
        return parts
    return None


def decode_run(data: bytes, number: int, max_line: int) -> list[Command]:
    """Parse messages of one command in half of the time of `decode`; with one name, in a third.

    All lines begin alike, up to the data if they have one name, otherwise up to the name. Data
    holds no LF, so one `bytes.split` at LF and this beginning separates the lines.

    Args:
        data: Whole lines.
        number: How many lines there are.
        max_line: The longest line in bytes, its LF included.

    Returns:
        The events; an empty list if any line is of another kind or needs a closer look.
    """
    message = split_message(data)
    if message is None or has_long_line(data, max_line):
        return []
    _, command, name, rest = message
    beginning = data[: -len(rest)]
    texts: Sequence[bytes]
    names: Iterable[str]
    texts = rest[:-1].split(b"\n" + beginning)
    try:
        if len(texts) == number:
            names = repeat(NAMES[name])
        else:
            beginning = b"%b %b " % (VERSION, command)
            rests = data[len(beginning) : -1].split(b"\n" + beginning)
            raw_names, spaces, texts = zip(*map(bytes.partition, rests, repeat(b" ")), strict=True)
            if len(rests) != number or not all(spaces):
                return []
            names = map(NAMES.__getitem__, raw_names)
        return _RUN_MAKERS[command](names, texts)
    except LocalProtocolError:
        # One of the names is not valid.
        return []


def encode(event: Command) -> bytes:
    """Serialize one event as a line, its LF included. `decode` gives an equal event.

    Raises:
        LocalProtocolError: MALFORMED, for an event that never travels as a line.
    """
    writer = _WRITERS.get(type(event))
    if writer is None:
        raise LocalProtocolError(
            ErrorCode.MALFORMED, f"{type(event).__name__} does not travel as a line"
        )
    return writer(event)


def receive_prefix(sender: str) -> bytes:
    """The beginning of every RECEIVE from a sender, up to the data."""
    return b"CHAT/1.0 RECEIVE %b " % sender.encode()


def with_label(line: bytes, group: str) -> bytes:
    """Add to a RECEIVE the group that it comes from (protocol.md, section 5).

    Args:
        line: The line, or its beginning up to the data.
        group: The group's name.
    """
    word = b"CHAT/1.0 RECEIVE "
    return line.replace(word, b"%b*groups* in %b " % (word, group.encode()), 1)


def command_word(line: bytes) -> str:
    """The command that a line names, well-formed or not; `-` when it names none.

    It returns words of the protocol only, so the result is safe to show and to send.
    """
    word = line.split(b" ", 2)[1:2]
    return word[0].decode() if word and word[0] in _PARSERS else "-"


def is_for_server(line: bytes) -> bool:
    """Whether a line, well-formed or not, is a message to a reserved name."""
    words = line.split(b" ", 3)
    return len(words) > 2 and words[1] in (b"SEND", b"BROADCAST") and words[2].startswith(b"*")


def _refuse(parts: list[bytes], line: bytes) -> NoReturn:
    """Raise the error for a line that no parser takes."""
    if not line.endswith(b"\r"):
        version = parts[0]
        if version != VERSION:
            if version.startswith(b"CHAT/") and _TOKEN.fullmatch(version, 5):
                raise RemoteProtocolError(
                    ErrorCode.UNSUPPORTED_VERSION, "only CHAT/1.0 is spoken here"
                )
        elif len(parts) > 1 and _TOKEN.fullmatch(parts[1]):
            raise RemoteProtocolError(
                ErrorCode.UNSUPPORTED_COMMAND, "there is no such command; commands are upper case"
            )
    raise RemoteProtocolError(
        ErrorCode.MALFORMED, "this line does not follow the grammar of CHAT/1.0"
    )


# The parsers get a line split at single spaces into at most four parts, so an empty part is a
# doubled space or one at the end. The checks of events raise LocalProtocolError; `decode` turns it
# into RemoteProtocolError, because the line is the peer's.


def _malformed(text: str) -> LocalProtocolError:
    return LocalProtocolError(ErrorCode.MALFORMED, text)


def _login(parts: list[bytes]) -> Login:
    if len(parts) != 3:
        raise _malformed("this takes one name")
    return Login(NAMES[parts[2]])


def _logout(parts: list[bytes]) -> Logout:
    if len(parts) != 2:
        raise _malformed("this takes nothing")
    return Logout()


def _addressed(word: bytes) -> Callable[[list[bytes]], Command]:
    """A parser for a command with a name and data."""
    make = _MAKERS[word]

    def parse(parts: list[bytes]) -> Command:
        if len(parts) != 4 or not parts[2]:
            raise _malformed("a name and data belong here, after one space each")
        return make(NAMES[parts[2]], parts[3])

    return parse


def _group(parts: list[bytes]) -> Group:
    if len(parts) < 3:
        raise _malformed("this takes a name, and members after one space each")
    names = [parts[2], *parts[3].split(b" ")] if len(parts) == 4 else [parts[2]]
    if len(names) > 1 and b"" in names:
        raise _malformed("a space is doubled or stands at the end")
    checked = [NAMES[each] for each in names]
    for each in checked:
        check_unreserved(each)
    return _new_group(checked[0], tuple(checked[1:]))


def _leave(parts: list[bytes]) -> Leave:
    if len(parts) < 3:
        raise _malformed("this takes a name")
    if len(parts) == 4 and not parts[2]:
        raise _malformed("a space is doubled")
    return Leave(NAMES[parts[2]])


_PARSERS: Final[dict[bytes, Callable[[list[bytes]], Command]]] = {
    b"LOGIN": _login,
    b"LOGOUT": _logout,
    b"SEND": _addressed(b"SEND"),
    b"BROADCAST": _addressed(b"BROADCAST"),
    b"GROUP": _group,
    b"LEAVE": _leave,
    b"RECEIVE": _addressed(b"RECEIVE"),
}

_WRITERS: Final[dict[type[Event], Callable[[Any], bytes]]] = {
    Login: lambda event: b"CHAT/1.0 LOGIN %b\n" % event.name.encode(),
    Logout: lambda _: b"CHAT/1.0 LOGOUT\n",
    Send: lambda event: b"CHAT/1.0 SEND %b %b\n" % (event.to.encode(), event.data),
    Broadcast: lambda event: b"CHAT/1.0 BROADCAST %b %b\n" % (event.group.encode(), event.data),
    Group: lambda event: b"CHAT/1.0 GROUP %b\n" % " ".join((event.name, *event.members)).encode(),
    Leave: lambda event: b"CHAT/1.0 LEAVE %b\n" % event.group.encode(),
    Receive: lambda event: b"CHAT/1.0 RECEIVE %b %b\n" % (event.sender.encode(), event.data),
}
