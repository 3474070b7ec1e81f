"""chatproto.testing.strategies.stream."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chatproto import ChatConnection, Event, Role, testing

from ..searching import reaches, shown

EDGES: list[tuple[str, SearchStrategy[bytes], Callable[[bytes], bool]]] = [
    ("one too many", testing.hostile_lines(), lambda line: len(line) == 4097),
    ("endless", testing.hostile_lines(), lambda line: len(line) > 4096 and b"\n" not in line),
    ("a long run", testing.hostile_bytes(), lambda noise: noise.count(b"\n") > 1000),
    ("many lines", testing.streams(), lambda stream: stream.count(b"\n") > 3),
]


@pytest.mark.parametrize(
    ("strategy", "edge"), [each[1:] for each in EDGES], ids=[each[0] for each in EDGES]
)
def test_strategies_reach_the_edges(
    strategy: SearchStrategy[bytes], edge: Callable[[bytes], bool]
) -> None:
    assert reaches(strategy, edge)


@given(st.data())
def test_chunkings_make_up_the_stream(draw: st.DataObject) -> None:
    stream = draw.draw(testing.hostile_bytes())
    assert b"".join(draw.draw(testing.chunkings(stream))) == stream


@pytest.mark.parametrize("chunks", [[b"abc"], [b"a", b"b", b"c"], [b"ab", b"c"], [b"", b"abc"]])
def test_chunkings_reach_every_kind(chunks: list[bytes]) -> None:
    assert reaches(testing.chunkings(b"abc"), lambda found: found == chunks)


def test_an_empty_stream_arrives_in_pieces_too() -> None:
    assert reaches(testing.chunkings(b""), lambda found: found == [b""])
    assert reaches(testing.chunkings(b""), lambda found: len(found) > 1 and not any(found))


# Readers with a mistake each. They take pieces and return events.
def right(chunks: list[bytes], role: Role = Role.CLIENT) -> list[Event]:
    connection = ChatConnection(role)
    return [event for chunk in chunks for event in connection.receive_data(chunk)]


def looks_for_cr_lf(chunks: list[bytes]) -> list[Event]:
    """It takes CR LF for one byte, and a CR that comes alone for data."""
    return right([chunk.replace(b"\r\n", b"\n") for chunk in chunks])


def forgets_the_second_piece(chunks: list[bytes]) -> list[Event]:
    return right(chunks[:1] + chunks[2:])


LINE, TWO_LINES = b"CHAT/1.0 RECEIVE a hi\r\r\n", b"CHAT/1.0 RECEIVE a hi\nCHAT/1.0 RECEIVE a hi\n"


def test_a_mistake_is_shown_with_two_pieces_and_at_the_place() -> None:
    def is_wrong(chunks: list[bytes]) -> bool:
        return looks_for_cr_lf(chunks) != looks_for_cr_lf([LINE])

    assert shown(testing.chunkings(LINE), is_wrong) == [LINE[:-1], LINE[-1:]]


def test_a_mistake_that_needs_three_pieces_is_shown_with_three() -> None:
    """The planted mistake needs a piece that ends within the first line, and one within the other.

    Sixteen bytes that come one by one would show it as well.
    """

    def cuts(chunks: list[bytes]) -> set[int]:
        return {len(b"".join(chunks[: at + 1])) for at in range(len(chunks) - 1)}

    wrong = shown(testing.chunkings(TWO_LINES), lambda chunks: cuts(chunks) >= {10, 30})
    assert wrong == [TWO_LINES[:10], TWO_LINES[10:30], TWO_LINES[30:]]


def test_a_mistake_is_shown_with_few_lines() -> None:
    """The planted mistake drops what comes behind the first line of a piece."""

    def is_wrong(stream: bytes) -> bool:
        events = right([stream], Role.SERVER)
        return len(events) > 1 and events != right([stream.partition(b"\n")[0] + b"\n"])

    assert shown(testing.streams(), is_wrong).count(b"\n") == 2


def test_a_mistake_with_noise_is_shown_with_little() -> None:
    """The planted mistake takes a CR for the end of a line."""
    wrong = shown(
        testing.hostile_bytes(),
        lambda noise: right([noise.replace(b"\r", b"\n")]) != right([noise]),
    )
    assert wrong == b"\r"


def test_a_mistake_between_cr_and_lf_is_shown_with_one_line_in_two_pieces() -> None:
    """A cut stays between CR and LF while Hypothesis makes the line in front of it shorter."""

    def is_wrong(chunks: list[bytes]) -> bool:
        return b"\r" in b"".join(chunks) and any(chunk.startswith(b"\n") for chunk in chunks)

    wrong = shown(testing.valid_lines().flatmap(testing.chunkings), is_wrong)
    assert wrong in ([b"CHAT/1.0 LOGIN a\r", b"\n"], [b"CHAT/1.0 LOGOUT\r", b"\n"])
