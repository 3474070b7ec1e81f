"""The words that somebody who chats may want to type again."""

from typing import Final

from .parsing import USAGES, is_command

NAMES_KEPT: Final = 500
"""The most names of people, and of groups; others can make up as many as they like."""


class Names(dict[str, None]):
    """Names, those met last at the end. Those that were not met for longest are forgotten."""

    def meet(self, name: str) -> None:
        """Take note of a name."""
        self.pop(name, None)
        self[name] = None
        if len(self) > NAMES_KEPT:
            del self[next(iter(self))]

    def starting_with(self, start: str) -> list[str]:
        """Those that start with something, the one met last first."""
        return [name for name in reversed(self) if name.startswith(start)]


class Vocabulary:
    """All commands, and the names that were met."""

    def __init__(self) -> None:
        self.people = Names()
        """Names of users."""
        self.groups = Names()
        """Names of groups."""

    def completions(self, text: str) -> tuple[str, list[str]]:
        """What the last word may become.

        Args:
            text: What is typed up to the cursor.

        Returns:
            The last word, which is empty after a space, and the words that start with it and have
            a meaning there.
        """
        *before, word = text.split(" ")
        if not is_command(text):
            return word, self.people.starting_with(word)
        if not before:
            return word, [command for command in USAGES if command.startswith(word)]
        match _argument(before):
            case "GROUP":
                return word, self.groups.starting_with(word)
            case "NAME" | "[NAME]" | "MEMBER..." | "TEXT":
                return word, self.people.starting_with(word)
            case _:
                return word, []


def _argument(before: list[str]) -> str | None:
    """What a command takes after some words; None for nothing, or if it is no command."""
    command, *words = (word for word in before if word)
    if command not in USAGES:
        return None
    arguments = USAGES[command].arguments.split()
    if len(words) < len(arguments):
        return arguments[len(words)]
    return arguments[-1] if arguments and arguments[-1] in ("MEMBER...", "TEXT") else None
