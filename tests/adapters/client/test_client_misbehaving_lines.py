"""Clients and a server whose lines are wrong, late, in pieces, or about something else."""

import tracemalloc

import pytest

from chatproto import (
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    Limits,
    Message,
    Notice,
    RemoteProtocolError,
)

from ..clients import Connect, each_client, where
from .misbehaving import VERSION, MisbehavingServer, Peer, Script, Step, say, tell

pytestmark = each_client

FITS = VERSION + b"RECEIVE bob "
"""The start of a line that has to be filled up."""

HELLO = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(range(256)) + b"\n"
"""What a TLS server may answer; two LFs happen to be in it."""

BAD_LINES = [
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n", ErrorCode.MALFORMED, id="HTTP"),
    pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", ErrorCode.MALFORMED, id="SSH"),
    pytest.param(HELLO, ErrorCode.MALFORMED, id="TLS"),
    pytest.param(b"\n", ErrorCode.MALFORMED, id="empty"),
    pytest.param(b"\0" * 100 + b"\n", ErrorCode.MALFORMED, id="NULs"),
    pytest.param(VERSION + b"RECEIVE bob\n", ErrorCode.MALFORMED, id="no data"),
    pytest.param(VERSION + b"RECEIVE bob x\r\r\n", ErrorCode.MALFORMED, id="two CRs"),
    pytest.param(VERSION + b"RECEIVE  x\n", ErrorCode.MALFORMED, id="no name"),
    pytest.param(VERSION + b"RECEIVE b\xffb x\n", ErrorCode.BAD_NAME, id="name is no UTF-8"),
    pytest.param(VERSION + b"RECEIVE b\0b x\n", ErrorCode.BAD_NAME, id="NUL in a name"),
    pytest.param(b"CHAT/1.1 RECEIVE bob x\n", ErrorCode.UNSUPPORTED_VERSION, id="version"),
    pytest.param(VERSION + b"STAR bob x\n", ErrorCode.UNSUPPORTED_COMMAND, id="command"),
    pytest.param(VERSION + b"SEND bob x\n", ErrorCode.WRONG_DIRECTION, id="direction"),
    pytest.param(FITS.ljust(4096, b"x") + b"\n", ErrorCode.LINE_TOO_LONG, id="4097 octets"),
    pytest.param(b"x" * (1 << 20) + b"\n", ErrorCode.LINE_TOO_LONG, id="a million octets"),
]
each_bad_line = pytest.mark.parametrize(("line", "code"), BAD_LINES)


@each_bad_line
def test_not_a_chat_server(connect: Connect, line: bytes, code: ErrorCode) -> None:
    with (
        MisbehavingServer([say(line), Peer.drain]) as server,
        pytest.raises(RemoteProtocolError, match="does not look like a chat server") as caught,
        connect(name="alice", **where(server)),
    ):
        pass
    assert caught.value.code is code


def flood(piece: bytes) -> Step:
    """Write for as long as the client takes it, which is not for long."""

    def step(peer: Peer) -> None:
        while peer.written < 1 << 24:
            peer.write(piece)

    return step


def test_endless_line_instead_of_a_login(connect: Connect) -> None:
    with MisbehavingServer([flood(b"x" * 65536)]) as server:
        with (
            pytest.raises(RemoteProtocolError) as caught,
            connect(name="alice", **where(server)),
        ):
            pass
        assert caught.value.code is ErrorCode.LINE_TOO_LONG
        assert server.over(0).written < 1 << 24


def test_messages_without_end_instead_of_a_login(connect: Connect) -> None:
    """`max_queue` counts before the login is decided too."""
    piece = (VERSION + b"RECEIVE bob ").ljust(1023, b"x") + b"\n"
    with MisbehavingServer([flood(piece * 64)]) as server:
        with (
            pytest.raises((ChatTimeoutError, ConnectionLostError, RemoteProtocolError)),
            connect(name="alice", timeout=1, max_queue=10, **where(server)),
        ):
            pass
        assert server.over(0).written < 1 << 24


