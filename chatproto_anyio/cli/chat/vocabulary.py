"""The words that Tab completes: commands, and the names of users and groups."""

from collections.abc import Iterable
from typing import Final

from .parsing import USAGES, is_slash_command

MAX_NAMES: Final = 500
"""The most names to remember of users, and of groups. Other users choose how many there are."""


class RecentNames(dict[str, None]):
    """A bounded set of names, the most recent one last. When full, it forgets the oldest."""

    def add(self, name: str) -> None:
        """Add a name, or make it the most recent one."""
        self.pop(name, None)
        self[name] = None
        if len(self) > MAX_NAMES:
            del self[next(iter(self))]

    def fill(self, names: Iterable[str]) -> None:
        """Add names for which there is room, without forgetting any."""
        for name in names:
            if len(self) >= MAX_NAMES:
                return
            self.setdefault(name)

    def starting_with(self, prefix: str) -> list[str]:
        """The names that start with a prefix, the most recent one first."""
        return [name for name in reversed(self) if name.startswith(prefix)]


class Vocabulary:
    """The commands, and the names that have occurred in this conversation."""

    def __init__(self) -> None:
        self.users: RecentNames = RecentNames()
        """Names of users."""
        self.groups: RecentNames = RecentNames()
        """Names of groups."""

    def complete(self, text: str) -> tuple[str, list[str]]:
        """Find completions of the last word.

        Args:
            text: What is typed up to the cursor.

        Returns:
            The last word, which is empty after a space, and the words that it can be completed to.
        """
        *before, word = text.split(" ")
        if not is_slash_command(text):
            return word, self.users.starting_with(word)
        if not before:
            return word, [name for name in USAGES if name.startswith(word)]
        match _argument_after(before):
            case "GROUP":
                return word, self.groups.starting_with(word)
            case "NAME" | "[NAME]" | "MEMBER..." | "TEXT":
                return word, self.users.starting_with(word)
            case _:
                return word, []


def _argument_after(before: list[str]) -> str | None:
    """The argument that follows a command and words; None if there is none."""
    name, *words = (word for word in before if word)
    if name not in USAGES:
        return None
    arguments = USAGES[name].arguments.split()
    if len(words) < len(arguments):
        return arguments[len(words)]
    return arguments[-1] if arguments and arguments[-1] in ("MEMBER...", "TEXT") else None
