"""Clients and a server that answers what nobody asked, and not what was asked."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chatproto import (
    ChatTimeoutError,
    ErrorCode,
    LoginRefusedError,
    Message,
    Notice,
)

from ..clients import Connect, each_client, where
from .misbehaving import LIMIT, MisbehavingServer, Peer, Script, Step, refuse, tell

pytestmark = each_client


@pytest.mark.parametrize(
    ("data", "notice"),
    [
        (b"ERR TOO_MANY SEND notices", Notice(ErrorCode.TOO_MANY, "SEND", "notices")),
        (b"ERR BRAND_NEW SEND  odd ", Notice("BRAND_NEW", "SEND", " odd ")),
        (b"ERR NAME_IN_USE LOGIN late", Notice(ErrorCode.NAME_IN_USE, "LOGIN", "late")),
        (b"ERR x y ", Notice("x", "y", "")),
        (b"ERR TOO_MANY SEND", Notice("", "-", "ERR TOO_MANY SEND")),
        (b"ERR", Notice("", "-", "ERR")),
        (b"", Notice("", "-", "")),
        (b"Welcome to the chat", Notice("", "-", "Welcome to the chat")),
        (b"ERR \xff SEND \0\xff", Notice("\ufffd", "SEND", "\0\ufffd")),
        (b"ERR A B " + b"x" * 4000, Notice("A", "B", "x" * 4000)),
    ],
)
def test_notices(connect: Connect, data: bytes, notice: Notice) -> None:
    with (
        MisbehavingServer([Peer.login, tell(b"*server* " + data), Peer.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        found = chat.receive_notice()
        assert found == notice
        assert isinstance(found.code, ErrorCode) is (notice.code in ErrorCode.__members__)
        chat.flush()
        assert chat.take_notices() == []


def test_of_many_notices_the_last_are_kept(connect: Connect) -> None:
    words = tell(*(b"*server* %d" % number for number in range(1000)))
    with (
        MisbehavingServer([Peer.login, words, Peer.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        assert [int(notice.text) for notice in chat.take_notices()] == [*range(900, 1000)]


REFUSALS = ["BAD_NAME", "NAME_IN_USE", "AUTH_FAILED", "TOO_MANY", "BRAND_NEW"]


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("end", [[Peer.drain], []], ids=["waits", "closes"])
def test_refused_login(connect: Connect, code: str, end: Script) -> None:
    with (
        MisbehavingServer([refuse(code), *end]) as server,
        pytest.raises(LoginRefusedError, match=f"^{code}: no$") as caught,
        connect(name="alice", **where(server)),
    ):
        pass
    assert caught.value.code == code
    assert isinstance(caught.value.code, ErrorCode) is (code != "BRAND_NEW")


def refuse_rename(code: str, *, echoing: bool = False) -> Step:
    def step(peer: Peer) -> None:
        name = peer.name
        echo = peer.asked_in()
        tell(f"*server* ERR {code} LOGIN no".encode())(peer)
        if echoing:
            peer.write(echo)
        peer.name = name

    return step


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("echoing", [False, True], ids=["", "and echoes"])
def test_refused_rename(connect: Connect, code: str, echoing: bool) -> None:
    script = [Peer.login, refuse_rename(code, echoing=echoing), tell(b"bob hi"), Peer.serve]
    with (
        MisbehavingServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(LoginRefusedError, match=f"^{code}: no$"):
            chat.login("carol")
        assert chat.name == "alice"
        chat.flush()
        assert chat.receive() == Message("bob", b"hi")
        assert chat.take_notices() == []
        chat.login("alicia")
        assert chat.name == "alicia"


# Echoes


def test_echoes_that_nobody_asked_for_are_shown_to_nobody(connect: Connect) -> None:
    echoes = tell(
        b"alice \0chatproto echo 0123456789abcdef 1",
        b"bob \0chatproto echo ",
        b"bob hi",
        b"*server* \0chatproto echo 1 1",
        b"alice me",
    )
    with (
        MisbehavingServer([Peer.login, echoes, Peer.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        assert [chat.receive(), chat.receive()] == [Message("bob", b"hi"), Message("alice", b"me")]
        with pytest.raises(ChatTimeoutError):
            chat.receive(timeout=0.01)
        assert chat.take_notices() == []
        assert chat.invalid_lines == 0


@pytest.mark.parametrize("wrong", ["sender", "nonce", "number"])
def test_somebody_elses_echo_lets_nobody_in(connect: Connect, wrong: str) -> None:
    def answer(peer: Peer) -> None:
        echo = peer.asked_in()
        match wrong:
            case "sender":
                peer.write(echo.replace(b"alice", b"mallory"))
            case "nonce":
                tell(b"alice \0chatproto echo 0123456789abcdef 1")(peer)
            case _:
                peer.write(echo.replace(b"\n", b"1\n"))

    with (
        MisbehavingServer([answer, Peer.drain]) as server,
        pytest.raises(ChatTimeoutError),
        connect(name="alice", timeout=0.05, **where(server)),
    ):
        pass


def test_doubled_echoes(connect: Connect) -> None:
    def twice(peer: Peer) -> None:
        peer.write(peer.asked() * 2)

    def twice_in(peer: Peer) -> None:
        peer.write(peer.asked_in() * 2)

    with (
        MisbehavingServer([twice_in, twice, twice, twice_in, tell(b"bob hi"), twice]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        chat.flush()
        chat.login("alicia")
        chat.flush()
        assert chat.receive() == Message("bob", b"hi")
        chat.close()


@pytest.mark.parametrize("order", [(1, 0), (1,)], ids=["swapped", "one is left out"])
def test_later_echoes_speak_for_earlier_ones(connect: Connect, order: tuple[int, ...]) -> None:
    def answer(peer: Peer) -> None:
        echoes = peer.asked(), peer.asked()
        for number in order:
            peer.write(echoes[number])

    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer([Peer.login, answer, Peer.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        for flush in [pool.submit(chat.flush), pool.submit(chat.flush)]:
            flush.result(LIMIT)
        chat.flush()
