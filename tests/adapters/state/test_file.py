"""`StateFile`: what is written is there again, and what is no state file stays as it is."""

import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproto import ChatHub, GroupEnded, GroupMade, MemberAdded, MemberLeft
from chatproto.testing import names
from chatproto_sync.state import file as module
from chatproto_sync.state.errors import StateError
from chatproto_sync.state.file import StateFile, check_state_file

from .files import by_name, execute, read, unwritten, write

TEA = GroupMade("tea", "alice", ("alice", "bob"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "groups"


def test_groups_are_there_again(path: Path) -> None:
    write(path, TEA, GroupMade("chess", "bob", ()))
    assert read(path) == {"tea": ("alice", ["alice", "bob"]), "chess": ("bob", [])}


def test_changes_of_groups_that_are_there(path: Path) -> None:
    write(path, TEA, GroupMade("chess", "bob", ("bob",)), GroupMade("go", "bob", ("bob",)))
    write(
        path,
        MemberAdded("tea", "carol"),
        MemberLeft("tea", "alice"),
        GroupEnded("chess"),
        GroupEnded("go"),
        GroupMade("go", "carol", ("dave",)),
    )
    assert read(path) == {"tea": ("alice", ["bob", "carol"]), "go": ("carol", ["dave"])}


def test_the_oldest_group_comes_first(path: Path) -> None:
    """It is the first to give way."""
    write(path, *(GroupMade(name, "x", ()) for name in "dab"))
    write(path, GroupEnded("a"), GroupMade("c", "x", ()))
    with closing(StateFile(path)) as file:
        assert [each.group for each in file.read()] == ["d", "b", "c"]


def test_bans_are_there_again(path: Path) -> None:
    for changes in (
        {"bob": True, "192.0.2.0/24": True},
        {"192.0.2.0/24": False, "bob": True, "alice": True},
    ):
        with closing(StateFile(path)) as file:
            found = unwritten()
            found.note_bans(changes)
            file.write(found)
            # After an error, nobody knows if it is there already.
            file.write(found)
    with closing(StateFile(path)) as file:
        assert file.read_bans() == ["bob", "alice"]
    check_state_file(path)


@pytest.mark.parametrize("ban", ["'a b'", "x'c0000207'"])
def test_what_is_no_ban(ban: str, path: Path) -> None:
    write(path)
    execute(path, f"INSERT INTO bans (what) VALUES ({ban})")
    with pytest.raises(StateError, match="damaged"):
        check_state_file(path)


def test_to_write_once_more_does_no_harm(path: Path) -> None:
    """After an error, nobody knows if it is there already."""
    write(path, TEA, GroupMade("chess", "bob", ("bob",)))
    changes = GroupEnded("chess"), MemberAdded("tea", "carol"), MemberLeft("tea", "alice")
    more = GroupMade("go", "bob", ("bob",))
    for _ in range(2):
        write(path, *changes, more)
        assert read(path) == {"tea": ("alice", ["bob", "carol"]), "go": ("bob", ["bob"])}


@settings(max_examples=20)
@given(
    st.lists(st.tuples(names(), names(), st.lists(names(), unique=True)), unique_by=lambda x: x[0])
)
def test_all_names_survive(groups: list[tuple[str, str, list[str]]]) -> None:
    made = [GroupMade(name, creator, tuple(members)) for name, creator, members in groups]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "groups")
        write(path, *made)
        assert read(path) == by_name(made)


def test_only_the_owner_may_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(StateFile(path)) as file:
            file.write(unwritten(TEA))
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("groups", "groups-lock", "groups-wal", "groups-shm"), 0o600)


