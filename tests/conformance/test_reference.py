"""The transcripts against a model of the reference server: K and P pass, F says what is wrong."""

from chatproto.conformance import RowResult, Status, load

from .reference import ReferenceWorld
from .worlds import check_in

SUITE = load()

# Words of what each defect does to somebody.
DEFECTS = {
    "`SEND bob x` CR CR LF": 'receives "RECEIVE alice x\\r"',
    "before LOGIN: an HTTP request": 'bob has received "RECEIVE alice hi"',
    "leading or double space": 'receives "RECEIVE alice a"',
    "a line over 4096 bytes": 'receives "RECEIVE alice smuggled"',
    "a relayed line that outgrows 4096 bytes": "(4106 bytes)",
    "half a line, then FIN or RST": '"RECEIVE alice half"',
    "`LOGIN␣`, `LOGIN a<TAB>b`": 'receives "RECEIVE \\xff who"',
    "SEND, BROADCAST, GROUP, LEAVE before LOGIN": 'receives "RECEIVE  hi"',
    "`SEND␣␣hi`": 'nobody should receive nothing, and receives "RECEIVE alice hi"',
    "`GROUP g bob`": 'bob should receive "RECEIVE alice hello", and receives nothing',
    "`GROUP g bob␣`, doubled spaces": "nobody should receive nothing",
    "an emptied group": 'bob should receive "RECEIVE alice again", and receives nothing',
    "`LOGOUT` and `SEND …` in one packet": 'receives "RECEIVE alice ghost"',
    "four senders to one recipient": 'bob should receive "RECEIVE s1 one"',
    "connections coming and going under load": "and the connection ends",
    "a recipient that does not read": "alice sends a message to itself, and receives nothing",
    "FIN without LOGOUT": "the connection of alice should end, and is still there",
    "section 1: names that start with `*`": 'receives "RECEIVE *server* still alice"',
}


def test_reference_server() -> None:
    # A new one for each transcript: some of them end it.
    check = check_in(ReferenceWorld, SUITE)
    assert not check.notices
    seen = [each for each in check.rows if not each.row.unseen]
    assert [each.row for each in seen if each.status is Status.PASSED] == [
        each.row for each in seen if each.row.label in "KP"
    ]
    fixed = [each for each in seen if each.row.label == "F"]
    assert len(fixed) == len(DEFECTS)
    for each in fixed:
        assert defect_of(each) in "; ".join(each.reasons)


def defect_of(result: RowResult) -> str:
    [words] = [words for row, words in DEFECTS.items() if result.row.text.startswith(row)]
    return words


def test_reference_server_follows_the_reference_policies() -> None:
    check = check_in(ReferenceWorld, SUITE)
    follows = [each.follows for each in check.rows if each.row.label == "P"]
    assert follows == ["reference", "share", "reference", "reference or silent", *["reference"] * 3]
