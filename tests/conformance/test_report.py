"""chatproto.conformance.report: the table, JSON and JUnit's XML."""

import json
from xml.etree import ElementTree

from chatproto.conformance import (
    Check,
    Row,
    RowResult,
    Side,
    Status,
    Suite,
    heading,
    json_report,
    junit_report,
    load,
    parse_transcript,
    row_text,
    summary,
)

from .worlds import BrokerWorld, check_in

PASSES = parse_transcript("passes", "row: <K> & more\n\nalice + alice°")
FAILS = parse_transcript("fails", "row: F\ncase: c\n\nalice + alice°\nalice < RECEIVE bob hi")
CHOICE = parse_transcript("choice", "row: P\nserver: share\n\nalice + alice°")
SUITE = Suite(
    Side.SERVER,
    (Row("K", "<K> & more"), Row("F", "F"), Row("P", "P"), Row("F", "U", "nobody can see it")),
    (PASSES, FAILS, CHOICE),
)
REASON = 'fails: alice should receive "RECEIVE bob hi", and receives nothing'


def checked() -> Check:
    return check_in(BrokerWorld, SUITE)


def test_table() -> None:
    check = checked()
    assert heading(check, "here:3333") == "checking here:3333, which sends notices"
    assert [row_text(each) for each in check.rows] == [
        "  K  pass  <K> & more",
        f"  F  FAIL  F\n           {REASON}",
        "  P  pass  P: share",
        "  F  skip  U\n           nobody can see it",
    ]
    assert summary(check, 1.26) == "passed: K 1 of 1, F 0 of 1, P 1 of 1, 1 skipped, in 1.3 seconds"


def test_lines_are_wrapped() -> None:
    result = RowResult(Row("K", "some words " * 9), Status.FAILED, ("and a reason " * 9,))
    for width in (10, 40, 60):
        lines = row_text(result, width).splitlines()
        assert len(lines) > 2
        assert max(map(len, lines)) <= max(width, 40)
        assert all(line.startswith("   ") for line in lines[1:])


def test_other_headings() -> None:
    silent = check_in(lambda: BrokerWorld(notices=False), SUITE)
    assert heading(silent, "here") == "checking here, which sends no notices"
    assert heading(Check(load(Side.CLIENT), 0), "nc") == "checking the client nc"
    gone = Check(SUITE, 0)
    play = gone.next_play()
    assert play is not None
    play.failed("there is nobody")
    gone.finish(play)
    assert heading(gone, "here") == "checking here"
    assert summary(gone, 0) == "passed: K 0 of 1, F 0 of 1, P 0 of 1, 1 skipped, in 0.0 seconds"


def test_json() -> None:
    report = json.loads(json_report(checked(), "here:3333", 1.23456))
    assert (report["target"], report["side"], report["seconds"]) == ("here:3333", "server", 1.235)
    assert (report["passed"], report["notices"]) == (False, True)
    assert [each["status"] for each in report["rows"]] == ["pass", "fail", "pass", "skip"]
    assert report["rows"][1] == {
        "label": "F",
        "row": "F",
        "status": "fail",
        "reasons": [REASON],
        "follows": "",
        "transcripts": [
            {
                "name": "fails",
                "case": "c",
                "server": "",
                "status": "fail",
                "reason": REASON.removeprefix("fails: "),
                "step": 1,
            }
        ],
    }
    assert json.loads(json_report(Check(load(Side.CLIENT), 0), "nc", 0))["notices"] is None


def test_junit() -> None:
    suite = ElementTree.fromstring(junit_report(checked(), "<here>", 1.5))
    assert suite.attrib == {
        "name": "CHAT/1.0: <here>",
        "time": "1.500",
        "tests": "4",
        "failures": "1",
        "skipped": "1",
        "errors": "0",
    }
    assert [(each.get("classname"), each.get("name")) for each in suite] == [
        ("K", "<K> & more"),
        ("F", "F"),
        ("P", "P"),
        ("F", "U"),
    ]
    assert [[(part.tag, part.get("message")) for part in each] for each in suite] == [
        [],
        [("failure", REASON)],
        [],
        [("skipped", "nobody can see it")],
    ]
