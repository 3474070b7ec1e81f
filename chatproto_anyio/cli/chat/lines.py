"""What somebody who chats gets to see, whatever they see it on."""

from dataclasses import dataclass
from enum import StrEnum

from chatproto import Broadcast, Message, Notice, Send, visible

from ..options import in_words
from .parsing import Recipient


class Kind(StrEnum):
    """Whose words a line has. The value is the name of its colour."""

    PERSON = "person"
    OWN = "own"
    TROUBLE = "trouble"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Line:
    """One line; nothing in it moves a cursor.

    The heads are `<bob>`, `-> bob:`, `!` and `*`. Their first characters tell them apart without
    colours too, whatever people are called, because none of the four is ever part of a name there.
    """

    kind: Kind
    """Whose words these are."""

    head: str
    """What stands before them."""

    text: str
    """The words."""

    def fragments(self, time: str) -> list[tuple[str, str]]:
        """The line in pieces, each with the name of its style.

        Args:
            time: When it is shown.
        """
        style = f"class:{self.kind}"
        # What people say is the one thing that is long to read.
        said = self.kind in (Kind.PERSON, Kind.OWN)
        return [
            ("class:time", f"{time} "),
            (style, f"{self.head} "),
            ("" if said else style, self.text),
        ]


def heard(message: Message) -> Line:
    """What somebody else has said."""
    return Line(Kind.PERSON, f"<{visible(message.sender)}>", visible(message.text))


def said(message: Send | Broadcast) -> Line:
    """What this side has said."""
    match message:
        case Send(to, data):
            recipient = Recipient(to)
        case Broadcast(group, data):
            recipient = Recipient(group, group=True)
    return Line(Kind.OWN, f"-> {recipient}:", visible(data.decode(errors="replace")))


def noticed(notice: Notice) -> Line:
    """What the server itself has to say."""
    return trouble(in_words(notice))


def trouble(text: str) -> Line:
    """What did not work.

    Args:
        text: Words that are `visible`.
    """
    return Line(Kind.TROUBLE, "!", text)


def remark(text: str) -> Line:
    """What this program has to say.

    Args:
        text: Words that are `visible`.
    """
    return Line(Kind.REMARK, "*", text)
