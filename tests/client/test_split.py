"""chatproto.client.split: texts become messages that fit into a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproto import (
    NAME_MAX,
    Broadcast,
    LineLimits,
    LocalProtocolError,
    Receive,
    Send,
    split_text,
)
from chatproto.wire.codec import encode, with_label

SMALL = LineLimits(max_line=512)
ROOM = 512 - len(b"CHAT/1.0 RECEIVE *groups* in  \n") - 1 - 2 * NAME_MAX
"""Bytes of data in a line of these limits, for each sender and each recipient."""

NAME = "n" * NAME_MAX


def lengths(text: str) -> list[int]:
    """The lengths of the parts, in bytes."""
    return [len(part.encode()) for part in split_text(text, SMALL)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("hi", ["hi"]),
        ("  two  words ", ["  two  words "]),
        ("one\ntwo", ["one", "two"]),
        ("one\n\ntwo\n", ["one", "", "two"]),
        ("one\r\ntwo\r\r\n\r", ["one", "two", ""]),
        ("\n", [""]),
        ("\n\n", ["", ""]),
        ("a\rb", ["a\rb"]),
    ],
)
def test_each_line_is_a_message(text: str, lines: list[str]) -> None:
    assert split_text(text) == lines


def test_what_fits_stays_as_it_is() -> None:
    assert split_text("x" * ROOM, SMALL) == ["x" * ROOM]
    assert lengths("x" * (ROOM + 1)) == [ROOM, 1]
    assert len(split_text("x" * ROOM)) == 1


def test_long_lines_are_split_at_spaces() -> None:
    words = " ".join(["word"] * 200)
    parts = split_text(words, SMALL)
    assert " ".join(parts) == words
    assert all(ROOM - 5 <= len(part) <= ROOM for part in parts[:-1])
    # A space that the part has no room for is a border too.
    assert split_text("x" * ROOM + " y", SMALL) == ["x" * ROOM, "y"]


def test_a_word_that_is_too_long_fills_the_part_before() -> None:
    assert lengths("see " + "x" * ROOM) == [ROOM, 4]


@pytest.mark.parametrize("character", ["é", "日", "😀"])
def test_no_character_is_split(character: str) -> None:
    for before in range(4):
        text = "x" * before + character * ROOM
        parts = split_text(text, SMALL)
        assert "".join(parts) == text
        assert all(ROOM - 4 < len(part.encode()) <= ROOM for part in parts[:-1])


@pytest.mark.parametrize(
    "character",
    ["e\u0301", "👍🏽", "👩\u200d💻", "न\u093f", "❤\ufe0f"],
    ids=["accent", "skin tone", "joined", "vowel sign", "variant"],
)
def test_what_is_shown_as_one_character_is_not_split(character: str) -> None:
    for before in range(16):
        text = "x" * before + character * ROOM
        parts = split_text(text, SMALL)
        assert "".join(parts) == text
        assert all(part.strip("x").replace(character, "") == "" for part in parts)


def test_accents_without_end_are_split() -> None:
    text = "e" + "\u0301" * ROOM
    parts = split_text(text, SMALL)
    assert "".join(parts) == text
    assert len(parts) == 3


def test_bytes_are_refused() -> None:
    with pytest.raises(TypeError, match="takes a str, not bytes"):
        split_text(b"bytes")  # type: ignore[arg-type]


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="lone surrogate"):
        split_text("a\ud800")


@given(st.text(st.sampled_from("ab \r\n\u0301é日😀\u200d"), min_size=100, max_size=2000))
def test_every_part_fits_into_every_line(text: str) -> None:
    parts = split_text(text, SMALL)
    for part in parts:
        data = part.encode()
        assert len(with_label(encode(Receive(NAME, data)), NAME)) <= SMALL.max_line
        for message in (Send(NAME, data), Broadcast(NAME, data)):
            assert len(encode(message)) <= SMALL.max_line
    left_out = str.maketrans("", "", " \r\n")
    assert "".join(parts).translate(left_out) == text.translate(left_out)
