"""chatproto.conformance.play: what a play wants, and how it decides, without any server."""

import pytest

from chatproto.conformance import (
    Connect,
    EndWriting,
    Pause,
    Play,
    Reset,
    Verdict,
    Write,
    parse_transcript,
)
from chatproto.conformance.play import LONGEST, MOST

RUN = "abcde"
END = b"CHAT/1.0 LOGIN end-0-abcde\n"


def play_of(*lines: str, **options: object) -> Play:
    transcript = parse_transcript("t", "row: r\n\n" + "\n".join(lines))
    return Play(transcript, RUN, **options)  # type: ignore[arg-type]


def sentinel(name: str, number: int) -> Write:
    return Write(name, b"CHAT/1.0 SEND %b-abcde sentinel-abcde-%d\n" % (name.encode(), number))


def back(play: Play, name: str, number: int) -> None:
    """A sentinel comes back."""
    data = b"CHAT/1.0 RECEIVE %b-abcde sentinel-abcde-%d\n" % (name.encode(), number)
    play.received(name, data)


def logged_in(*lines: str, **options: object) -> Play:
    """A play in which alice has logged in at 0."""
    play = play_of("alice + alice°", *lines, **options)
    login = Write("alice", b"CHAT/1.0 LOGIN alice-abcde\n")
    assert play.advance(0.0) == [Connect("alice"), login, sentinel("alice", 1)]
    back(play, "alice", 1)
    return play


def test_a_play_begins_at_once() -> None:
    assert play_of("alice +").deadline is None


def test_a_play_that_passes() -> None:
    play = logged_in("alice > SEND bob° hi", "alice < RECEIVE bob° yes")
    assert play.advance(1.0) == [Write("alice", b"CHAT/1.0 SEND bob-abcde hi\n")]
    assert play.deadline == 1.2
    # In pieces.
    play.received("alice", b"CHAT/1.0 RECEIVE bob-ab")
    assert play.advance(1.1) == []
    play.received("alice", b"cde yes\n")
    # Ask who has written something, log in under a name that nobody knows, ask again, and again.
    assert play.advance(1.1) == [sentinel("alice", 2)]
    back(play, "alice", 2)
    name = b"end-0-abcde"
    actions = play.advance(1.1)
    assert actions == [
        Write("alice", END),
        Write("alice", b"CHAT/1.0 SEND %b sentinel-abcde-3\n" % name),
    ]
    play.received("alice", b"CHAT/1.0 RECEIVE %b sentinel-abcde-3\n" % name)
    assert play.advance(1.1) == [Write("alice", b"CHAT/1.0 SEND %b sentinel-abcde-4\n" % name)]
    assert play.verdict is None
    play.received("alice", b"CHAT/1.0 RECEIVE %b sentinel-abcde-4\n" % name)
    assert play.advance(1.1) == []
    assert play.verdict == Verdict(passed=True)


def test_a_line_that_is_late_is_asked_for() -> None:
    play = logged_in("alice < RECEIVE bob° yes", timeout=9.0, patience=0.5)
    assert play.advance(1.0) == []
    assert play.deadline == 1.5
    assert play.advance(1.5) == [sentinel("alice", 2)]
    assert play.deadline == 10.0
    # It comes before the sentinel.
    play.received("alice", b"CHAT/1.0 RECEIVE bob-abcde yes\n")
    play.advance(1.6)
    assert play.verdict is None


def test_a_line_that_does_not_come() -> None:
    play = logged_in("alice < RECEIVE bob° yes")
    play.advance(1.0)
    play.advance(1.2)
    back(play, "alice", 2)
    play.advance(1.3)
    assert play.verdict == Verdict(
        False, 'alice should receive "RECEIVE bob yes", and receives nothing', 1
    )


def test_who_can_not_be_asked_may_be_slow() -> None:
    """The server may not have handled what was written without a name, until it closes that."""
    play = logged_in(r"bob >> CHAT/1.0 LOGIN bob°\n", "alice < RECEIVE bob° yes", patience=0.5)
    assert [type(each) for each in play.advance(1.0)] == [Connect, Write]
    assert play.advance(1.5) == []
    assert play.deadline == 3.0
    play.ended("bob")
    assert play.advance(1.6) == [sentinel("alice", 2)]
    play.received("alice", b"CHAT/1.0 RECEIVE bob-abcde yes\n")
    play.advance(1.7)
    assert play.verdict is None


def test_nobody_answers() -> None:
    play = logged_in("alice < RECEIVE bob° yes", "alice > LOGOUT")
    play.advance(1.0)
    play.advance(1.2)
    play.advance(3.0)
    reason = 'alice should receive "RECEIVE bob yes", and receives nothing within 2 seconds'
    assert play.verdict == Verdict(False, reason, 1, unanswered=True)
    assert play.advance(4.0) == []


