"""chatproto._run: lines that differ in their data only."""

import pytest

from chatproto import Broadcast, Send
from chatproto._run import Run


def run_of(line: bytes, sender: str = "alice") -> Run:
    run = Run.begin(line, sender)
    assert run is not None
    return run


def send(*data: bytes, to: bytes = b"bob") -> bytes:
    return b"".join(b"CHAT/1.0 SEND %b %b\n" % (to, each) for each in data)


def receive(*data: bytes, sender: bytes = b"alice") -> bytes:
    return b"".join(b"CHAT/1.0 RECEIVE %b %b\n" % (sender, each) for each in data)


def test_a_message_begins_one() -> None:
    assert run_of(send(b"hi")).event == Send("bob", b"")
    assert run_of(b"CHAT/1.0 BROADCAST g hi\nCHAT/1.0 LOGOUT\n").event == Broadcast("g", b"")


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"CHAT/1.0 LOGOUT\n",
        b"CHAT/1.0 SEND bob\n",
        b"CHAT/1.0 SEND bob\nCHAT/1.0 SEND carol hi\n",
        b"CHAT/1.0 SEND  hi there\n",
        b"CHAT/1.0 SEND \xff hi\n",
        b"CHAT/1.0 SEND b\tb hi\n",
        b"CHAT/1.0 send bob hi\n",
        b"CHAT/1.1 SEND bob hi\n",
        b" CHAT/1.0 SEND bob hi\n",
        b"CHAT/1.0  SEND bob hi\n",
        b"CHAT/1.0 RECEIVE bob hi\n",
        b"CHAT/1.0 GROUP g a b\n",
        b"CHAT/1.0 LEAVE g a \n",
    ],
)
def test_nothing_else_does(line: bytes) -> None:
    assert Run.begin(line, "alice") is None


def test_every_line_is_rewritten() -> None:
    data = [b"", b" ", b"hi there ", b"CHAT/1.0 SEND bob x", b"\0\xff", b"x" * 500]
    run = run_of(send(*data))
    assert run.rewrite(send(*data), 4096) == receive(*data)
    assert run.rewrite(send(b"one"), 4096) == receive(b"one")


def test_names_keep_their_octets() -> None:
    lines = send(b"1", b"2", to="bücher".encode())
    assert run_of(lines, "дима").rewrite(lines, 512) == receive(b"1", b"2", sender="дима".encode())


@pytest.mark.parametrize(
    "lines",
    [
        send(b"hi", to=b"carol"),
        send(b"hi", to=b"bobby"),
        send(b"1") + send(b"2", to=b"carol"),
        send(b"1") + b"CHAT/1.0 LOGOUT\n" + send(b"2"),
        send(b"1") + b"\n",
        b"\n" + send(b"1"),
        send(b"1") + b"CHAT/1.0 SEND bob\n",
        send(b"1\r"),
        send(b"1\r2"),
        send(b"1", b"2").replace(b"\n", b"\r\n"),
    ],
)
def test_what_is_not_all_of_one_run_is_left_alone(lines: bytes) -> None:
    assert run_of(send(b"hi")).rewrite(lines, 4096) == b""


# "CHAT/1.0 RECEIVE alice " has 5 octets more than "CHAT/1.0 SEND bob ", and 2 fewer than the
# longer name's.


@pytest.mark.parametrize("others", [(), (b"1",), (b"1",) * 100])
def test_no_line_outgrows_its_bound(others: tuple[bytes, ...]) -> None:
    run = run_of(send(b""))
    fits = 512 - len(receive(b""))
    data = [*others, b"x" * fits]
    assert run.rewrite(send(*data), 512) == receive(*data)
    data = [*others, b"x" * (fits + 1)]
    assert run.rewrite(send(*data), 512) == b""


@pytest.mark.parametrize("others", [(), (b"1",), (b"1",) * 100])
def test_no_line_that_shrinks_is_longer_than_allowed(others: tuple[bytes, ...]) -> None:
    to = b"somebody-with-a-long-name"
    run = run_of(send(b"", to=to))
    fits = 512 - len(send(b"", to=to))
    data = [*others, b"x" * fits]
    assert run.rewrite(send(*data, to=to), 512) == receive(*data)
    data = [*others, b"x" * (fits + 1)]
    assert run.rewrite(send(*data, to=to), 512) == b""
