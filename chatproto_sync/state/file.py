"""The state file: an SQLite database of the groups and bans of one server.

Theory of operation
===================

A write-ahead log (WAL) makes each `StateFile.write` atomic, whenever the process or the machine
ends. It also lets other programs read meanwhile. A new file is made beside its place and moved
there when it is complete. Beginning the log takes room on the disk. So the first `write` does it,
because a caller can try a `write` again.

SQLite releases Python's global interpreter lock (GIL) for each statement. On a busy server it takes
up to 5 ms to get it back. So `write` passes any number of groups to SQLite as JSON, in a few
statements.
"""

import contextlib
import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final
from urllib.parse import quote

from chatproto import GroupMade, LocalProtocolError, Login, parse_ban, visible

from .errors import StateError
from .unwritten import Unwritten

VERSION: Final = 1
"""The version of the schema, in `PRAGMA user_version`."""

BUSY_TIMEOUT: Final = 2.0
"""Seconds to wait for another program that has locked the file."""

_MAGIC: Final = b"SQLite format 3\0"
"""What each SQLite database begins with (sqlite.org/fileformat.html, section 1.3)."""

_APPLICATION: Final = b"CHAT"
"""What tells a state file from other databases, as `PRAGMA application_id`."""

_APPLICATION_AT: Final = 68
"""Where that stands in the header."""

_HEADER_SIZE: Final = 100

_PRIMARY: Final = 0xFF
"""The bits of an error of SQLite that say what kind it is."""

_SCHEMA: Final = f"""
BEGIN;
PRAGMA application_id = {int.from_bytes(_APPLICATION)};
PRAGMA user_version = {VERSION};
CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, creator TEXT NOT NULL
);
CREATE TABLE members (
    group_id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (group_id, name)
) WITHOUT ROWID;
CREATE TABLE bans (what TEXT NOT NULL UNIQUE);
COMMIT;
"""

_READ: Final = """
SELECT groups.id, groups.name, groups.creator, members.name
FROM groups LEFT JOIN members ON members.group_id = groups.id
ORDER BY groups.id
"""

_READ_BANS: Final = "SELECT what FROM bans ORDER BY rowid"

# The parameters of these statements are JSON: names of groups; groups, each with its creator;
# groups, each with its members as keys; bans. A statement may run again after part of its work is
# done.
_DELETE_MEMBERS_OF: Final = """
DELETE FROM members WHERE group_id IN (
    SELECT id FROM groups WHERE name IN (SELECT value FROM json_each(?))
)
"""
_DELETE_GROUPS: Final = "DELETE FROM groups WHERE name IN (SELECT value FROM json_each(?))"
_INSERT_GROUPS: Final = """
INSERT INTO groups (name, creator)
SELECT key, value FROM json_each(?)
"""
_PAIRS: Final = """
SELECT groups.id, member.key
FROM json_each(?) AS entry
CROSS JOIN groups ON groups.name = entry.key
CROSS JOIN json_each(entry.value) AS member
"""
_DELETE_MEMBERS: Final = f"DELETE FROM members WHERE (group_id, name) IN ({_PAIRS})"  # noqa: S608 - a constant
_INSERT_MEMBERS: Final = f"INSERT OR IGNORE INTO members (group_id, name) {_PAIRS}"

_DELETE_BANS: Final = "DELETE FROM bans WHERE what IN (SELECT value FROM json_each(?))"
_INSERT_BANS: Final = "INSERT OR IGNORE INTO bans (what) SELECT value FROM json_each(?)"