@settings(max_examples=30)
@given(st.data())
def test_whatever_happens_to_the_bytes(data: st.DataObject) -> None:
    """It is refused and stays as it is, or has groups that a server can have."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "groups")
        write(path, TEA, *(GroupMade(f"group{number}", "x", ("y",)) for number in range(200)))
        contents = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 20))):
            contents[data.draw(st.integers(0, len(contents) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(contents)
        try:
            with closing(StateFile(path)) as file:
                ChatHub[int]().restore(file.read())
        except StateError:
            assert path.read_bytes() == contents


def test_a_closed_file_is_whole_by_itself(path: Path) -> None:
    """So it can be copied, and read where nothing can be written."""
    write(path, TEA)
    assert {each.name for each in path.parent.iterdir()} == {"groups", "groups-lock"}


def test_others_may_read_it_meanwhile(path: Path) -> None:
    copy = path.with_name("copy")
    with closing(StateFile(path)) as file:
        file.write(unwritten(TEA))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    assert read(copy) == {"tea": ("alice", ["alice", "bob"])}


def test_an_empty_file_is_as_none(path: Path) -> None:
    """`mktemp` makes such, for example."""
    path.touch()
    write(path, TEA)
    assert list(read(path)) == ["tea"]


def test_a_server_that_was_killed_when_it_began(path: Path) -> None:
    path.with_name("groups-new").write_bytes(b"SQLite for")
    write(path, TEA)
    assert list(read(path)) == ["tea"]


def test_two_servers_with_one_file(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with closing(StateFile(path)):
        for each in (path, link):
            with pytest.raises(StateError) as caught:
                StateFile(each)
            assert str(caught.value) == (
                f"another server uses the state file {each}: each server needs a file of its own"
            )
    StateFile(path).close()


def test_it_may_be_closed_twice(path: Path) -> None:
    file = StateFile(path)
    file.close()
    file.close()


def test_errors_leave_the_lock_free(path: Path) -> None:
    """Whoever has mended the file can use it at once."""
    write(path, TEA)
    execute(path, "PRAGMA user_version = 2")
    with pytest.raises(StateError, match="newer"):
        StateFile(path)
    execute(path, "PRAGMA user_version = 1")
    StateFile(path).close()


def other_database(path: Path) -> None:
    execute(path, "CREATE TABLE groups (id, name, creator)")


def other_application(path: Path) -> None:
    write(path, TEA)
    execute(path, "PRAGMA application_id = 7")


def text(path: Path) -> None:
    path.write_text("my recipes\n" * 100, encoding="ascii")


def newer(path: Path) -> None:
    write(path, TEA)
    execute(path, "PRAGMA user_version = 2")


def cut(path: Path) -> None:
    write(path, *(GroupMade(f"group{number}", "x", ("y",)) for number in range(1000)))
    os.truncate(path, path.stat().st_size // 2)


def scribbled(path: Path) -> None:
    write(path, *(GroupMade(f"group{number}", "x", ("y",)) for number in range(1000)))
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(b"\xa5" * 9000)


def with_a_group_twice(path: Path) -> None:
    """The table says so, and the index of names does not."""
    write(path, GroupMade("tea1", "x", ()), GroupMade("tea2", "x", ()))
    before, _, after = path.read_bytes().partition(b"tea2")
    path.write_bytes(before + b"tea1" + after)


def with_a_scribbled_schema(path: Path) -> None:
    write(path, TEA)
    before, _, after = path.read_bytes().partition(b"CREATE TABLE members")
    path.write_bytes(before + b"CREATE TABLE \xdbembers" + after)


def without_a_table(path: Path) -> None:
    write(path, TEA)
    execute(path, "DROP TABLE members")


def with_(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        write(path, TEA)
        execute(path, statement)

    return damage


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "text": (text, "PATH is no state file of a chat server: name another file, or one that does"),
    "another database": (other_database, "PATH is no state file of a chat server: name another"),
    "another application": (other_application, "PATH is no state file of a chat server: name"),
    "newer": (newer, "the state file PATH is from a newer chatproto: use that, or name another"),
    "cut": (cut, "the state file PATH is damaged (database disk image is malformed): put a backup"),
    "scribbled": (scribbled, "the state file PATH is damaged ("),
    "a group twice": (with_a_group_twice, "the state file PATH is damaged ("),
    "a scribbled schema": (with_a_scribbled_schema, "the state file PATH is damaged ("),
    "no table": (without_a_table, "the state file PATH is damaged (no such table: members): put"),
    "version 0": (with_("PRAGMA user_version = 0"), "the state file PATH is damaged ("),
    "a name with a space": (
        with_("UPDATE groups SET name = 'a b'"),
        "the state file PATH is damaged (a name holds no white space and no control characters)",
    ),
    "a reserved name": (
        with_("INSERT INTO members VALUES (1, '*server*')"),
        "the state file PATH is damaged (names that start with * are reserved): put a backup",
    ),
    "a long name": (
        with_(f"UPDATE groups SET creator = '{'x' * 65}'"),
        "the state file PATH is damaged (a name has 1 to 64 bytes): put a backup",
    ),
    "bytes for a name": (
        with_("UPDATE groups SET name = x'ff'"),
        "the state file PATH is damaged (a name is a str, not bytes): put a backup in its place,",
    ),
    "a name that is no UTF-8": (
        with_("UPDATE groups SET name = CAST(x'ff' AS TEXT)"),
        "the state file PATH is damaged (Could not decode to UTF-8 column 'name'",
    ),
}


@pytest.mark.parametrize(("make", "words"), CASES.values(), ids=CASES.keys())
def test_what_is_no_good_state_file(make: Callable[[Path], None], words: str, path: Path) -> None:
    """It is refused with words, and nothing of it changes."""
    make(path)
    path.with_name("groups-lock").unlink(missing_ok=True)
    before = path.read_bytes()

    def use() -> None:
        with closing(StateFile(path)) as file:
            list(file.read())

    for attempt in (use, lambda: check_state_file(path)):
        with pytest.raises(StateError) as caught:
            attempt()
        assert str(caught.value).startswith(words.replace("PATH", str(path)))
        assert path.read_bytes() == before


def test_what_is_no_state_file_gets_no_lock_beside_it(path: Path) -> None:
    text(path)
    with pytest.raises(StateError):
        StateFile(path)
    assert [each.name for each in path.parent.iterdir()] == ["groups"]


PLACES: dict[str, tuple[str, str]] = {
    "a directory that is missing": (
        "missing/groups",
        "can't use the state file PATH: there is no directory DIR/missing; make it, or",
    ),
    "a directory": ("folder", "can't use the state file PATH: it is not a file"),
    "a pipe": ("pipe", "can't use the state file PATH: it is not a file"),
    "a directory that is a file": ("text/x", "can't use the state file PATH: Not a directory"),
}


@pytest.mark.parametrize(("name", "words"), PLACES.values(), ids=PLACES.keys())
def test_places_where_no_file_can_be(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").touch()
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    words = words.replace("PATH", str(path)).replace("DIR", str(tmp_path))
    for attempt in (StateFile, check_state_file):
        with pytest.raises(StateError) as caught:
            attempt(path)
        assert str(caught.value).startswith(words)


def test_a_part_of_a_file_that_is_missing(path: Path) -> None:
    """SQLite would mix what is left of the old file into the new one."""
    copy = path.with_name("copy")
    with closing(StateFile(path)) as file:
        file.write(unwritten(TEA))
        shutil.copy(path.with_name("groups-wal"), copy)
    path.unlink()
    copy.rename(path.with_name("groups-wal"))
    with pytest.raises(StateError) as caught:
        StateFile(path)
    assert str(caught.value) == (
        f"the state file {path} is missing, but groups-wal is there, which has a part of it:"
        " put the file back, or remove that too to begin without groups"
    )
    assert not path.exists()


def test_a_file_that_another_program_has_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.0)
    write(path, TEA)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for attempt in (StateFile, check_state_file):
            with pytest.raises(StateError) as caught:
                attempt(path)
            assert str(caught.value) == f"can't use the state file {path}: database is locked"
    assert list(read(path)) == ["tea"]


def test_a_disk_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_lock: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(StateError, match="No locks available"):
        StateFile(path)


def test_a_check_where_no_file_can_be_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # root may write anywhere.
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(StateError) as caught:
        check_state_file(path)
    assert str(caught.value) == f"can't use the state file {path}: Permission denied"


def test_the_path_cannot_control_a_terminal(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught:
        StateFile(tmp_path / "\x1b[2J" / "x")
    assert "\x1b" not in str(caught.value)
    assert r"\x1b[2J" in str(caught.value)


def test_a_check_changes_nothing(path: Path) -> None:
    check_state_file(path)
    assert not list(path.parent.iterdir())
    with closing(StateFile(path)) as file:
        file.write(unwritten(TEA))
        check_state_file(path)
    check_state_file(path)
    assert list(read(path)) == ["tea"]
