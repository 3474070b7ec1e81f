"""Requests about groups, and what the service for groups says (protocol.md, section 5)."""

from collections.abc import Sequence
from typing import Final

from ..wire.errors import (
    ChatProtocolError,
    ErrorCode,
    LocalProtocolError,
    NotSupportedError,
    RequestRefusedError,
)
from ..wire.names import NAMES, check_name
from .messages import Message, read_code
from .ping import Ping

MOST_NAMES: Final = 1_000_000
"""The most names in one answer. A longer answer is taken for one that never ends."""

_LISTS: Final = ("list", "members")
"""The requests whose answers go on with names, maybe over several lines."""


class GroupRequest:
    """A request about groups, and the ping behind it.

    The server answers before the ping comes back, or never.

    Args:
        words: The request's words, such as `members` and `tea`.
        ping: The ping that was sent after it.
    """

    __slots__ = ("_answered", "_expected", "_names", "_refusal", "_words", "ping")

    def __init__(self, words: Sequence[str], ping: Ping) -> None:
        self._words = list(words)
        self._expected = self._words
        if words[0] == "add":
            # Other clients may add members too.
            self._expected = ["added", *words[1:], ping.name]
        self._names: list[str] = []
        self._answered = False
        self._refusal: ChatProtocolError | None = None
        self.ping: Ping = ping
        """The ping. When it is done, `result` has the answer."""

    @property
    def too_long(self) -> bool:
        """Whether the answer has more than `MOST_NAMES` names."""
        return len(self._names) > MOST_NAMES

    def receive(self, words: list[str]) -> bool:
        """Take what the service for groups says.

        Args:
            words: The words of one line.

        Returns:
            Whether it answers this request.
        """
        goes_on = self._words[0] in _LISTS
        if self._refusal is not None or (self._answered and not goes_on):
            return False
        count = len(self._expected)
        match words:
            case ["refused", code, *asked] if asked == self._words:
                self._refusal = RequestRefusedError(read_code(code), _reason(code, self._words))
            case [*_] if words[:count] == self._expected and (goes_on or len(words) == count):
                self._names += words[count:]
            case _:
                return False
        self._answered = True
        return True

    def result(self) -> list[str]:
        """The names that the server has answered with. Call it when the ping is done.

        Raises:
            ConnectionLostError: The connection was lost before the ping came back.
            NotSupportedError: The server does not answer such requests.
            RequestRefusedError: The server refuses it.
        """
        if (error := self.ping.error or self._refusal) is not None:
            raise error.copy()
        if not self._answered:
            raise NotSupportedError("this server does not answer requests about groups")
        return self._names


def check_words(words: Sequence[str]) -> None:
    """Refuse words that do not follow the grammar of names.

    Raises:
        LocalProtocolError: BAD_NAME.
    """
    for word in words:
        check_name(word)


def read_words(data: bytes) -> list[str]:
    """The words of an answer, all of them names; none if it does not have that form."""
    try:
        words = data.decode().split(" ")
        check_words(words)
    except (UnicodeDecodeError, LocalProtocolError):
        return []
    return words


def read_label(data: bytes) -> Message | None:
    """Parse a message with its group: `in`, group, sender and data; None if it is no such label."""
    words = data.split(b" ", 3)
    if len(words) < 4 or words[0] != b"in":
        return None
    try:
        return Message(NAMES[words[2]], words[3], NAMES[words[1]])
    except LocalProtocolError:
        return None


def _reason(code: str, words: list[str]) -> str:
    """Why the server refuses a request, in words for people: its answer has only the code."""
    match code, words:
        case ErrorCode.NO_SUCH_GROUP, [_, group, *_]:
            return f"there is no group {group} that you are in or have made"
        case ErrorCode.NOT_ALLOWED, ["add", group, _]:
            return f"this server does not let you add members to {group}"
        case ErrorCode.NAME_RESERVED, ["add", _, member]:
            return f"nobody can be called {member}: names that start with * are the server's"
        case ErrorCode.BAD_NAME, ["add", _, member]:
            return f"this server does not accept the name {member}: it has invisible characters"
        case ErrorCode.TOO_MANY, ["add", group, _]:
            return f"{group} can have no more members: this server has a limit"
        case ErrorCode.TOO_MANY, _:
            return "the answer is too long for this server's limits"
        case _:
            return f"the server refuses this: {' '.join(words)}"