@each_bad_line
@pytest.mark.parametrize("dribbled", [False, True], ids=["whole", "dribbled"])
def test_bad_lines_are_skipped_and_counted(
    connect: Connect, line: bytes, code: ErrorCode, dribbled: bool
) -> None:
    if len(line) > 10_000:
        dribbled = False
    write = Peer.dribble if dribbled else Peer.write
    good = VERSION + b"RECEIVE bob hi\n"
    script = [Peer.login, lambda peer: write(peer, line + good + line + good), Peer.serve]
    with (
        MisbehavingServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert [chat.receive(), chat.receive()] == [Message("bob", b"hi")] * 2
        assert chat.invalid_lines == 2 * line.count(b"\n"), code
        chat.flush()


def test_good_lines_that_look_odd(connect: Connect) -> None:
    """NULs, CRs and octets that are no text, a line of 4096 octets, CRLF, empty data."""
    longest = FITS.ljust(4095, b"x")
    data = [b"\0\r\xff \x1b[2J", longest.removeprefix(FITS), b"crlf", b"", b" two  spaces "]
    lines = [FITS + item + b"\n" for item in data]
    lines[2] = FITS + b"crlf\r\n"
    with (
        MisbehavingServer([Peer.login, say(b"".join(lines)), Peer.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert [chat.receive() for _ in data] == [Message("bob", item) for item in data]
        assert chat.invalid_lines == 0


@pytest.mark.parametrize("limits", [Limits(), Limits(bad_lines=3)], ids=["100", "3"])
def test_too_many_bad_lines_in_a_row(connect: Connect, limits: Limits) -> None:
    almost = b"bad\n" * (limits.bad_lines - 1)
    good = VERSION + b"RECEIVE bob %d\n"
    lines = almost + good % 1 + almost + good % 2 + almost + b"bad\n" + good % 3
    with (
        MisbehavingServer([Peer.login, Peer.read_line, say(lines), Peer.drain]) as server,
        connect(name="alice", limits=limits, **where(server)) as chat,
    ):
        chat.send("bob", b"now")
        assert chat.receive() == Message("bob", b"1")
        assert chat.receive() == Message("bob", b"2")
        for _ in range(2):
            with pytest.raises(RemoteProtocolError) as caught:
                chat.receive()
            assert caught.value.code is ErrorCode.TOO_MANY
        with pytest.raises(RemoteProtocolError):
            chat.send("bob", b"hi")
        assert chat.invalid_lines == 3 * limits.bad_lines - 2


def test_endless_line_takes_no_memory(connect: Connect) -> None:
    octets = b"x" * 65536
    line: Script = [say(octets)] * 256
    script = [Peer.login, *line, tell(b"bob no", b"bob hi"), Peer.serve]
    with (
        MisbehavingServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        tracemalloc.start()
        try:
            assert chat.receive() == Message("bob", b"hi")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20 * len(octets)
        assert chat.invalid_lines == 1


def dribble_the_login(peer: Peer) -> None:
    peer.dribble(peer.asked_in())


def test_dribble(connect: Connect) -> None:
    lines = (
        VERSION + b"RECEIVE bob \xc3\xa9\r\n" + VERSION + b"RECEIVE *server* ERR NO_SUCH_USER "
        b"SEND carol is not online\nbad\n" + VERSION + b"RECEIVE carol \n"
    )
    script = [dribble_the_login, lambda peer: peer.dribble(lines), Peer.serve]
    with (
        MisbehavingServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert [chat.receive(), chat.receive()] == [
            Message("bob", b"\xc3\xa9"),
            Message("carol", b""),
        ]
        text = "carol is not online"
        assert chat.take_notices() == [Notice(ErrorCode.NO_SUCH_USER, "SEND", text)]
        assert chat.invalid_lines == 1
