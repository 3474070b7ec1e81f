"""The codec in this process: lines to events, events to lines, and hostile input.

    .venv/bin/python benchmarks/codec.py

Three well-known libraries do similar work in turns with it: irctokens parses the same messages as
PRIVMSG lines, h11 the chunks of a request's body, wsproto a client's text frames; a thousand
messages in each call. Hostile input comes in one size and in four times that size: if time is
linear and memory is bounded, the rate and the memory stay the same.
"""

import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import h11
from _table import Row, show
from _timing import in_turns, rates
from irctokens.stateful import StatefulDecoder
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import TextMessage

from chatproto import ChatConnection, Limits, Receive, Role, Send, State
from chatproto.wire.codec import encode

LINES: Final = 1000
"""Messages in one call."""
TEXT: Final = b"how are you ?"
"""A SEND to bob with it has 32 bytes."""
PIECE: Final = 4096
"""Bytes of hostile input in one call, if its pieces are not smaller. A broker parses as many."""


def server_side(limits: Limits = Limits()) -> ChatConnection:
    """The server's end of a connection that is logged in."""
    connection = ChatConnection(Role.SERVER, limits)
    connection.receive_data(b"CHAT/1.0 LOGIN alice\n")
    return connection


def addressees(number: int) -> list[bytes]:
    """A name of three bytes for each message, out of so many in turns."""
    return [b"%03d" % (at % number) for at in range(LINES)]


def parse_rows(repeat: int) -> list[Row]:
    """Lines to events, against irctokens."""
    rows: list[Row] = []
    for number, whom, floor in ((1, "one user", 6), (100, "100 users in turns", None)):
        names = addressees(number)
        lines = b"".join(b"CHAT/1.0 SEND %b %b\n" % (name, TEXT) for name in names)
        privmsgs = b"".join(b"PRIVMSG %b :%b\r\n" % (name, TEXT) for name in names)
        connection, decoder = server_side(), StatefulDecoder()
        # Both give the right result.
        assert connection.receive_data(lines) == [Send(name.decode(), TEXT) for name in names]
        split = decoder.push(privmsgs)
        assert split is not None
        assert [line.params for line in split] == [[name.decode(), TEXT.decode()] for name in names]
        ours, theirs = in_turns(
            repeat, partial(connection.receive_data, lines), partial(decoder.push, privmsgs)
        )
        rows.append(
            Row(
                part="codec",
                name=f"parse SEND lines of 32 bytes to {whom}",
                unit="lines/s",
                values=rates(LINES, ours),
                reference=rates(LINES, theirs),
                floor=floor,
                note="irctokens, the same as PRIVMSG",
            )
        )
    return rows