@pytest.mark.parametrize(
    ("lines", "received", "reason"),
    [
        (
            ["alice < RECEIVE bob° yes"],
            b"CHAT/1.0 RECEIVE bob-abcde no\n",
            'alice should receive "RECEIVE bob yes", and receives "RECEIVE bob no"',
        ),
        (
            ["alice <? BAD_NAME LOGIN"],
            b"CHAT/1.0 RECEIVE *server* ERR BAD_NAME LOGINS no\n",
            (
                "alice should receive a notice with BAD_NAME LOGIN, and receives"
                ' "RECEIVE *server* ERR BAD_NAME LOGINS no"'
            ),
        ),
        (
            ["alice <|"],
            b"\x1b[31m\n",
            'the connection of alice should end, and receives "\\x1b[31m"',
        ),
        (
            [r"alice <~ {CHAT/1.0 RECEIVE bob° a\n*2}CHAT/1.0 RECEIVE carol° b\n"],
            b"CHAT/1.0 RECEIVE carol-abcde b\nCHAT/1.0 RECEIVE bob-abcde c\n",
            'alice should receive "RECEIVE bob a", and receives "RECEIVE bob c"',
        ),
        (
            [r"alice <~ CHAT/1.0 RECEIVE bob° a\n"],
            b"nonsense\n",
            'alice and receives "nonsense"',
        ),
        (
            [],
            b"x" * 199 + b"\n",
            f'alice should receive nothing, and receives "{"x" * 60}…" (200 bytes)',
        ),
        (
            ["alice < RECEIVE bob° yes"],
            b"x" * (LONGEST + 1),
            "alice receives more than 1048576 bytes without an end of line",
        ),
        (
            ["alice < RECEIVE bob° yes"],
            (b"x" * 2**20 + b"\n") * (MOST >> 20),
            (
                f'alice receives more than 8388608 bytes; alice has received "{"x" * 60}…"'
                " (1048577 bytes)"
            ),
        ),
    ],
)
def test_a_line_that_is_wrong(lines: list[str], received: bytes, reason: str) -> None:
    play = logged_in(*lines)
    play.advance(1.0)
    play.received("alice", received)
    play.advance(1.0)
    assert play.verdict is not None
    assert play.verdict.reason == reason


def test_lines_of_senders_in_any_order() -> None:
    play = logged_in(r"alice <~ {CHAT/1.0 RECEIVE bob° a\n*2}CHAT/1.0 RECEIVE carol° b\n")
    play.advance(1.0)
    play.received("alice", b"CHAT/1.0 RECEIVE bob-abcde a\nCHAT/1.0 RECEIVE carol-abcde b\n")
    play.advance(1.0)
    play.advance(1.2)
    back(play, "alice", 2)
    play.advance(1.3)
    assert play.verdict is not None
    assert play.verdict.reason == 'alice should receive "RECEIVE bob a", and receives nothing'


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["alice < RECEIVE bob° yes"],
            (
                'alice should receive "RECEIVE bob yes", and the connection ends (why); alice has'
                ' received "half"'
            ),
        ),
        (
            ["alice = alice°"],
            'the server closes the connection of alice (why); alice has received "half"',
        ),
        ([], 'alice should receive nothing, and receives "half"'),
    ],
)
def test_a_connection_that_ends(lines: list[str], reason: str) -> None:
    play = logged_in(*lines)
    play.advance(1.0)
    if lines[:1] == ["alice < RECEIVE bob° yes"]:
        play.ended("alice", "why")
        play.advance(1.0)
        assert play.verdict is not None
        assert play.verdict.reason == reason.partition(";")[0]
        return
    play.received("alice", b"half")
    play.ended("alice", "why")
    play.ended("alice", "later")
    play.advance(1.0)
    assert play.verdict is not None
    assert play.verdict.reason == reason


def test_a_connection_that_ends_at_the_end() -> None:
    play = logged_in()
    play.advance(1.0)
    play.ended("alice")
    play.advance(1.0)
    assert play.verdict == Verdict(False, "the connection of alice should not end, and ends")


def test_no_answer_at_the_end() -> None:
    play = logged_in()
    play.advance(1.0)
    play.advance(3.0)
    reason = "alice: no answer to a message to oneself at the end within 2 seconds"
    assert play.verdict == Verdict(False, reason, None, unanswered=True)


def test_a_login_that_is_not_answered() -> None:
    play = play_of("alice + alice°")
    play.advance(0.0)
    play.received("alice", b"SSH-2.0-OpenSSH\r\n")
    play.advance(2.0)
    assert play.verdict == Verdict(
        False,
        "alice sends a LOGIN and a message to itself, and receives nothing within 2 seconds; alice"
        ' has received "SSH-2.0-OpenSSH\\r"',
        0,
        unanswered=True,
    )


