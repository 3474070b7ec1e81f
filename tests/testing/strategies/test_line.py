"""chatproto.testing.strategies.line."""

import re
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings

from chatproto import (
    ChatConnection,
    Command,
    ErrorCode,
    Event,
    Invalid,
    Limits,
    Role,
    testing,
)
from chatproto.testing import JudgedLine
from chatproto.wire.codec import decode

from ..searching import SHRINK, examples, shown


@given(testing.valid_lines())
def test_valid_lines_are_parsed(line: bytes) -> None:
    assert line.count(b"\n") == 1
    assert len(line) <= Limits().max_line
    event = decode(line[:-1].removesuffix(b"\r"))
    assert type(event) in get_args(Command)
    assert testing.judge(line).event == event


def read(line: bytes, sender: Role = Role.CLIENT, limits: Limits = Limits()) -> Event:
    """What `ChatConnection` says of a line, and of the end of the stream behind it."""
    connection = ChatConnection(sender.peer, limits)
    if sender is Role.CLIENT:
        connection.receive_data(b"CHAT/1.0 LOGIN me\n")
    return [*connection.receive_data(line), *connection.receive_eof()][0]


def is_misread(judged: JudgedLine, event: Event) -> bool:
    if isinstance(event, Invalid):
        return event.code not in judged.codes
    return event != judged.event


@pytest.mark.parametrize("sender", Role)
def test_the_codec_reads_near_valid_lines_as_the_grammar_says(sender: Role) -> None:
    @given(testing.near_valid_lines(sender))
    def compare(judged: JudgedLine) -> None:
        assert not is_misread(judged, read(judged.line, sender))

    compare()


def test_a_test_that_fails_shows_the_line_and_what_is_right() -> None:
    @settings(SHRINK, max_examples=10)
    @given(testing.near_valid_lines())
    def fail(judged: JudgedLine) -> None:
        raise AssertionError(judged)

    with pytest.raises(AssertionError) as caught:
        fail()
    assert any("JudgedLine(line=b'" in note for note in caught.value.__notes__)


EDGES: list[tuple[str, Callable[[bytes], bool]]] = [
    ("tab", lambda line: b"\t" in line),
    ("a space that is none", lambda line: b"\xc2\xa0" in line),
    ("other version", lambda line: line.startswith(b"CHAT/1.1")),
    (
        "wrong case",
        lambda line: line[:10] == b"CHAT/1.0 " + line[9:10].lower() != line[:10].upper(),
    ),
    ("doubled space", lambda line: line.startswith(b"CHAT/1.0  ")),
    ("space at the end", lambda line: line.endswith(b" \n")),
    ("two CR", lambda line: line.endswith(b"\r\r\n")),
    ("the longest", lambda line: len(line) == 4096),
    ("one too many", lambda line: len(line) == 4097),
    ("no end", lambda line: not line.endswith(b"\n")),
]


def test_near_valid_lines_reach_every_verdict_and_the_edges() -> None:
    found = examples(testing.near_valid_lines(Role.CLIENT), 600)
    assert {code for judged in found for code in judged.codes} == {
        ErrorCode.MALFORMED,
        ErrorCode.UNSUPPORTED_VERSION,
        ErrorCode.UNSUPPORTED_COMMAND,
        ErrorCode.LINE_TOO_LONG,
        ErrorCode.BAD_NAME,
        ErrorCode.NAME_RESERVED,
        ErrorCode.WRONG_DIRECTION,
        ErrorCode.TRUNCATED,
    }
    assert any(judged.event for judged in found)
    assert [name for name, edge in EDGES if not any(edge(each.line) for each in found)] == []


# Readers with a mistake each, and the line that shows it.
def tabs_are_spaces(line: bytes) -> Event:
    return read(line.replace(b"\t", b" "))


def case_does_not_matter(line: bytes) -> Event:
    return read(line.upper())


def an_end_is_not_needed(line: bytes) -> Event:
    return read(line if line.endswith(b"\n") else line + b"\n")


def one_byte_more(line: bytes) -> Event:
    return read(line, limits=Limits(max_line=4097))


def all_cr_are_dropped(line: bytes) -> Event:
    return read(line.rstrip(b"\r\n") + b"\n" * line.endswith(b"\n"))


@pytest.mark.parametrize(
    ("reader", "line"),
    [
        (tabs_are_spaces, rb"CHAT/1\.0\t[A-Z]+( a)*\n|CHAT/1\.0 [A-Z]+\ta\n"),
        (case_does_not_matter, rb"chat/1\.0 [A-Z]+( a)*\n|CHAT/1\.0 [a-z]+( a)*\n"),
        (an_end_is_not_needed, rb"CHAT/1\.0 [A-Z]+( a)*"),
        (one_byte_more, rb"CHAT/1\.0 [A-Z]+( a)*x+\n"),
        (all_cr_are_dropped, rb"CHAT/1\.0 [A-Z]+( a)*\r\r\n"),
    ],
)
def test_a_mistake_is_shown_with_the_simplest_line(
    reader: Callable[[bytes], Event], line: bytes
) -> None:
    wrong = shown(
        testing.near_valid_lines(Role.CLIENT),
        lambda judged: is_misread(judged, reader(judged.line)),
    )
    assert re.fullmatch(line, wrong.line)