def chunk_reader() -> Callable[[], None]:
    """H11 reading a thousand chunks of 32 bytes."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    assert type(connection.next_event()) is h11.Request
    chunks = b"20\r\n%b\r\n" % (b"x" * 32) * LINES

    def read() -> None:
        connection.receive_data(chunks)
        count = 0
        while type(connection.next_event()) is h11.Data:
            count += 1
        assert count == LINES

    return read


def frame_reader() -> Callable[[], None]:
    """Wsproto reading a thousand masked text frames of 32 bytes."""
    client, server = Frames(ConnectionType.CLIENT), Frames(ConnectionType.SERVER)
    frames = b"".join(client.send(TextMessage("x" * 32)) for _ in range(LINES))

    def read() -> None:
        server.receive_data(frames)
        assert sum(type(event) is TextMessage for event in server.events()) == LINES

    return read


def like_rows(repeat: int) -> list[Row]:
    """Messages with 32 bytes of data, against h11 and wsproto."""
    lines = b"CHAT/1.0 SEND bob %b\n" % (b"x" * 32) * LINES
    ours, chunks, frames = in_turns(
        repeat, partial(server_side().receive_data, lines), chunk_reader(), frame_reader()
    )
    references = (
        (chunks, "h11, chunks of a body"),
        (frames, "wsproto, masked text frames"),
    )
    return [
        Row(
            part="codec",
            name=f"parse SENDs of 32 bytes of data, against {note.partition(',')[0]}",
            unit="messages/s",
            values=rates(LINES, ours),
            reference=rates(LINES, theirs),
            note=note,
        )
        for theirs, note in references
    ]


def encode_rows(repeat: int) -> list[Row]:
    """Events to lines."""
    event = Receive("alice", TEXT)

    def write(how: Callable[[Receive], bytes]) -> None:
        for _ in range(LINES):
            how(event)

    alone, sent = in_turns(
        repeat, partial(write, encode), partial(write, ChatConnection(Role.SERVER).send)
    )
    return [
        Row(
            part="codec",
            name=name,
            unit="µs",
            values=[each / LINES * 1e6 for each in times],
            ceiling=0.6,
        )
        for name, times in (
            ("encode a Receive", alone),
            ("the same by ChatConnection.send, which checks it", sent),
        )
    ]


class Hostile(NamedTuple):
    """Input that is to cost time or memory."""

    name: str
    pieces: Sequence[bytes]
    """The input for each call."""
    limits: Limits = Limits()


def pieces_of(data: bytes, size: int = PIECE) -> list[bytes]:
    """Data in pieces of so many bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def hostile_inputs(quick: bool) -> list[Hostile]:
    """The smaller size of each input; a quarter of it if `quick`."""
    size = 1 if quick else 4
    line = b"CHAT/1.0 SEND bob %b\n" % TEXT
    longest = line[:-1].ljust(4094, b"x") + b"\n"
    return [
        Hostile("one byte at a time", pieces_of(line * 1000 * size, 1)),
        # One byte shorter than a piece, so that they are cut at every point.
        Hostile("lines of 4,095 bytes", pieces_of(longest * 1024 * size)),
        # Otherwise a hundred would close the connection.
        Hostile(
            "empty lines, a million", pieces_of(b"\n" * 62_500 * size), Limits(bad_lines=1 << 30)
        ),
        Hostile("a line without an end", pieces_of(b"x" * (1 << 20)) * size),
    ]


def feed(hostile: Hostile, times: int) -> None:
    """Receive the input, repeated so many times."""
    connection = server_side(hostile.limits)
    receive = connection.receive_data
    for _ in range(times):
        for piece in hostile.pieces:
            receive(piece)
    assert connection.state is State.LOGGED_IN


def memory(hostile: Hostile, times: int) -> float:
    """The peak of the memory that the same takes, in kB."""
    tracemalloc.start()
    try:
        feed(hostile, times)
        return tracemalloc.get_traced_memory()[1] / 1000
    finally:
        tracemalloc.stop()


def hostile_rows(repeat: int, quick: bool) -> list[Row]:
    """The rows for time and memory with input of one size, and of four times that size."""
    rows: list[Row] = []
    for hostile in hostile_inputs(quick):
        size = sum(map(len, hostile.pieces)) / 1e6
        whole, quarter = in_turns(
            repeat, partial(feed, hostile, 4), partial(feed, hostile, 1), runs=3
        )
        rows.append(
            Row(
                part="codec",
                name=f"hostile: {hostile.name}",
                unit="MB/s",
                values=[4 * size / each for each in whole],
                reference=[size / each for each in quarter],
                floor=0.75,
                note=f"{4 * size:.3g} MB, against a quarter: 1 is linear, 0.25 quadratic",
            )
        )
        rows.append(
            Row(
                part="codec",
                name=f"hostile: {hostile.name}, memory",
                unit="kB",
                values=[memory(hostile, 4)],
                reference=[memory(hostile, 1)],
                ceiling=1000,
                note="the peak; the same input, and a quarter of it",
            )
        )
    return rows


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """All rows of this part."""
    return [
        *parse_rows(repeat),
        *like_rows(repeat),
        *encode_rows(repeat),
        *hostile_rows(repeat, quick),
    ]


if __name__ == "__main__":
    print(show(measure(repeat=5, quick=False)))