class StateFile:
    """The file of one server. No other server can have it until `close`.

    Args:
        path: Its path. If there is no file, an empty one is made, which only its owner may read.

    Raises:
        StateError: It can't be used. What is there stays as it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # The names of the files beside it have to be the same, whichever link leads there.
        self._path = Path(path).resolve()
        self.name: str = visible(os.fspath(path))
        """What to call it in messages."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(_explaining(self.name))
            _refuse_others(self._path)
            self._lock = self._lock_it()
            stack.callback(os.close, self._lock)
            self._find_or_make()
            self._connection = _connect(self._path, "rw")
            stack.callback(self._connection.close)
            _check(self._connection, self.name)
            # This fails if the file cannot be written. It changes nothing.
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("COMMIT")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._has_log = False
            # Whether all of it could be read.
            self._is_good = False
            stack.pop_all()

    def read(self) -> Iterator[GroupMade]:
        """Yield the groups in the file, the oldest first.

        Raises:
            StateError: It can't be read, or it has what no group can have.
        """
        with _explaining(self.name):
            yield from _read(self._connection)
            self._is_good = True

    def read_bans(self) -> list[str]:
        """The bans in the file, the oldest first.

        Raises:
            StateError: They can't be read, or one of them is no ban.
        """
        with _explaining(self.name):
            return _read_bans(self._connection)

    def write(self, unwritten: Unwritten) -> None:
        """Write changes. When this returns, they are on the disk.

        Raises:
            sqlite3.Error: They are not written, or nobody knows whether they are. Write them again.
        """
        gone: list[str] = []
        made: dict[str, str] = {}
        left: dict[str, dict[str, bool]] = {}
        added: dict[str, dict[str, bool]] = {}
        for group, there in unwritten.by_group.items():
            if there.ended or there.creator is not None:
                gone.append(group)
            if there.creator is not None:
                made[group] = there.creator
                added[group] = there.members
            else:
                for members, is_new in ((left, False), (added, True)):
                    members[group] = {
                        name: new for name, new in there.members.items() if new is is_new
                    }
        execute = self._connection.execute
        if not self._has_log:
            # Where that is not possible, SQLite goes on without the log. That is as safe.
            execute("PRAGMA journal_mode = WAL")
            self._has_log = True
        execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in (
                (_DELETE_MEMBERS_OF, gone),
                (_DELETE_GROUPS, gone),
                (_INSERT_GROUPS, made),
                (_DELETE_MEMBERS, left),
                (_INSERT_MEMBERS, added),
                (_DELETE_BANS, [what for what, is_new in unwritten.bans.items() if not is_new]),
                (_INSERT_BANS, [what for what, is_new in unwritten.bans.items() if is_new]),
            ):
                if rows:
                    execute(statement, (json.dumps(rows),))
            execute("COMMIT")
        except BaseException:
            # After some errors, SQLite has done this already.
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file. You may call it twice."""
        if self._is_good or self._has_log:
            # Without the log, a server can start on a disk that is full.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _lock_it(self) -> int:
        """Take the lock of the file, which is a file of its own and ends with the process.

        SQLite's own locks would keep other programs from reading.
        """
        lock = os.open(self._beside("-lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                raise StateError(
                    f"another server uses the state file {self.name}:"
                    " each server needs a file of its own"
                ) from None
            raise
        return lock

    def _find_or_make(self) -> None:
        """Make sure that there is a state file. SQLite never opens any other file."""
        header = _header(self._path)
        if not header:
            self._make()
        elif not _is_ours(header):
            self._beside("-lock").unlink()
            raise _foreign(self.name)

    def _make(self) -> None:
        log = self._beside("-wal")
        if log.exists():
            raise StateError(
                f"the state file {self.name} is missing, but {visible(log.name)} is there, which"
                " has a part of it: put the file back, or remove that too to begin without groups"
            )
        new = self._beside("-new")
        new.unlink(missing_ok=True)
        # SQLite gives the files that it makes the same mode.
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(_connect(new, "rw")) as connection:
            connection.executescript(_SCHEMA)
        new.replace(self._path)
        # Otherwise, a loss of power could undo that, and with it all that is written later.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_state_file(path: str | os.PathLike[str]) -> None:
    """Find out whether a server could use a file. Another server may be using it meanwhile.

    Raises:
        StateError: It could not.
    """
    name, resolved = visible(os.fspath(path)), Path(path).resolve()
    with _explaining(name):
        _refuse_others(resolved)
        header = _header(resolved)
        if not header:
            if not resolved.parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, "", os.fspath(resolved))
            if not os.access(resolved.parent, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        if not _is_ours(header):
            raise _foreign(name)
        with contextlib.closing(_connect(resolved, "ro")) as connection:
            _check(connection, name)
            for _ in _read(connection):
                pass
            _read_bans(connection)


def _refuse_others(path: Path) -> None:
    """Refuse a directory, a pipe, or anything else that is not a file.

    Raises:
        OSError: It is one of these.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a file")


