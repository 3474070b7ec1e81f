"""Parse what the user types: messages, and commands that start with a slash."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

from chatproto import Broadcast, Group, Leave, Login, Send, visible_name

TAB_SIZE: Final = 4
"""A tab in a message moves to the next multiple of this many characters."""

# Category Cc without the tab.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Recipient:
    """The user or the group that messages go to.

    Raises:
        LocalProtocolError: BAD_NAME.
    """

    name: str
    """A user's or a group's name. A user and a group may have the same name."""

    group: bool = False
    """Whether it is a group."""

    def __post_init__(self) -> None:
        self.message("")

    def __str__(self) -> str:
        return f"group {visible_name(self.name)}" if self.group else visible_name(self.name)

    @property
    def command(self) -> str:
        """The command that sends a message to this recipient, up to its text."""
        return f"/say {self.name} " if self.group else f"/msg {self.name} "

    def message(self, text: str) -> Send | Broadcast:
        """Make a message to this recipient.

        Args:
            text: Bytes that were not UTF-8 are surrogates, as `surrogateescape` makes them.

        Raises:
            LocalProtocolError: MALFORMED: no message can hold the text.
        """
        data = text.encode(errors="surrogateescape")
        return Broadcast(self.name, data) if self.group else Send(self.name, data)


@dataclass(frozen=True, slots=True)
class SetRecipient:
    """Send lines without a slash to another recipient from now on."""

    recipient: Recipient | None
    """None for nobody."""


@dataclass(frozen=True, slots=True)
class Hint:
    """The line can't be executed."""

    text: str
    """What to type instead."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Send a message to where the last one came from, or to its sender alone."""

    text: str
    """The message."""

    to_sender: bool
    """Whether it is for the sender alone."""


@dataclass(frozen=True, slots=True)
class ListMembers:
    """Ask who is in a group."""

    group: Recipient
    """The group."""

    def __str__(self) -> str:
        return f"/names {visible_name(self.group.name)}"


@dataclass(frozen=True, slots=True)
class AddMember:
    """Add a user to a group."""

    group: Recipient
    """The group."""

    member: Recipient
    """The user."""

    def __str__(self) -> str:
        return f"/add {visible_name(self.group.name)} {visible_name(self.member.name)}"


@dataclass(frozen=True, slots=True)
class ListGroups:
    """Ask which groups this user is in."""

    def __str__(self) -> str:
        return "/groups"


class SimpleCommand(Enum):
    """A command without arguments."""

    PING = auto()
    HELP = auto()
    QUIT = auto()


OutgoingCommand: TypeAlias = Send | Broadcast | Group | Leave | Login
"""What is sent to the server."""

ServiceRequest: TypeAlias = ListMembers | AddMember | ListGroups
"""What the service for groups is asked. `str` makes it the command that was typed."""

ParsedInput: TypeAlias = OutgoingCommand | ServiceRequest | SetRecipient | SimpleCommand | Hint
"""What a line asks for."""


def is_slash_command(line: str) -> bool:
    """Whether a line, complete or not, is a command and not a message."""
    return line.startswith("/") and not line.startswith("//")


def length_of_names(line: str) -> int:
    """How many characters at the start of a line, complete or not, are a command and names.

    What follows is text.
    """
    if not is_slash_command(line):
        return 0
    usage = USAGES.get(line.partition(" ")[0])
    if usage is None or not usage.arguments.endswith("TEXT"):
        return len(line)
    command, spaces, rest = re.split("( +|$)", line, maxsplit=1)
    name = rest.partition(" ")[0] if " " in usage.arguments else ""
    return len(command) + len(spaces) + len(name)


def without_controls(text: str) -> str:
    """Replace tabs by spaces, and remove all other control characters.

    People type or paste them by mistake, and programs at the other end may obey them.
    """
    return _CONTROLS.sub("", text).expandtabs(TAB_SIZE)


@dataclass(frozen=True, slots=True)
class LastMessage:
    """Who has sent the last message, and to whom."""

    sender: Recipient
    """The user who has sent it."""

    source: Recipient
    """The group that it was sent to; the sender if it was sent to this user alone."""

    def command(self, line: str) -> str | None:
        """What `/reply` or `/r` stands for now, up to its text; None for any other line."""
        match line:
            case "/reply ":
                return self.source.command
            case "/r ":
                return self.sender.command
            case _:
                return None


def parse_lines(
    text: str, recipient: Recipient | None, last: LastMessage | None = None
) -> list[ParsedInput]:
    """Parse one line, or several that were pasted.

    Several lines are text, whatever they look like: they go where the first one goes, blank ones
    too. Only the first one may begin with a command, such as `/msg bob`.

    Args:
        text: What the user typed or pasted.
        recipient: See `parse`.
        last: See `parse`.

    Returns:
        What the lines ask for, one for each line; or a hint alone; or nothing for a blank line.

    Raises:
        LocalProtocolError: As from `parse`. Nothing of the text is to be executed.
    """
    first, *rest = text.split("\n")
    parsed = parse(first, recipient, last)
    if not rest:
        return [] if parsed is None else [parsed]
    if parsed is None and recipient is not None:
        parsed = recipient.message(without_controls(first))
    match parsed:
        case Send(to):
            recipient = Recipient(to)
        case Broadcast(group):
            recipient = Recipient(group, group=True)
        case Hint():
            return [parsed]
        case None:
            return [_NO_RECIPIENT]
        case _:
            return [Hint("only messages have several lines: none of these is executed")]
    return [parsed, *(recipient.message(without_controls(line)) for line in rest)]


