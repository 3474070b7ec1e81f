"""`StateWriter`: changes get into the file, at the latest when the disk works again."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatproto import GroupEnded, GroupMade, MemberLeft
from chatproto_sync.state import writer as module
from chatproto_sync.state.file import StateFile
from chatproto_sync.state.unwritten import Unwritten
from chatproto_sync.state.writer import StateWriter, logger

from ..servers import TIMEOUT
from .files import by_name, read

TEA = GroupMade("tea", "alice", ("alice", "bob"))


class Log(logging.Handler):
    """Collects the log, and waits for lines of it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.lines.append(f"{record.levelname} {record.getMessage()}")
            self._changed.notify_all()

    def wait_for(self, words: str) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(words in line for line in self.lines), TIMEOUT
            )


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "groups"


@contextmanager
def writing(path: Path) -> Iterator[StateWriter]:
    """A writer that has started. The end of the context closes it."""
    with closing(StateWriter(path)) as writer:
        writer.start()
        yield writer


class Disk:
    """Has `StateFile.write` do what the test says."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._write = StateFile.write
        self.written = threading.Event()
        """Set when something is on the disk."""
        self.open = threading.Event()
        """Cleared, the disk hangs."""
        self.open.set()
        self.reached = threading.Event()
        """Set when somebody has begun to write."""
        self.error: Exception | None = None
        patch.setattr(StateFile, "write", self._wrap())

    def _wrap(self) -> Any:
        def write(file: StateFile, unwritten: Unwritten) -> None:
            self.reached.set()
            assert self.open.wait(TIMEOUT)
            if self.error is not None:
                raise self.error
            self._write(file, unwritten)
            self.written.set()

        return write


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_changes_are_written_soon(path: Path, disk: Disk) -> None:
    with writing(path) as writer:
        writer.keep([TEA])
        assert disk.written.wait(TIMEOUT)
        with closing(sqlite3.connect(path)) as reader:
            assert reader.execute("SELECT name, creator FROM groups").fetchall() == [
                ("tea", "alice")
            ]


def test_changes_are_written_at_the_end(path: Path) -> None:
    with writing(path) as writer:
        writer.keep([TEA])
        writer.keep([MemberLeft("tea", "bob")])
    with closing(StateWriter(path)) as writer:
        assert by_name(writer.read()) == {"tea": ("alice", ["alice"])}


def test_many_changes_are_written_in_parts(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 10)
    groups = [GroupMade(f"g{number}", "x", ("y", "z")) for number in range(100)]
    with writing(path) as writer:
        writer.keep(groups)
    assert read(path) == by_name(groups)
    assert disk.written.is_set()


def test_it_may_be_closed_twice_and_unused(path: Path) -> None:
    writer = StateWriter(path)
    writer.close()
    writer.close()
    assert read(path) == {}


def test_a_disk_that_is_full(path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says so once, and once when it is over. Nothing is lost."""
    monkeypatch.setattr(module, "RETRY_PAUSE", 0.01)
    groups = [GroupMade(f"g{number}", "x", ("y", "z")) for number in range(1000)]
    with writing(path) as writer:
        # SQLite fails as it does when the system has no room: in the middle of writing.
        connection = writer._file._connection
        connection.execute("PRAGMA max_page_count = 5")
        failures = count_failures(monkeypatch)
        writer.keep([TEA, *groups])
        assert failures.acquire(timeout=TIMEOUT)
        writer.keep([MemberLeft("tea", "bob"), GroupEnded("g0"), GroupMade("g0", "y", ())])
        for _ in range(3):
            assert failures.acquire(timeout=TIMEOUT)
        connection.execute("PRAGMA max_page_count = 100000")
        log.wait_for("written again")
    first, second = log.lines
    assert first == (
        f"ERROR can't write the state file {path}, trying again: database or disk is full."
        " If the server ends before that works, changes of groups and bans are lost"
    )
    assert second == f"WARNING the state file {path} is written again"
    found = read(path)
    assert found.pop("tea") == ("alice", ["alice"])
    assert found == by_name([*groups[1:], GroupMade("g0", "y", ())])


def count_failures(patch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Returns a semaphore that counts the attempts to write that have failed."""
    failures = threading.Semaphore(0)
    put_back = Unwritten.put_back

    def count(unwritten: Unwritten, taken: Unwritten) -> None:
        put_back(unwritten, taken)
        failures.release()

    patch.setattr(Unwritten, "put_back", count)
    return failures


def test_a_disk_that_becomes_read_only(
    path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_PAUSE", 0.01)
    with writing(path) as writer:
        connection = writer._file._connection
        connection.execute("PRAGMA query_only = ON")
        writer.keep([TEA])
        log.wait_for("attempt to write a readonly database")
        connection.execute("PRAGMA query_only = OFF")
        log.wait_for("written again")
    assert list(read(path)) == ["tea"]
    assert len(log.lines) == 2


def test_a_disk_that_stays_full_to_the_end(path: Path, log: Log, disk: Disk) -> None:
    """What was there before is there again, and the log tells how much is lost."""
    with writing(path) as writer:
        writer.keep([TEA])
        assert disk.written.wait(TIMEOUT)
        disk.error = sqlite3.OperationalError("database or disk is full")
        writer.keep([GroupEnded("tea"), GroupMade("chess", "bob", ())])
    assert log.lines[-1] == (
        f"ERROR the changes of 2 groups and bans are lost: they are not in the state file {path}"
    )
    assert list(read(path)) == ["tea"]


def test_an_error_that_nobody_has_thought_of(path: Path, log: Log, disk: Disk) -> None:
    """The thread goes on."""
    disk.error = MemoryError("no memory")
    with writing(path) as writer:
        writer.keep([TEA])
        log.wait_for("trying again: no memory.")
        disk.error = None
    assert list(read(path)) == ["tea"]


def test_a_disk_that_hangs_does_not_keep_the_server_from_ending(
    path: Path, log: Log, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.01)
    disk.open.clear()
    writer = StateWriter(path)
    writer.start()
    writer.keep([TEA])
    assert disk.reached.wait(TIMEOUT)
    writer.close()
    # That does not wait, and says it no second time.
    writer.close()
    assert log.lines == [f"ERROR leaving the state file {path}: the disk takes too long"]
    # So that the thread does not outlive the test.
    disk.open.set()
    writer._thread.join(TIMEOUT)
    assert list(read(path)) == ["tea"]


def test_what_waits_for_the_disk_is_bounded(path: Path, disk: Disk) -> None:
    """However many changes there are meanwhile."""
    disk.open.clear()
    with writing(path) as writer:
        writer.keep([TEA])
        assert disk.reached.wait(TIMEOUT)
        for number in range(1000):
            writer.keep([GroupMade(f"g{number}", "x", ("y",)), GroupEnded(f"g{number}")])
        assert len(writer._unwritten) == 0
        disk.open.set()
    assert list(read(path)) == ["tea"]
