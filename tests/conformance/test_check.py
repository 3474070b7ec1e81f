"""chatproto.conformance.check: the order of plays, and what results say about rows."""

import pytest

from chatproto.conformance import Check, Play, Result, Row, Side, Status, Suite, parse_transcript
from chatproto.conformance.check import judge

from .worlds import BrokerWorld, check_in, play_in

ONE = parse_transcript("one", "row: r\n\nalice + alice°")
TWO = parse_transcript("two", "row: r\n\nalice + alice°")
LATE = parse_transcript("late", "row: l\n\nalice +\nalice < RECEIVE bob hi")
SUITE = Suite(Side.SERVER, (Row("K", "r"), Row("F", "l"), Row("F", "u", "no")), (LATE, ONE, TWO))


def next_of(check: Check) -> Play:
    play = check.next_play()
    assert play is not None
    return play


class Recorder(BrokerWorld):
    """A broker, and all LOGINs that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.logins: list[bytes] = []

    def write(self, client: str, data: bytes) -> None:
        super().write(client, data)
        if b" LOGIN " in data:
            self.logins.append(data)


def test_order_and_names() -> None:
    check = Check(SUITE, 36**5 - 1)
    names = []
    logins = set()
    while (play := check.next_play()) is not None:
        names.append(play.transcript.name)
        world = Recorder()
        play_in(world, play)
        logins.update(world.logins)
        check.finish(play)
    # The probe comes again after a timeout: the server may be gone.
    assert names == ["probe", "one", "two", "late", "probe"]
    # One in each play but one, and another one at the end of those that pass.
    assert len(logins) == 4 + 4
    assert [each.status for each in check.rows] == [Status.PASSED, Status.FAILED, Status.SKIPPED]
    assert not check.passed
    assert not check.nothing_played


def test_a_server_that_goes_away() -> None:
    check = Check(SUITE, 0)
    for reason in ("", "", "the connection is refused", "still refused"):
        play = next_of(check)
        if reason:
            play.failed(reason)
        else:
            play_in(BrokerWorld(), play)
        check.finish(play)
    assert check.next_play() is None
    assert [each.reasons for each in check.rows] == [
        ("two: the connection is refused",),
        ("not played, because the server does not answer: still refused",),
        ("no",),
    ]
    assert not check.nothing_played


def test_a_server_that_goes_away_in_the_middle_of_a_row() -> None:
    check = Check(SUITE, 0)
    for reason in ("", "refused", "refused"):
        play = next_of(check)
        if reason:
            play.failed(reason)
        else:
            play_in(BrokerWorld(), play)
        check.finish(play)
    assert check.rows[0].reasons == (
        "one: refused",
        "not played, because the server does not answer: refused",
    )


def test_a_server_that_was_never_there() -> None:
    check = Check(SUITE, 0)
    play = next_of(check)
    play.failed("there is nobody")
    rows = check.finish(play)
    assert [each.status for each in rows] == [Status.FAILED, Status.FAILED, Status.SKIPPED]
    assert check.nothing_played
    # One transcript of two: the reason stands there once.
    assert rows[0].reasons == ("not played, because the server does not answer: there is nobody",)


def test_a_play_that_goes_on() -> None:
    check = Check(SUITE, 0)
    with pytest.raises(ValueError, match="the play goes on"):
        check.finish(next_of(check))


def test_a_client_is_not_probed() -> None:
    check = Check(Suite(Side.CLIENT, SUITE.rows, SUITE.transcripts), 0)
    play = next_of(check)
    assert play.transcript is ONE
    play.failed("can't start it")
    check.finish(play)
    assert next_of(check).transcript is TWO


def result(server: str, reason: str = "") -> Result:
    transcript = parse_transcript(server or "all", f"row: r\nserver: {server}\n\nalice +")
    return Result(transcript, Status.FAILED if reason else Status.PASSED, reason)


@pytest.mark.parametrize(
    ("label", "results", "status", "says"),
    [
        ("K", [result("")], Status.PASSED, ""),
        ("K", [result(""), result("", "bad")], Status.FAILED, "all: bad"),
        # One setting is enough, and all transcripts of it have to pass.
        ("K", [result(""), result("a", "bad"), result("b")], Status.PASSED, "b"),
        ("K", [result("a"), result("b")], Status.PASSED, "a or b"),
        (
            "K",
            [result("a"), result("a", "bad"), result("b", "worse")],
            Status.FAILED,
            "with the setting a, a: bad; with the setting b, b: worse",
        ),
        ("K", [result("", "bad"), result("a")], Status.FAILED, "all: bad"),
        # Without a setting, a policy is the default.
        ("P", [result("", "bad"), result("a")], Status.PASSED, "a"),
        ("P", [result(""), result("a", "bad")], Status.PASSED, "default"),
    ],
)
def test_judge(label: str, results: list[Result], status: Status, says: str) -> None:
    judged = judge(Row(label, "r"), results)
    assert judged.status is status
    assert (judged.follows or "; ".join(judged.reasons)) == says
    assert judged.results == tuple(results)


def test_a_row_that_nobody_can_see() -> None:
    judged = judge(Row("F", "r", "why"), [])
    assert (judged.status, judged.reasons) == (Status.SKIPPED, ("why",))


def test_check_in_memory_uses_the_names_of_its_seed() -> None:
    world = BrokerWorld()
    assert check_in(lambda: world, Suite(Side.SERVER, (Row("K", "r"),), (ONE,)), 7).passed