def _header(path: Path) -> bytes:
    """The first bytes of a file; none if it does not exist."""
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_SIZE)
    except FileNotFoundError:
        return b""


def _is_ours(header: bytes) -> bool:
    return header.startswith(_MAGIC) and header[_APPLICATION_AT:][:4] == _APPLICATION


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        # `StateFile.write` says where a transaction begins and ends.
        isolation_level=None,
        # One thread opens the file, and another one writes it from then on.
        check_same_thread=False,
    )


def _check(connection: sqlite3.Connection, name: str) -> None:
    """Check the version, and the structure of the whole file.

    Raises:
        StateError: It is another version, or the file is damaged.
    """
    [(version,)] = connection.execute("PRAGMA user_version")
    if version > VERSION:
        raise StateError(
            f"the state file {name} is from a newer chatproto: use that, or name another file"
        )
    [(answer,)] = connection.execute("PRAGMA integrity_check(1)")
    if answer != "ok" or version != VERSION:
        raise _damaged(name, answer.splitlines()[-1])


def _read(connection: sqlite3.Connection) -> Iterator[GroupMade]:
    names = _Names()
    for _, rows in groupby(connection.execute(_READ), key=itemgetter(0)):
        (_, group, creator, first), *others = rows
        # A group without members has one row, with NULL in the last column.
        members = () if first is None else (first, *(row[3] for row in others))
        yield GroupMade(names[group], names[creator], tuple(names[each] for each in members))


def _read_bans(connection: sqlite3.Connection) -> list[str]:
    bans = [what for (what,) in connection.execute(_READ_BANS)]
    for each in bans:
        if not isinstance(each, str):
            raise TypeError(f"{each!r} is no text")
        parse_ban(each)
    return bans


class _Names(dict[str, str]):
    """Maps each name to itself. Checks it when it first appears; keeps it once for all groups."""

    def __missing__(self, name: str) -> str:
        # The names of groups follow the rules for the names of users.
        found = self[name] = Login(name).name
        return found


@contextlib.contextmanager
def _explaining(name: str) -> Iterator[None]:
    """Turn errors into a `StateError` with words for people."""
    try:
        yield
    except FileNotFoundError as error:
        folder = visible(os.fspath(Path(error.filename).parent))
        raise StateError(
            f"can't use the state file {name}: there is no directory {folder};"
            " make it, or name another file"
        ) from None
    except OSError as error:
        raise StateError(f"can't use the state file {name}: {error.strerror}") from error
    except LocalProtocolError as error:
        raise _damaged(name, error.text) from error
    except (TypeError, ValueError) as error:
        raise _damaged(name, str(error)) from error
    except sqlite3.Error as error:
        if _is_damage(error):
            raise _damaged(name, str(error)) from error
        raise StateError(f"can't use the state file {name}: {error}") from error


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def _damaged(name: str, how: str) -> StateError:
    return StateError(
        f"the state file {name} is damaged ({visible(how)}): put a backup in its place,"
        " or move it away to begin without groups"
    )


def _foreign(name: str) -> StateError:
    return StateError(
        f"{name} is no state file of a chat server: name another file, or one that does not exist"
    )
