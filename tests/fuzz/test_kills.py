"""A short run of the program that kills servers, and what it has to find."""

from math import inf
from pathlib import Path

import pytest

from chatproto import GroupMade
from fuzz.kills import Finding, History, read, run

from ..adapters.state.files import write

ALICE, BOTH = frozenset({"alice"}), frozenset({"alice", "bob"})
HISTORY = History([None, ALICE, BOTH, None], [-inf, 10.0, 11.0, inf])
"""A group that was made, got a member, and ended, which the server may have executed."""


@pytest.mark.parametrize("kind", ["sync", "trio"])
def test_a_killed_server_leaves_a_whole_file(kind: str, tmp_path: Path) -> None:
    """How much it loses depends on the machine, so that is not judged here."""
    report = run(2, 3, kind, tmp_path / "groups", window=inf)
    assert report.kills == 2


@pytest.mark.parametrize(
    ("found", "killed", "lost"),
    [(None, 20.0, 0.0), (BOTH, 20.0, 0.0), (ALICE, 11.5, 0.5), (ALICE, 12.0, 1.0)],
)
def test_what_may_be_lost(found: frozenset[str] | None, killed: float, lost: float) -> None:
    assert HISTORY.judge(found, killed, 1.0) == lost


def test_an_old_change_that_is_lost() -> None:
    with pytest.raises(Finding, match=r"a change is lost that was 1\.50 s old"):
        HISTORY.judge(ALICE, 12.5, 1.0)


def test_a_group_that_never_was_so() -> None:
    with pytest.raises(Finding, match="carol"):
        HISTORY.judge(frozenset({"carol"}), 11.0, 1.0)


def test_a_file_that_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "groups"
    write(path, *(GroupMade(f"group{number}", "x", ("y",)) for number in range(1000)))
    assert len(read(path)) == 1000
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(b"\xa5" * 9000)
    with pytest.raises(Finding, match="the file"):
        read(path)


def test_a_group_of_nobody(tmp_path: Path) -> None:
    path = tmp_path / "groups"
    write(path, GroupMade("tea", "alice", ("alice",)))
    with pytest.raises(Finding, match="nobody has made"):
        run(1, 0, "sync", path, window=inf)
