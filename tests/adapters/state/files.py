"""State files for tests, and what is in them."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from chatproto import GroupChange, GroupMade
from chatproto_sync.state.file import StateFile
from chatproto_sync.state.unwritten import Unwritten


def unwritten(*changes: GroupChange) -> Unwritten:
    """Some changes, summed up."""
    found = Unwritten()
    found.note(changes)
    return found


def write(path: Path, *changes: GroupChange) -> None:
    """Have changes written to a file, which may be new."""
    with closing(StateFile(path)) as file:
        file.write(unwritten(*changes))


def read(path: Path) -> dict[str, tuple[str, list[str]]]:
    """The groups in a file: for each, its creator and its members in alphabetical order."""
    with closing(StateFile(path)) as file:
        return by_name(file.read())


def by_name(groups: Iterable[GroupMade]) -> dict[str, tuple[str, list[str]]]:
    return {each.group: (each.creator, sorted(each.members)) for each in groups}


def execute(path: Path, *statements: str) -> None:
    """Change a file as an operator may, with SQLite itself."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
