"""`Server`: clients that fail or misbehave. It costs their own connections only."""

import logging
from itertools import pairwise

import pytest

from chatproto import CloseReason, ErrorCode, Limits

from ..servers import SocketClient, Start, clients, in_thread
from ..sockets.insides import Clock, NarrowClient, narrow_listener, wait_until
from .test_tls_server import server_context

NOTICE = b"CHAT/1.0 RECEIVE *server* ERR "
LINE = b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n"
RECEIVED = b"CHAT/1.0 RECEIVE alice " + b"x" * 4000 + b"\n"


def test_every_split_point(start: Start) -> None:
    """A line in two pieces, which the server reads one by one."""
    text = "CHAT/1.0 SEND alice \N{SNOWMAN} \r\0\r\n".encode()
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "carol") as (alice, carol),
    ):
        for at in range(1, len(text)):
            alice.write(text[:at])
            carol.flush("carol")
            alice.write(text[at:])
            assert alice.read_line() == "CHAT/1.0 RECEIVE alice \N{SNOWMAN} \r\0\n".encode()


@pytest.mark.parametrize(
    ("size", "code"),
    [(4095, b"NO_SUCH_USER"), (4096, b"NO_SUCH_USER"), (4097, b"LINE_TOO_LONG")],
)
def test_the_longest_line(start: Start, size: int, code: bytes) -> None:
    head = b"CHAT/1.0 SEND bob "
    with start(port=0) as server, clients(server.addresses[0], "alice") as (alice,):
        alice.write(head + b"x" * (size - len(head) - 1) + b"\n")
        assert alice.read_line().startswith(NOTICE + code)
        alice.flush("alice")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param(b"\xef\xbb\xbfCHAT/1.0 LOGIN alice", b"MALFORMED", id="byte order mark"),
        pytest.param(b"CHAT/1.0\0LOGIN alice", b"MALFORMED", id="NUL"),
        pytest.param(b"CHAT/1.0 LOGIN al\0ice", b"BAD_NAME", id="NUL in a name"),
        pytest.param(b"CHAT/1.0 LOGIN al\rice", b"BAD_NAME", id="CR in a name"),
        pytest.param(b"CHAT/1.0 LOGIN alice\r\r", b"MALFORMED", id="two CR"),
        pytest.param(b"CHAT/1.0 LOGIN al\xc3", b"BAD_NAME", id="half a character"),
        pytest.param(b"CHAT/1.0 LOGIN \xed\xa0\x80", b"BAD_NAME", id="surrogate"),
    ],
)
def test_bytes_that_are_not_a_command(start: Start, line: bytes, code: bytes) -> None:
    with start(port=0) as server, SocketClient(server.addresses[0]) as alice:
        alice.write(line + b"\n")
        assert alice.read_line().startswith(NOTICE + code + b" ")
        alice.login("alice")


def test_names_that_differ_by_unicode_form(start: Start) -> None:
    """They are two names, because names are compared as bytes."""
    composed, decomposed = "\u00e9", "e\u0301"
    with (
        start(port=0) as server,
        clients(server.addresses[0], composed, decomposed) as (one, other),
    ):
        one.write(f"CHAT/1.0 SEND {decomposed} hi\n".encode())
        assert other.read_line() == f"CHAT/1.0 RECEIVE {composed} hi\n".encode()
        one.flush(composed)


def test_an_endless_line(start: Start) -> None:
    """The server sends one notice, keeps none of the line, and goes on after its end."""
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        for _ in range(8):
            alice.write(b"x" * (1 << 20))
            bob.flush("bob")
            assert server.snapshot().queued < 1 << 16
        alice.write(b"\n")
        assert alice.read_line().startswith(NOTICE + b"LINE_TOO_LONG ")
        alice.flush("alice")


def test_a_million_empty_lines(start: Start) -> None:
    """A hundred close the connection. The client gets notices of half of them."""
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        Clock(server)
        alice.write(b"\n" * 1_000_000)
        bob.flush("bob")
        *notices, last = iter(alice.read_line, b"")
        assert len(notices) == Limits().notice_burst
        assert all(line.startswith(NOTICE + b"MALFORMED - ") for line in notices)
        assert last == NOTICE + b"TOO_MANY - too many bad lines in a row\n"
        assert server.snapshot().refusals == {ErrorCode.MALFORMED: Limits().bad_lines}
        bob.flush("bob")


