"""chatproto.wire.line_buffer: bytes in, lines out, and never more than one line kept."""

import pytest

from chatproto.wire.line_buffer import LineBuffer, has_long_line


def feed(buffer: LineBuffer, *chunks: bytes) -> list[list[bytes]]:
    return [buffer.feed(chunk) for chunk in chunks]


def test_lines_come_without_their_ends() -> None:
    assert LineBuffer(64).feed(b"one\ntwo\r\n\n\r\nthree") == [b"one", b"two", b"", b""]


def test_no_bytes_give_no_lines() -> None:
    buffer = LineBuffer(64)
    assert buffer.feed(b"") == []
    assert buffer.partial == b""


def test_a_line_may_come_in_pieces() -> None:
    buffer = LineBuffer(64)
    assert feed(buffer, b"o", b"", b"ne", b"\nt", b"wo\n") == [[], [], [], [b"one"], [b"two"]]


def test_partial_is_the_line_that_has_begun() -> None:
    buffer = LineBuffer(64)
    buffer.feed(b"one\ntw")
    assert buffer.partial == b"tw"
    buffer.feed(b"o")
    assert buffer.partial == b"two"
    buffer.feed(b"\n")
    assert buffer.partial == b""


@pytest.mark.parametrize(
    ("stream", "line"),
    [(b"x\r\n", b"x"), (b"x\r\r\n", b"x\r"), (b"x\ry\n", b"x\ry"), (b"\rx\n", b"\rx")],
)
def test_one_cr_before_lf_is_removed(stream: bytes, line: bytes) -> None:
    assert LineBuffer(64).feed(stream) == [line]
    bytewise = LineBuffer(64)
    assert [line for byte in stream for line in bytewise.feed(bytes([byte]))] == [line]


def test_a_cr_and_its_lf_may_come_in_two_pieces() -> None:
    assert feed(LineBuffer(64), b"x\r", b"\n") == [[], [b"x"]]
    assert feed(LineBuffer(64), b"x", b"\r\n") == [[], [b"x"]]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_longest_line_has_max_line_bytes_with_its_end(end: bytes) -> None:
    longest = b"x" * (64 - len(end))
    assert LineBuffer(64).feed(longest + end) == [longest]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("more", [0, 1, 1000])
def test_a_longer_line_is_reported_once_and_its_rest_thrown_away(end: bytes, more: int) -> None:
    too_long = b"x" * (65 + more - len(end)) + end
    buffer = LineBuffer(64)
    assert buffer.feed(too_long) == [too_long[:64]]
    assert buffer.partial == b""


def test_a_line_that_is_too_long_is_reported_before_its_end() -> None:
    buffer = LineBuffer(64)
    assert feed(buffer, b"x" * 63, b"x", b"x" * 500) == [[], [b"x" * 64], []]
    assert feed(buffer, b"CHAT/1.0 LOGOUT", b"\nnext", b"\n") == [[], [], [b"next"]]


def test_the_next_line_may_come_in_the_same_piece() -> None:
    buffer = LineBuffer(64)
    assert feed(buffer, b"x" * 100, b"tail\none\r\ntwo") == [[b"x" * 64], [b"one"]]
    assert buffer.partial == b"two"


def test_two_lines_in_a_row_may_be_too_long() -> None:
    stream = (b"x" * 100 + b"\n") + (b"y" * 100 + b"\n") + b"z\n"
    assert LineBuffer(64).feed(stream) == [b"x" * 64, b"y" * 64, b"z"]


def test_lines_around_one_that_is_too_long_are_whole() -> None:
    stream = b"a\r\n" + b"x" * 64 + b"\n" + b"b\r\n"
    assert LineBuffer(64).feed(stream) == [b"a", b"x" * 64, b"b"]


def test_an_endless_line_takes_little_memory() -> None:
    buffer = LineBuffer(64)
    for _ in range(100):
        buffer.feed(b"x" * 63)
        assert len(buffer.partial) < 64


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("at", [0, 1, 5, 9])
@pytest.mark.parametrize("length", [1, 2, 31, 33, 64])
def test_a_long_line_is_found_among_others(long: bool, at: int, length: int) -> None:
    """With 64 bytes allowed, its LF included, wherever it stands among lines of any length."""
    lines = [b"x" * (length - 1) + b"\n"] * 9
    lines.insert(at, b"y" * (63 + long) + b"\n")
    assert has_long_line(b"".join(lines), 64) is long


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 63, 64])
def test_many_short_lines_are_not_long(length: int) -> None:
    assert not has_long_line((b"x" * (length - 1) + b"\n") * 99, 64)


@pytest.mark.parametrize(("length", "long"), [(1, False), (63, False), (64, False), (65, True)])
def test_a_line_alone_may_be_long(length: int, long: bool) -> None:
    assert has_long_line(b"x" * (length - 1) + b"\n", 64) is long