def parse(
    line: str, recipient: Recipient | None, last: LastMessage | None = None
) -> ParsedInput | None:
    """Parse a line.

    Args:
        line: What the user typed, without the end of the line.
        recipient: Who gets messages at present; None for nobody.
        last: The last message that came from others; None when there is none so far.

    Returns:
        What the line asks for; None if it is blank. A message has no control characters: see
        `without_controls`.

    Raises:
        LocalProtocolError: The line asks for something that CHAT/1.0 does not allow.
    """
    if not without_controls(line).strip():
        return None
    if is_slash_command(line):
        name, _, rest = line.partition(" ")
        usage = USAGES.get(name)
        if usage is None:
            if name in _ELSEWHERE:
                return _ELSEWHERE[name]
            shown = visible_name(name)
            return Hint(f"there is no command {shown}: see /help, or type // for a message")
        parsed = usage.parse(rest.lstrip(" "))
        if parsed is None:
            usual = Hint(f"type {name} {usage.arguments}".rstrip())
            return usual if rest.strip() else _WITHOUT_ARGUMENTS.get(name, usual)
        if not isinstance(parsed, Reply):
            return parsed
        if last is None:
            return Hint("nobody has written to you so far")
        return (last.sender if parsed.to_sender else last.source).message(parsed.text)
    if recipient is None:
        return _NO_RECIPIENT
    return recipient.message(without_controls(line.removeprefix("/")))


def _message(rest: str, *, group: bool) -> ParsedInput | None:
    name, _, text = rest.partition(" ")
    text = without_controls(text)
    return Recipient(name, group).message(text) if text.strip() else None


def _reply(rest: str, *, to_sender: bool) -> Reply | None:
    text = without_controls(rest)
    return Reply(text, to_sender) if text.strip() else None


def _add(rest: str) -> ParsedInput | None:
    match rest.split():
        case [group, member]:
            return AddMember(Recipient(group, group=True), Recipient(member))
        case _:
            return None


def _to(rest: str) -> ParsedInput | None:
    match rest.split():
        case []:
            return SetRecipient(None)
        case [name]:
            return SetRecipient(Recipient(name))
        case _:
            return None


def _group(rest: str) -> ParsedInput | None:
    name, *members = rest.split() or [""]
    return Group(name, members) if members else None


def _one_name(make: Callable[[str], ParsedInput]) -> Callable[[str], ParsedInput | None]:
    def parse_name(rest: str) -> ParsedInput | None:
        words = rest.split()
        return make(words[0]) if len(words) == 1 else None

    return parse_name


def _no_arguments(command: SimpleCommand | ListGroups) -> Callable[[str], ParsedInput | None]:
    return lambda rest: None if rest.strip() else command


class Usage(NamedTuple):
    """How a command that starts with a slash is used."""

    arguments: str
    """One word for each argument. One in `[…]` may be left out, one with `...` may be repeated."""

    description: str
    """What the command does."""

    parse: Callable[[str], ParsedInput | Reply | None]
    """Parses what follows the command and its spaces. Returns None for wrong arguments."""


USAGES: Final = {
    "/msg": Usage(
        "NAME TEXT", "send a message to one user", lambda rest: _message(rest, group=False)
    ),
    "/say": Usage(
        "GROUP TEXT", "send a message to a group", lambda rest: _message(rest, group=True)
    ),
    "/reply": Usage(
        "TEXT",
        "answer where the last message came from",
        lambda rest: _reply(rest, to_sender=False),
    ),
    "/r": Usage(
        "TEXT",
        "answer the sender of the last message alone",
        lambda rest: _reply(rest, to_sender=True),
    ),
    "/to": Usage("[NAME]", "talk to one user from now on, or to nobody", _to),
    "/to-group": Usage(
        "GROUP",
        "talk to a group from now on",
        _one_name(lambda name: SetRecipient(Recipient(name, group=True))),
    ),
    "/group": Usage("GROUP MEMBER...", "make a group of exactly these users", _group),
    "/add": Usage("GROUP NAME", "add one user to a group", _add),
    "/names": Usage(
        "GROUP",
        "list who is in a group",
        _one_name(lambda name: ListMembers(Recipient(name, group=True))),
    ),
    "/groups": Usage("", "list the groups that you are in", _no_arguments(ListGroups())),
    "/leave": Usage("GROUP", "leave a group", _one_name(Leave)),
    "/nick": Usage("NEW_NAME", "change your name", _one_name(Login)),
    "/ping": Usage(
        "", "measure the time to the server and back", _no_arguments(SimpleCommand.PING)
    ),
    "/help": Usage("", "list the commands", _no_arguments(SimpleCommand.HELP)),
    "/quit": Usage("", "log out", _no_arguments(SimpleCommand.QUIT)),
}
"""All commands, by name."""

_NO_RECIPIENT: Final = Hint("nobody would get that: first type /to NAME or /to-group GROUP")

_NO_USERS: Final = Hint("CHAT/1.0 has no list of who is online; /names GROUP tells who is in one")

_ELSEWHERE: Final = {
    "/who": _NO_USERS,
    "/whois": _NO_USERS,
    "/list": Hint("CHAT/1.0 has no list of all groups; /groups lists those that you are in"),
    "/join": Hint(
        "CHAT/1.0 has no /join: who has made a group adds you to it; /group makes a new one"
    ),
}
"""Commands of other chat programs for what CHAT/1.0 does not have."""

_WITHOUT_ARGUMENTS: Final = {"/names": _NO_USERS}
"""The same for commands that have another meaning without arguments elsewhere."""