def test_a_slow_drip_before_login(start: Start) -> None:
    """The bytes do not extend the minute that a client has to log in."""
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice") as (alice,),
        SocketClient(server.addresses[0]) as slow,
    ):
        alice.flush("alice")
        clock = Clock(server)
        for byte in b"CHAT/1.0 LO":
            slow.write(bytes([byte]))
            alice.flush("alice")
            assert server.snapshot().connections == 2
            clock.skip(5.0)
        alice.flush("alice")
        assert server.snapshot().connections == 2
        clock.skip(5.1)
        assert slow.read_line() == NOTICE + b"NOT_LOGGED_IN - you have not logged in in time\n"
        assert slow.read_line() == b""
        alice.flush("alice")


def test_fin_while_much_is_queued(start: Start) -> None:
    """A client that has ended its half still gets all that is queued."""
    count = 20
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "alice") as (alice,),
        NarrowClient(server.addresses[0]) as bob,
    ):
        bob.login("bob")
        alice.write(LINE * count)
        alice.flush("alice")
        assert server.snapshot().queued > 0
        assert server.snapshot().closes == {}
        bob.end()
        alice.flush("alice")
        assert list(iter(bob.read_line, b"")) == [RECEIVED] * count
        alice.flush("alice")


def test_rst_while_much_is_queued(start: Start) -> None:
    """The sender that waited goes on, and gets notices for the rest of its messages."""
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "alice", "carol") as (alice, carol),
        NarrowClient(server.addresses[0]) as bob,
    ):
        bob.login("bob")
        # She waits as long as no time passes.
        Clock(server)
        writing = in_thread(alice.write, LINE * 60)
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        bob.reset()
        notice = NOTICE + b"NO_SUCH_USER SEND bob is not online\n"
        assert alice.read_line() == notice
        writing.join()
        alice.write(b"CHAT/1.0 SEND alice on\n")
        while (line := alice.read_line()) == notice:
            pass
        assert line == b"CHAT/1.0 RECEIVE alice on\n"
        # The system decides whether reading or writing meets the reset first.
        assert list(server.snapshot().closes) in ([CloseReason.LOST], [CloseReason.EOF])
        wait_until(lambda: server.snapshot().queued == 0, carol, "carol")


def test_a_rename_among_broadcasts(start: Start) -> None:
    """Others miss none. The client misses those between the loss of its name and the return."""
    count = 400
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob", "carol") as (alice, bob, carol),
    ):
        alice.write(b"CHAT/1.0 GROUP g alice bob carol\n")
        for number in range(count):
            alice.write(b"CHAT/1.0 BROADCAST g %d\n" % number)
            if number % 40 == 10:
                bob.write(b"CHAT/1.0 LOGIN robert\n")
            if number % 40 == 30:
                bob.write(b"CHAT/1.0 LOGIN bob\n")
        got = [carol.read_line() for _ in range(count)]
        lines = [b"CHAT/1.0 RECEIVE alice %d\n" % number for number in range(count)]
        assert got == lines
        bob.write(b"CHAT/1.0 SEND bob over\n")
        got = list(iter(bob.read_line, b"CHAT/1.0 RECEIVE bob over\n"))
        positions = [lines.index(line) for line in got]
        assert positions == sorted(set(positions))
        gaps = sum(after - before > 1 for before, after in pairwise(positions))
        assert gaps <= count // 40
        carol.flush("carol")


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_health_probes_are_not_logged(
    start: Start, caplog: pytest.LogCaptureFixture, secured: bool
) -> None:
    """Connections that send nothing appear at the debug level only, however they end."""
    caplog.set_level(logging.DEBUG)
    probes: list[str] = []
    with start(port=0, ssl=server_context() if secured else None) as server:
        for leave in (SocketClient.close, SocketClient.reset, SocketClient.end) * 5:
            with SocketClient(server.addresses[0]) as probe:
                host, port = probe.socket.getsockname()
                probes.append(f"{host}:{port}")
                leave(probe)
        # The server accepts them in order, so it has accepted all of them before this one.
        with SocketClient(server.addresses[0]) as last:
            last.end()
            last.read_line()
    logged = [each for each in caplog.records if each.levelno > logging.DEBUG]
    assert [each.getMessage() for each in logged if each.levelno >= logging.WARNING] == []
    assert not [each for each in logged if any(probe in each.getMessage() for probe in probes)]
    assert [each.exc_info for each in caplog.records if each.exc_info] == []
