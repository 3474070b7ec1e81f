"""The lines that a conversation shows, on a terminal or without one, and those of `listen`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from chatproto import Broadcast, Message, Notice, Send, visible, visible_name

from ..running import format_notice
from .parsing import Recipient


class LineKind(StrEnum):
    """What a line is about. The value is the name of its style."""

    RECEIVED = "received"
    SENT = "sent"
    ERROR = "error"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line, without control characters.

    The prefixes are `<bob>`, `-> bob:`, `!` and `*`. Their first characters differ, and names stand
    behind them: without colours too, no name can make a line look like one of another kind.
    """

    kind: LineKind
    """What the line is about."""

    prefix: str
    """What shows the kind, and the sender or the recipient."""

    text: str
    """The rest of the line."""

    @classmethod
    def received(cls, message: Message) -> Self:
        """A message from another user."""
        return cls(LineKind.RECEIVED, f"<{visible_name(message.sender)}>", visible(message.text))

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
        is_message = self.kind in (LineKind.RECEIVED, LineKind.SENT)
        return [
            ("class:time", f"{time} "),
            (style, f"{self.prefix} "),
            ("" if is_message else style, self.text),
        ]
