"""Peers and systems that fail: it costs the one connection, and nobody else anything."""

import logging
import select
import socket
from itertools import pairwise

import pytest

from chatproto import CloseReason, ConnectionLostError, ErrorCode, Limits
from chatproto_sync.sockets.tls import start_tls

from ..clients import Connect, each_client
from ..servers import TIMEOUT, SocketClient, Start, clients, in_thread
from ..sockets.insides import Clock, NarrowClient, narrow_listener, wait_until
from .test_tls_server import client_context, server_context

SERVER = b"CHAT/1.0 RECEIVE *server* ERR "
LINE = b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n"
HEARD = b"CHAT/1.0 RECEIVE alice " + b"x" * 4000 + b"\n"


def test_every_split_point(start: Start) -> None:
    """A line in two pieces, with the server's turn in between."""
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
        assert alice.read_line().startswith(SERVER + code)
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
def test_octets_that_are_no_command(start: Start, line: bytes, code: bytes) -> None:
    with start(port=0) as server, SocketClient(server.addresses[0]) as alice:
        alice.write(line + b"\n")
        assert alice.read_line().startswith(SERVER + code + b" ")
        alice.login("alice")


def test_names_that_differ_by_unicode_form(start: Start) -> None:
    """They are two people: who looks like whom is not for octets to say."""
    composed, decomposed = "\u00e9", "e\u0301"
    with (
        start(port=0) as server,
        clients(server.addresses[0], composed, decomposed) as (one, other),
    ):
        one.write(f"CHAT/1.0 SEND {decomposed} hi\n".encode())
        assert other.read_line() == f"CHAT/1.0 RECEIVE {composed} hi\n".encode()
        one.flush(composed)


def test_an_endless_line(start: Start) -> None:
    """It is told of once, takes no room, and ends like any other."""
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        for _ in range(8):
            alice.write(b"x" * (1 << 20))
            bob.flush("bob")
            assert server.snapshot().queued < 1 << 16
        alice.write(b"\n")
        assert alice.read_line().startswith(SERVER + b"LINE_TOO_LONG ")
        alice.flush("alice")


def test_a_million_empty_lines(start: Start) -> None:
    """A hundred of them are too many; half of those are told of, and the rest is thrown away."""
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        Clock(server)
        alice.write(b"\n" * 1_000_000)
        bob.flush("bob")
        *told, last = iter(alice.read_line, b"")
        assert len(told) == Limits().notice_burst
        assert all(line.startswith(SERVER + b"MALFORMED - ") for line in told)
        assert last == SERVER + b"TOO_MANY - too many bad lines in a row\n"
        assert server.snapshot().refusals == {ErrorCode.MALFORMED: Limits().bad_lines}
        bob.flush("bob")


def test_a_slow_drip_before_login(start: Start) -> None:
    """However often there is something new: after a minute it is over."""
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice") as (alice,),
        SocketClient(server.addresses[0]) as slow,
    ):
        alice.flush("alice")
        clock = Clock(server)
        for octet in b"CHAT/1.0 LO":
            slow.write(bytes([octet]))
            alice.flush("alice")
            assert server.snapshot().connections == 2
            clock.skip(5.0)
        alice.flush("alice")
        assert server.snapshot().connections == 2
        clock.skip(5.1)
        assert slow.read_line() == SERVER + b"NOT_LOGGED_IN - you have not logged in in time\n"
        assert slow.read_line() == b""
        alice.flush("alice")


def test_fin_while_much_is_queued(start: Start) -> None:
    """Who has nothing more to say still gets everything."""
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
        assert list(iter(bob.read_line, b"")) == [HEARD] * count
        alice.flush("alice")


def test_rst_while_much_is_queued(start: Start) -> None:
    """Whoever waited for it goes on, and learns that nobody is there."""
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "alice", "carol") as (alice, carol),
        NarrowClient(server.addresses[0]) as bob,
    ):
        bob.login("bob")
        writing = in_thread(alice.write, LINE * 60)
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        bob.reset()
        told = SERVER + b"NO_SUCH_USER SEND bob is not online\n"
        assert alice.read_line() == told
        writing.join()
        alice.write(b"CHAT/1.0 SEND alice on\n")
        while (line := alice.read_line()) == told:
            pass
        assert line == b"CHAT/1.0 RECEIVE alice on\n"
        # Who hears of a reset first, the reading or the writing side, is the system's affair.
        assert list(server.snapshot().closes) in ([CloseReason.LOST], [CloseReason.EOF])
        wait_until(lambda: server.snapshot().queued == 0, carol, "carol")


def test_a_rename_among_broadcasts(start: Start) -> None:
    """Nobody else misses one; who renames misses those of the meantime and no other."""
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
        heard = [carol.read_line() for _ in range(count)]
        lines = [b"CHAT/1.0 RECEIVE alice %d\n" % number for number in range(count)]
        assert heard == lines
        bob.write(b"CHAT/1.0 SEND bob over\n")
        got = list(iter(bob.read_line, b"CHAT/1.0 RECEIVE bob over\n"))
        positions = [lines.index(line) for line in got]
        assert positions == sorted(set(positions))
        gaps = sum(after - before > 1 for before, after in pairwise(positions))
        assert gaps <= count // 40
        carol.flush("carol")


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_health_probes_are_no_news(
    start: Start, caplog: pytest.LogCaptureFixture, secured: bool
) -> None:
    """Who connects and closes, in whatever way, is in no log that anybody reads."""
    caplog.set_level(logging.DEBUG)
    probes: list[str] = []
    with start(port=0, ssl=server_context() if secured else None) as server:
        for leave in (SocketClient.close, SocketClient.reset, SocketClient.end) * 5:
            with SocketClient(server.addresses[0]) as probe:
                host, port = probe.socket.getsockname()
                probes.append(f"{host}:{port}")
                leave(probe)
        # They are accepted in their order, so all of them are when this one is.
        with SocketClient(server.addresses[0]) as last:
            last.end()
            last.read_line()
    told = [each for each in caplog.records if each.levelno > logging.DEBUG]
    assert [each.getMessage() for each in told if each.levelno >= logging.WARNING] == []
    assert not [each for each in told if any(probe in each.getMessage() for probe in probes)]
    assert [each.exc_info for each in caplog.records if each.exc_info] == []


@pytest.mark.parametrize("server_side", [True, False])
def test_tls_with_a_peer_that_is_gone(server_side: bool) -> None:
    """Nothing stays open, or there would be a warning."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        peer = SocketClient(f"{host}:{port}")
        sock, _ = listener.accept()
    peer.reset()
    assert select.select([sock], [], [], TIMEOUT)[0]
    context, hostname = (server_context(), None) if server_side else (client_context(), host)
    with pytest.raises(OSError, match=r"reset|not connected"):
        start_tls(sock, context, server_side=server_side, server_hostname=hostname)
    assert sock.fileno() == -1


@each_client
@pytest.mark.parametrize("hostname", ["", ".example", "a\0b"])
def test_tls_with_a_host_that_is_none(connect: Connect, hostname: str) -> None:
    here, there = socket.socketpair()
    options = {"ssl": client_context(), "server_hostname": hostname}
    with (
        there,
        pytest.raises(ConnectionLostError) as caught,
        connect(transport=here, name="alice", **options),
    ):
        pytest.fail("connected")
    assert str(caught.value) == f"can't connect to socket: {hostname!r} is not a host name"
    assert isinstance(caught.value.__cause__, OSError)
    assert here.fileno() == -1
