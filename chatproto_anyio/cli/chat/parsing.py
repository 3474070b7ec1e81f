"""What somebody who chats means by a line that they have typed."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

from chatproto import Broadcast, Group, Leave, Login, Send, visible
from chatproto.wire.names import check_name


class Usage(NamedTuple):
    """How a command is used."""

    arguments: str
    """What follows it, one word for each argument: `[…]` may be left out, what ends with `...` may
    be repeated."""

    meaning: str
    """What it does."""


USAGES: Final = {
    "/msg": Usage("NAME TEXT", "say something to one person"),
    "/say": Usage("GROUP TEXT", "say something to a group"),
    "/to": Usage("[NAME]", "talk to one person from now on, or to nobody"),
    "/to-group": Usage("GROUP", "talk to a group from now on"),
    "/group": Usage("GROUP MEMBER...", "make a group of exactly these people"),
    "/leave": Usage("GROUP", "leave a group"),
    "/nick": Usage("NEW_NAME", "take another name"),
    "/ping": Usage("", "measure the way to the server and back"),
    "/help": Usage("", "list the commands"),
    "/quit": Usage("", "log out"),
}
"""All commands."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who somebody talks to.

    Raises:
        LocalProtocolError: BAD_NAME.
    """

    name: str
    """A user's name, or a group's; the two have nothing to do with each other."""

    group: bool = False
    """Whether it is a group's."""

    def __post_init__(self) -> None:
        check_name(self.name)

    def __str__(self) -> str:
        return f"group {visible(self.name)}" if self.group else visible(self.name)

    def message(self, text: str) -> Send | Broadcast:
        """What tells them something.

        Args:
            text: With surrogates where what was read is not UTF-8, as `surrogateescape` does it.

        Raises:
            LocalProtocolError: MALFORMED; no message can hold it.
        """
        data = text.encode(errors="surrogateescape")
        return Broadcast(self.name, data) if self.group else Send(self.name, data)


@dataclass(frozen=True, slots=True)
class TalkTo:
    """From now on, what has no slash is for somebody else."""

    recipient: Recipient | None
    """Whom it is for; None for nobody."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What was typed has no meaning."""

    text: str
    """What to type instead."""


class Wish(Enum):
    """A command without arguments."""

    PING = auto()
    HELP = auto()
    QUIT = auto()


Speech: TypeAlias = Send | Broadcast | Group | Leave | Login
"""What is said to the server."""

Meaning: TypeAlias = Speech | TalkTo | Wish | Hint | None
"""What a line may mean; None for nothing at all."""


def is_command(line: str) -> bool:
    """Whether a line, or its beginning, is no message."""
    return line.startswith("/") and not line.startswith("//")


def parse(line: str, recipient: Recipient | None) -> Meaning:
    """Make out what a line means.

    Args:
        line: What was typed, without its end.
        recipient: Who is talked to at present.

    Raises:
        LocalProtocolError: It breaks the protocol.
    """
    if not line.strip():
        return None
    if is_command(line):
        word, _, rest = line.partition(" ")
        parser = _PARSERS.get(word)
        if parser is None:
            return Hint(f"no command is called {visible(word)}: see /help; to say it, type / first")
        meaning = parser(rest.lstrip(" "))
        return (
            Hint(f"type {word} {USAGES[word].arguments}".rstrip()) if meaning is None else meaning
        )
    if recipient is None:
        return Hint("nobody would hear that: first type /to NAME or /to-group GROUP")
    return recipient.message(line.removeprefix("/"))


# Each parser gets what follows the command; None stands for wrong arguments.


def _addressed(rest: str, *, group: bool) -> Meaning:
    name, _, text = rest.partition(" ")
    return Recipient(name, group).message(text) if text.strip() else None


def _to(rest: str) -> Meaning:
    match rest.split():
        case []:
            return TalkTo(None)
        case [name]:
            return TalkTo(Recipient(name))
        case _:
            return None


def _group(rest: str) -> Meaning:
    name, *members = rest.split() or [""]
    return Group(name, members) if members else None


def _one_name(make: Callable[[str], Meaning]) -> Callable[[str], Meaning]:
    def parse_name(rest: str) -> Meaning:
        words = rest.split()
        return make(words[0]) if len(words) == 1 else None

    return parse_name


def _nothing(wish: Wish) -> Callable[[str], Meaning]:
    return lambda rest: None if rest.strip() else wish


_PARSERS: Final[dict[str, Callable[[str], Meaning]]] = {
    "/msg": lambda rest: _addressed(rest, group=False),
    "/say": lambda rest: _addressed(rest, group=True),
    "/to": _to,
    "/to-group": _one_name(lambda name: TalkTo(Recipient(name, group=True))),
    "/group": _group,
    "/leave": _one_name(Leave),
    "/nick": _one_name(Login),
    "/ping": _nothing(Wish.PING),
    "/help": _nothing(Wish.HELP),
    "/quit": _nothing(Wish.QUIT),
}
