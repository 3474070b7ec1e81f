"""The transcripts of each row fail on a broker with a mistake there, so that they can fail."""

import pytest

from chatproto.conformance import Check, Row, Status, Suite, load

from .mutants import MUTANTS
from .worlds import check_in

SUITE = load()
SEEN = [each for each in SUITE.rows if not each.unseen]


def check_row(row: Row, world: object) -> Check:
    one = Suite(SUITE.side, (row,), tuple(SUITE.of_row(row)))
    return check_in(lambda: world, one)  # type: ignore[arg-type, return-value]


def test_each_row_has_a_mutant() -> None:
    assert MUTANTS.keys() == {each.text for each in SEEN}


@pytest.mark.parametrize("row", SEEN, ids=lambda row: row.text[:40])
def test_a_mutant_fails_in_its_row(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    [result] = check_row(row, MUTANTS[row.text](monkeypatch)).rows
    assert result.status is Status.FAILED
    assert result.reasons
