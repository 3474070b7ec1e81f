"""fuzz.grammar: the slow reader says what the grammar of protocol.md says."""

import pytest

from fuzz.grammar import Bad, Reader, parse, read_stream


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (b"LOGIN b\xc3\xbccher", ("LOGIN", "bücher")),
        (b"LOGOUT\r", ("LOGOUT",)),
        (b"SEND bob  a\rb ", ("SEND", "bob", b" a\rb ")),
        (b"BROADCAST g ", ("BROADCAST", "g", b"")),
        (b"RECEIVE *server* \xff", ("RECEIVE", "*server*", b"\xff")),
        (b"GROUP g", ("GROUP", "g")),
        (b"GROUP g ann bob", ("GROUP", "g", "ann", "bob")),
        (b"LEAVE g  what follows", ("LEAVE", "g")),
        (b"LOGIN " + b"n" * 64, ("LOGIN", "n" * 64)),
        (b"LOGIN " + b"n" * 65, "BAD_NAME"),
        (b"LOGIN ", "BAD_NAME"),
        (b"LOGIN a\xc2\xa0b", "BAD_NAME"),
        (b"LOGIN a\x7fb", "BAD_NAME"),
        (b"LOGIN \xff", "BAD_NAME"),
        (b"LOGIN *ann", "NAME_RESERVED"),
        (b"GROUP g *ann", "NAME_RESERVED"),
        (b"LOGIN ann ", "MALFORMED"),
        (b"GROUP g  ann", "MALFORMED"),
        (b"SEND  bob hi", "MALFORMED"),
        (b"SEND bob", "MALFORMED"),
        (b"LEAVE  g", "MALFORMED"),
        (b"LEAVE", "MALFORMED"),
        (b"LOGOUT ", "MALFORMED"),
        (b"SEND bob hi\r\r", "MALFORMED"),
        (b" LOGOUT", "MALFORMED"),
        (b"LOG\tOUT", "MALFORMED"),
        (b"STAR hello", "UNSUPPORTED_COMMAND"),
        (b"logout", "UNSUPPORTED_COMMAND"),
    ],
)
def test_a_line(line: bytes, read: tuple[str | bytes, ...] | str) -> None:
    found = parse(b"CHAT/1.0 " + line + b"\n")
    assert (found.code if isinstance(found, Bad) else found) == read


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "MALFORMED"),
        (b"CHAT/1.0", "MALFORMED"),
        (b"CHAT/", "MALFORMED"),
        (b"CHAT/1.1", "UNSUPPORTED_VERSION"),
        (b"CHAT/1.1\t LOGOUT", "MALFORMED"),
        (b"HTTP/1.0 SEND hello", "MALFORMED"),
    ],
)
def test_a_line_of_another_protocol(line: bytes, code: str) -> None:
    assert parse(line + b"\r\n") == Bad(code, line)


def test_a_stream() -> None:
    long = b"x" * 508
    reader = Reader(True, 512, 3)
    stream = b"CHAT/1.0 LEAVE g\nhi\nCHAT/1.0 LOGIN a\nCHAT/1.0 RECEIVE a b\n" + long + b"....\nhal"
    assert read_stream(stream, reader) == [
        Bad("NOT_LOGGED_IN", b"CHAT/1.0 LEAVE g"),
        Bad("MALFORMED", b"hi"),
        ("LOGIN", "a"),
        Bad("WRONG_DIRECTION", b"CHAT/1.0 RECEIVE a b"),
        Bad("LINE_TOO_LONG", long + b"...."),
        Bad("TRUNCATED", b"hal"),
    ]


def test_a_stream_that_is_not_read_to_its_end() -> None:
    assert read_stream(b"CHAT/1.0 LOGOUT\nhi\n", Reader(True, 512, 3)) == [("LOGOUT",)]
    assert read_stream(b"1\n2\n3\n", Reader(True, 512, 2)) == [
        Bad("MALFORMED", b"1"),
        Bad("MALFORMED", b"2"),
    ]
