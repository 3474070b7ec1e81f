"""The lines that a conversation shows, on a terminal or without one, and those of `listen`."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from chatproto import Added, Broadcast, Message, Notice, Send, visible, visible_name

from ..running import format_notice
from .parsing import Recipient


class LineKind(StrEnum):
    """What a line is about. The value is the name of its style."""

    RECEIVED = "received"
    RECEIVED_IN_GROUP = "received-in-group"
    MENTIONED = "mentioned"
    SENT = "sent"
    FAILED = "failed"
    ERROR = "error"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line, without control characters.

    The prefixes are `<bob>`, `#tea <bob>`, `-> bob:`, `!` and `*`. Their first characters differ.
    Names come after those, and have no spaces. So even without colours, no name and no text can
    make a line look like one of another kind, or from another sender or group. A `!` in front of
    another prefix marks what has failed.
    """

    kind: LineKind
    """What the line is about."""

    prefix: str
    """What shows the kind, and the sender or the recipient."""

    text: str
    """The rest of the line."""

    @classmethod
    def received(cls, message: Message, name: str | None = None) -> Self:
        """A message from another user, with its group if it was sent to one.

        Args:
            message: The message.
            name: This user's name: lines of messages to groups that mention it differ in kind. None
                if it does not matter.
        """
        kind, prefix = LineKind.RECEIVED, f"<{visible_name(message.sender)}>"
        if message.group is not None:
            mentioned = name is not None and mentions(message.text, name)
            kind = LineKind.MENTIONED if mentioned else LineKind.RECEIVED_IN_GROUP
            # The group comes first: behind the sender, a text could look like it.
            prefix = f"#{visible_name(message.group)} {prefix}"
        return cls(kind, prefix, visible(message.text))

    @classmethod
    def sent(cls, message: Send | Broadcast) -> Self:
        """A message that this client has sent."""
        match message:
            case Send(to, data):
                recipient = Recipient(to)
            case Broadcast(group, data):
                recipient = Recipient(group, group=True)
        return cls(LineKind.SENT, f"-> {recipient}:", visible(data.decode(errors="replace")))

    @classmethod
    def notice(cls, notice: Notice) -> Self:
        """A notice from the server."""
        return cls.error(format_notice(notice))

    @classmethod
    def added(cls, added: Added) -> Self:
        """The news that another user has added this one to a group."""
        group = Recipient(added.group, group=True)
        return cls.info(f"{visible_name(added.by)} has added you to {group}")

    @classmethod
    def error(cls, text: str) -> Self:
        """An error message.

        Args:
            text: Has no control characters: see `visible`.
        """
        return cls(LineKind.ERROR, "!", text)

    @classmethod
    def info(cls, text: str) -> Self:
        """Information from this program.

        Args:
            text: Has no control characters: see `visible`.
        """
        return cls(LineKind.INFO, "*", text)

    def failed(self) -> "OutputLine":
        """The same line, marked: the server has refused what it shows."""
        prefix = "!" if self.kind is LineKind.INFO else f"! {self.prefix}"
        return OutputLine(LineKind.FAILED, prefix, self.text)

    def __str__(self) -> str:
        """The line without its time."""
        return f"{self.prefix} {self.text}"

    def fragments(self, time: str) -> list[tuple[str, str]]:
        """Split the line into pairs of a prompt_toolkit style and text.

        Args:
            time: When the line is shown.
        """
        style = f"class:{self.kind}"
        # Colour only the prefix of a message: long coloured text is hard to read.
        is_message = self.kind not in (LineKind.ERROR, LineKind.INFO)
        return [
            ("class:head", f"{time} "),
            (f"class:head {style}", f"{self.prefix} "),
            ("" if is_message else style, self.text),
        ]


def mentions(text: str, name: str) -> bool:
    """Whether a text has a name in it as a word of its own, in upper or lower case."""
    word = rf"(?<!\w){re.escape(name)}(?!\w)"
    return re.search(word, text, re.IGNORECASE) is not None
