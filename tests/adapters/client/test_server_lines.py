"""Clients and what a server may send, right or wrong. `tests/client` has the details."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatproto import (
    ChatTimeoutError,
    ErrorCode,
    LineLimits,
    LoginRefusedError,
    Message,
    Notice,
    RemoteProtocolError,
)

from ..clients import SHORT, Connect, each_client, times_out, where
from ..servers import TIMEOUT
from .scripted import VERSION, Player, Script, ScriptedServer, Step, flood, refuse, tell, write

pytestmark = each_client

NOTICES = {
    b"ERR TOO_MANY SEND notices": Notice(ErrorCode.TOO_MANY, "SEND", "notices"),
    b"ERR BRAND_NEW SEND  odd ": Notice("BRAND_NEW", "SEND", " odd "),
    b"ERR NAME_IN_USE LOGIN late": Notice(ErrorCode.NAME_IN_USE, "LOGIN", "late"),
    b"ERR TOO_MANY SEND": Notice("", "-", "ERR TOO_MANY SEND"),
    b"": Notice("", "-", ""),
    b"ERR \xff SEND \0\xff": Notice("\ufffd", "SEND", "\0\ufffd"),
    b"ERR A B " + b"x" * 4000: Notice("A", "B", "x" * 4000),
}


def test_notices(connect: Connect) -> None:
    words = tell(*(b"*server* " + data for data in NOTICES))
    with (
        ScriptedServer([Player.login, words, Player.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert [chat.receive_notice() for _ in NOTICES] == [*NOTICES.values()]
        chat.flush()
        assert chat.take_notices() == []


# Logins and pings


@pytest.mark.parametrize(
    ("code", "end"),
    [("NAME_IN_USE", [Player.drain]), ("BRAND_NEW", [])],
    ids=["and waits", "and closes"],
)
def test_a_server_refuses_the_first_login(connect: Connect, code: str, end: Script) -> None:
    with (
        ScriptedServer([refuse(code), *end]) as server,
        pytest.raises(LoginRefusedError, match=f"^{code}: no$") as caught,
        connect(name="alice", **where(server)),
    ):
        pass
    assert caught.value.code == code
    assert isinstance(caught.value.code, ErrorCode) is (code != "BRAND_NEW")


def refuse_next(*, echoing: bool) -> Step:
    """Refuse a second login, and maybe send its ping back."""

    def step(player: Player) -> None:
        name = player.name
        echo = player.asked_in()
        tell(b"*server* ERR NAME_IN_USE LOGIN no")(player)
        if echoing:
            player.write(echo)
        player.name = name

    return step


@pytest.mark.parametrize("echoing", [False, True], ids=["", "and echoes"])
def test_a_server_refuses_a_second_login(connect: Connect, echoing: bool) -> None:
    script = [Player.login, refuse_next(echoing=echoing), tell(b"bob hi"), Player.serve]
    with (
        ScriptedServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(LoginRefusedError, match=r"^NAME_IN_USE: no$"):
            chat.login("carol")
        assert chat.name == "alice"
        chat.flush()
        assert chat.receive() == Message("bob", b"hi")
        assert chat.take_notices() == []
        chat.login("alicia")
        assert chat.name == "alicia"


def test_pings_of_others_are_not_received(connect: Connect) -> None:
    pings = tell(
        b"alice \0chatproto echo 0123456789abcdef 1",
        b"bob \0chatproto echo ",
        b"bob hi",
        b"*server* \0chatproto echo 1 1",
        b"alice me",
    )
    with (
        ScriptedServer([Player.login, pings, Player.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        assert [chat.receive(), chat.receive()] == [Message("bob", b"hi"), Message("alice", b"me")]
        with pytest.raises(ChatTimeoutError):
            chat.receive(0)
        assert chat.take_notices() == []
        assert chat.invalid_lines == 0


def test_a_ping_from_another_sender_is_no_answer_to_a_login(connect: Connect) -> None:
    def answer(player: Player) -> None:
        player.write(player.asked_in().replace(b"alice", b"mallory"))

    with (
        ScriptedServer([answer, Player.drain]) as server,
        pytest.raises(ChatTimeoutError),
        connect(name="alice", timeout=SHORT, **where(server)),
    ):
        pass


def test_the_next_ping_cannot_be_foreseen(connect: Connect) -> None:
    """Who shares the name has seen the one before, and could answer in place of the server."""

    answered = threading.Event()

    def answer(player: Player) -> None:
        echo = player.asked_in()
        player.write(echo)
        player.asked()
        *others, last, end = echo
        player.write(bytes([*others, last + 1, end]))
        answered.set()

    with (
        ScriptedServer([answer, Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        times_out(chat, chat.flush, lambda: answered.wait(TIMEOUT))
        chat.close()


def test_no_part_of_a_ping_is_known_before(connect: Connect) -> None:
    script = [Player.login, Player.echo, Player.echo, Player.login, Player.echo]
    with (
        ScriptedServer([*script, Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        chat.flush()
        chat.login("alicia")
        chat.flush()
        chat.close()
        pings = [line for line in server.over(0).lines if line.startswith(b"SEND ")]
        tokens = [ping.partition(b" \0chatproto echo ")[2] for ping in pings]
        assert [len(token) for token in tokens] == [32] * 5
        for part in (slice(8), slice(-8, None)):
            assert len({token[part] for token in tokens}) == 5


def test_a_server_echoes_twice(connect: Connect) -> None:
    def twice(player: Player) -> None:
        player.write(player.asked() * 2)

    def twice_in(player: Player) -> None:
        player.write(player.asked_in() * 2)

    with (
        ScriptedServer([twice_in, twice, twice, twice_in, tell(b"bob hi"), twice]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        chat.flush()
        chat.login("alicia")
        chat.flush()
        assert chat.receive() == Message("bob", b"hi")
        chat.close()


def test_a_later_echo_answers_earlier_pings(connect: Connect) -> None:
    def answer(player: Player) -> None:
        player.asked()
        player.echo()

    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.login, answer, Player.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        for flush in [pool.submit(chat.flush), pool.submit(chat.flush)]:
            flush.result(TIMEOUT)
        chat.flush()


# Lines


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", ErrorCode.MALFORMED, id="HTTP"),
        pytest.param(b"\x16\x03\x03\0\x7a\n", ErrorCode.MALFORMED, id="TLS"),
        pytest.param(b"x" * (1 << 20) + b"\n", ErrorCode.LINE_TOO_LONG, id="a million bytes"),
    ],
)
def test_it_is_not_a_chat_server(connect: Connect, line: bytes, code: ErrorCode) -> None:
    with (
        ScriptedServer([write(line), Player.drain]) as server,
        pytest.raises(RemoteProtocolError, match="does not look like a chat server") as caught,
        connect(name="alice", **where(server)),
    ):
        pass
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("piece", "code"),
    [
        pytest.param(b"x" * 65536, ErrorCode.LINE_TOO_LONG, id="a line without an end"),
        pytest.param(
            ((VERSION + b"RECEIVE bob ").ljust(1023, b"x") + b"\n") * 64,
            ErrorCode.TOO_MANY,
            id="messages",
        ),
    ],
)
def test_a_server_floods_before_the_login(connect: Connect, piece: bytes, code: ErrorCode) -> None:
    with ScriptedServer([flood(piece, 1 << 24)]) as server:
        with (
            pytest.raises(RemoteProtocolError) as caught,
            connect(name="alice", max_queue=10, **where(server)),
        ):
            pass
        assert caught.value.code is code
        assert server.over(0).written < 1 << 24


BAD_LINES = [
    b"\n",
    b"HTTP/1.1 400 Bad Request\r\n",
    b"\0" * 100 + b"\n",
    b"\x16\x03\x03\0\x7a\x02\0\0\x76\x03\x03" + bytes(range(256)) + b"\n",
    VERSION + b"RECEIVE bob\n",
    VERSION + b"RECEIVE bob x\r\r\n",
    VERSION + b"RECEIVE b\xffb x\n",
    b"CHAT/1.1 RECEIVE bob x\n",
    VERSION + b"STAR bob x\n",
    VERSION + b"SEND bob x\n",
    (VERSION + b"RECEIVE bob ").ljust(4096, b"x") + b"\n",
]


@pytest.mark.parametrize("dribbled", [False, True], ids=["whole", "dribbled"])
def test_bad_lines_are_skipped_and_counted(connect: Connect, dribbled: bool) -> None:
    good = VERSION + b"RECEIVE bob hi\n"
    data = b"".join(line + good for line in BAD_LINES)

    def step(player: Player) -> None:
        if dribbled:
            player.dribble(player.asked_in())
            player.dribble(data)
        else:
            player.login()
            player.write(data)

    with (
        ScriptedServer([step, Player.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert [chat.receive() for _ in BAD_LINES] == [Message("bob", b"hi")] * len(BAD_LINES)
        assert chat.invalid_lines == b"".join(BAD_LINES).count(b"\n")
        chat.flush()


def test_unusual_lines_are_received(connect: Connect) -> None:
    """NULs, CRs and bytes that are not UTF-8, a line of 4096 bytes, CR LF, no data."""
    start = VERSION + b"RECEIVE bob "
    data = [b"\0\r\xff \x1b[2J", b"x" * (4095 - len(start)), b"crlf", b"", b" two  spaces "]
    lines = [start + item + b"\n" for item in data]
    lines[2] = start + b"crlf\r\n"
    with (
        ScriptedServer([Player.login, write(b"".join(lines)), Player.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert [chat.receive() for _ in data] == [Message("bob", item) for item in data]
        assert chat.invalid_lines == 0


def test_too_many_bad_lines_in_a_row(connect: Connect) -> None:
    good = VERSION + b"RECEIVE bob %d\n"
    lines = b"bad\n" * 2 + good % 1 + b"bad\n" * 2 + good % 2 + b"bad\n" * 3 + good % 3
    with (
        ScriptedServer([Player.login, Player.read_line, write(lines), Player.drain]) as server,
        connect(name="alice", limits=LineLimits(bad_lines=3), **where(server)) as chat,
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
        assert chat.invalid_lines == 7


def test_an_endless_line_takes_no_memory(connect: Connect) -> None:
    piece = b"x" * 65536
    line: Script = [write(piece)] * 256
    script = [Player.login, *line, tell(b"bob no", b"bob hi"), Player.serve]
    with (
        ScriptedServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        tracemalloc.start()
        try:
            assert chat.receive() == Message("bob", b"hi")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20 * len(piece)
        assert chat.invalid_lines == 1