def test_a_login_that_is_refused() -> None:
    """Without waiting for the timeout."""
    play = play_of("alice + alice°")
    play.advance(0.0)
    play.received("alice", b"CHAT/1.0 RECEIVE *server* ERR AUTH_FAILED LOGIN who are you\n")
    play.advance(0.1)
    assert play.verdict is not None
    assert play.verdict.reason == (
        'alice can\'t log in, and receives "RECEIVE *server* ERR AUTH_FAILED LOGIN who are you"'
    )


def test_no_connection() -> None:
    play = play_of("alice + alice°")
    play.advance(0.0)
    play.failed("can't connect")
    assert play.advance(0.0) == []
    assert play.verdict == Verdict(False, "can't connect", 0, unanswered=True)


def test_what_is_still_there_is_asked_under_another_name() -> None:
    """Also if it has no name, and has begun a line."""
    play = play_of("x >> half", "x <|")
    assert play.advance(0.0) == [Connect("x"), Write("x", b"half")]
    assert play.advance(0.2) == [
        Write("x", b"\n"),
        Write("x", END),
        Write("x", b"CHAT/1.0 SEND end-0-abcde sentinel-abcde-1\n"),
    ]
    play.received("x", b"CHAT/1.0 RECEIVE end-0-abcde sentinel-abcde-1\n")
    play.advance(0.3)
    assert play.verdict == Verdict(False, "the connection of x should end, and is still there", 1)


def test_what_ends_late() -> None:
    play = play_of("x +", "x <|")
    play.advance(0.0)
    play.advance(0.2)
    play.ended("x")
    play.advance(0.3)
    assert play.verdict == Verdict(passed=True)


def test_half_closed_connections_can_not_be_asked() -> None:
    play = logged_in("alice >> half", "alice >|", "alice <? TRUNCATED SEND", "alice <|")
    assert play.advance(1.0) == [Write("alice", b"half"), EndWriting("alice")]
    assert play.advance(1.2) == []
    play.received("alice", b"CHAT/1.0 RECEIVE *server* ERR TRUNCATED SEND words\n")
    assert play.advance(1.3) == []
    assert play.advance(1.6) == []
    assert play.advance(3.3) == []
    assert play.verdict is not None
    assert play.verdict.reason == (
        "the connection of alice should end, and is still there within 2 seconds"
    )


def test_over_tls_nothing_can_be_read_after_the_end() -> None:
    play = logged_in("alice >|", "alice <? TRUNCATED SEND", "alice <|", reads_after_end=False)
    play.advance(1.0)
    play.ended("alice")
    play.advance(1.0)
    assert play.verdict == Verdict(passed=True)


def test_reset_and_pause() -> None:
    play = play_of("x +", "y +", "x ||", "y >!", "z >> {a*3}")
    actions = play.advance(0.0)
    assert actions == [
        *(Connect("x"), Connect("y"), Pause("x"), Reset("y"), Connect("z")),
        Write("z", b"aaa"),
    ]
    assert play.verdict == Verdict(passed=True)


def test_a_step_that_is_written_many_times() -> None:
    play = play_of(r"x*2 >> a\n")
    assert play.advance(0.0)[:2] == [Connect("x"), Write("x", b"a\na\n")]


def test_others_of_the_same_name_receive_sentinels_too() -> None:
    play = logged_in("again + alice°", "again < RECEIVE bob° hi")
    play.advance(0.0)
    for each in ("alice", "again"):
        play.received(each, b"CHAT/1.0 RECEIVE alice-abcde sentinel-abcde-2\n")
    play.received("again", b"CHAT/1.0 RECEIVE bob-abcde hi\n")
    assert play.advance(0.0)
    assert play.verdict is None


@pytest.mark.parametrize("sends", [True, False])
def test_whether_the_server_sends_notices(sends: bool) -> None:
    play = logged_in("alice > STAR", "alice <? UNSUPPORTED_COMMAND -", notices=None)
    play.advance(1.0)
    if sends:
        play.received("alice", b"CHAT/1.0 RECEIVE *server* ERR UNSUPPORTED_COMMAND - words\n")
    back(play, "alice", 2)
    play.advance(1.0)
    assert play.notices is sends
    assert play.verdict is None


def test_no_answer_while_it_looks_for_notices() -> None:
    play = logged_in("alice > STAR", "alice <? UNSUPPORTED_COMMAND -", notices=None)
    play.advance(1.0)
    play.advance(2.0)
    assert play.notices is None
    play.advance(3.0)
    assert play.notices is False


def test_what_is_discarded() -> None:
    play = logged_in("alice ~ alice°", "alice > LOGOUT", "alice ~|")
    play.advance(1.0)
    play.received("alice", b"anything\n")
    back(play, "alice", 2)
    play.advance(1.0)
    play.received("alice", b"more\n")
    play.ended("alice")
    play.advance(1.0)
    assert play.verdict == Verdict(passed=True)
