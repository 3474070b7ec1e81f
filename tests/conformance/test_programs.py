"""The transcripts for clients: a right program passes them, and a wrong one fails in its row."""

from collections.abc import Callable

import pytest

from chatproto import Receive
from chatproto.conformance import Check, Row, Side, Status, Suite, load

from .programs import PROGRAMS, Program, play_with

SUITE = load(Side.CLIENT)


def check_program(start: Callable[[], Program], suite: Suite) -> Check:
    check = Check(suite, 0)
    while (play := check.next_play()) is not None:
        play_with(start(), play)
        check.finish(play)
    return check


def test_a_right_program() -> None:
    check = check_program(Program, SUITE)
    assert check.passed
    assert [each.follows for each in check.rows if each.follows] == ["goes on"]


@pytest.mark.parametrize("row", SUITE.rows, ids=lambda row: row.text[:40])
def test_a_wrong_program_fails_in_its_row(row: Row) -> None:
    [program] = [each for begin, each in PROGRAMS.items() if row.text.startswith(begin)]
    check = check_program(program, Suite(Side.CLIENT, (row,), tuple(SUITE.of_row(row))))
    assert check.rows[0].status is Status.FAILED


class Talkative(Program):
    """Asks for labels and pings itself as soon as it has logged in, and prints what it does."""

    def read_input(self, data: bytes) -> None:
        super().read_input(data)
        if b" LOGIN " in data:
            name = data.split()[2]
            self.written += b"CHAT/1.0 SEND *groups* on\r\nCHAT/1.0 SEND %b ping\r\n" % name
            self.name = name.decode()

    def show(self, message: Receive) -> None:
        if message.sender == self.name:
            self.printed += b"logged in\nCHAT/1.0 RECEIVE *server* ERR SHUTTING_DOWN - words\n"
        else:
            self.printed += self.printer.send(message).replace(b"\n", b"\r\n")


def test_a_program_that_does_more_than_it_is_told() -> None:
    assert check_program(Talkative, SUITE).passed


def test_a_program_that_ends_before_it_logs_in() -> None:
    play = Check(SUITE, 0).next_play()
    assert play is not None
    play.advance(0.0)
    play.ended("user", "no module named x")
    play.advance(0.0)
    play.advance(0.2)
    assert play.verdict is not None
    assert play.verdict.reason == (
        'server should receive "LOGIN alice", and the program ends (no module named x)'
    )


class EndsAtLongLines(Program):
    def receive(self, data: bytes) -> None:
        if len(data) > 4096:
            self.has_ended = self.has_exited = True
        else:
            super().receive(data)


def test_a_client_may_end_at_a_line_that_is_too_long() -> None:
    [row] = [each for each in SUITE.rows if each.text.startswith("a line over 4096")]
    check = check_program(EndsAtLongLines, Suite(Side.CLIENT, (row,), tuple(SUITE.of_row(row))))
    assert check.rows[0].follows == "ends the connection"
