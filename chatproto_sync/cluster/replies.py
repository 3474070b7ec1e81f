"""What Redis answers, in words for people."""

from typing import Final

from chatproto import visible

_WORDS: Final = {
    "NOAUTH": "it wants a password, and none is given",
    "WRONGPASS": "it does not accept the user or the password",
    "NOPERM": "the user may not use a command or a key that the cluster needs",
    "OOM": "it has no memory left: raise its maxmemory",
    "READONLY": "it is a replica, which can't be written",
    "LOADING": "it is still loading its data",
    "MISCONF": "it takes no writes, because it can't save its data: see its log",
    "MASTERDOWN": "it is a replica that has lost its master",
    "NOREPLICAS": "it takes no writes, because it has too few replicas",
    "CLUSTERDOWN": "its own cluster is down",
    "TRYAGAIN": "the chat is on its way to another server of its own cluster",
    "ASK": "the chat is on its way to another server of its own cluster",
    "BUSY": "it is busy with a script",
    "WRONGTYPE": "one of its keys of the chat holds something else: another program uses it",
    "DENIED": "it runs in protected mode, which allows connections from its own machine only",
}
"""The first word of an error, and what it means. The words go on "can't use Redis at HOST: "."""


_TEMPORARY: Final = ("LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "ASK", "BUSY")


def is_temporary(error: str) -> bool:
    """Whether an error that Redis has answered passes without anybody's help."""
    return error.partition(" ")[0] in _TEMPORARY


def words_of_reply(error: str) -> str:
    """Explain an error that Redis has answered. The text of Redis follows where it says more.

    Args:
        error: The text, such as `OOM command not allowed when used memory > 'maxmemory'.`
    """
    code, _, _ = error.partition(" ")
    code = code.removeprefix("-")
    if "unknown command" in error.lower():
        return f"it lacks a command, and has to be version 6.2 or newer: {visible(error)}"
    if code not in _WORDS:
        return f"it answers: {visible(error)}"
    if code in ("NOPERM", "WRONGTYPE"):
        return f"{_WORDS[code]}: {visible(error)}"
    return _WORDS[code]


def moved_to(error: str) -> tuple[str, int] | None:
    """The server that Redis Cluster keeps a key at, by an error of another server; else None.

    Args:
        error: The text, such as `MOVED 3999 127.0.0.1:6381`.
    """
    words = error.split(" ")
    if len(words) != 3 or words[0] != "MOVED":
        return None
    host, _, port = words[2].rpartition(":")
    return (host, int(port)) if port.isdecimal() else None
