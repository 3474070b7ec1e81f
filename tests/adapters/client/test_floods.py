"""Clients whose server always has more for them (`connection` in both packages): timeouts hold."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from chatproto import ChatSession, ChatTimeoutError, Message

from ..clients import SHORT, BlockingClient, Connect, each_client, played, set_timeout, where
from ..servers import TIMEOUT
from .scripted import VERSION, Player, ScriptedServer, contexts, flood, tell

pytestmark = each_client

SIZE = 1 << 26
"""Bytes of a flood. A client takes much longer than `SHORT` for them."""

PING = VERSION + b"RECEIVE alice \0chatproto echo 0123456789abcdef\n"
"""Another client's ping, which any user can send."""

NOTICE = VERSION + b"RECEIVE *server* ERR TOO_MANY SEND slow down\n"

DROPPED = {
    "pings": PING * 1000,
    "notices": NOTICE * 1000,
    # Another user can make a careless server send them.
    "invalid lines": (b"bad\n" * 90 + PING) * 100,
}
"""What a client drops, or keeps a bounded number of."""

each_flood = pytest.mark.parametrize("piece", DROPPED.values(), ids=DROPPED)


@pytest.mark.parametrize("kind", ["pings", "notices"])
def test_connect(connect: Connect, kind: str) -> None:
    with ScriptedServer([flood(DROPPED[kind], SIZE), Player.drain]) as server:
        with (
            pytest.raises(ChatTimeoutError),
            connect(name="alice", timeout=SHORT, **where(server)),
        ):
            pass
        assert server.player(0).written < SIZE


CALLS: dict[str, Callable[[BlockingClient], object]] = {
    "receive": lambda chat: chat.receive(SHORT),
    "flush": lambda chat: chat.flush(),
    "ping": lambda chat: chat.ping(),
    "login": lambda chat: chat.login("alicia"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@each_flood
def test_each_call_that_waits(
    connect: Connect, call: Callable[[BlockingClient], object], piece: bytes
) -> None:
    with (
        ScriptedServer([Player.login, flood(piece, SIZE), Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        set_timeout(chat, SHORT)
        with pytest.raises(ChatTimeoutError):
            call(chat)
        assert server.player(0).written < SIZE
        chat.close()


@pytest.mark.parametrize("kind", ["pings", "invalid lines"])
def test_receive_notice(connect: Connect, kind: str) -> None:
    with (
        ScriptedServer([Player.login, flood(DROPPED[kind], SIZE), Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            chat.receive_notice(SHORT)
        assert server.player(0).written < SIZE
        chat.close()


@each_flood
def test_logout(connect: Connect, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChatSession, "LOGOUT_TIMEOUT", SHORT)
    with (
        ScriptedServer([Player.login, flood(piece, SIZE), Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.logout()
        assert server.player(0).written < SIZE


def test_receive_with_tls(connect: Connect) -> None:
    script = [Player.start_tls, Player.login, flood(DROPPED["pings"], SIZE), Player.drain]
    with (
        ScriptedServer(script) as server,
        connect(name="alice", ssl=contexts()[1], **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            chat.receive(SHORT)
        assert server.player(0).written < SIZE
        chat.close()


def test_flush_while_another_receives_messages(connect: Connect) -> None:
    messages = (VERSION + b"RECEIVE bob hi\n") * 1000

    def receive_all(chat: BlockingClient) -> None:
        for message in chat:
            assert message == Message("bob", b"hi")

    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.login, flood(messages, SIZE), Player.drain]) as server,
        connect(name="alice", max_queue=100, **where(server)) as chat,
    ):
        set_timeout(chat, SHORT)
        receiving = pool.submit(receive_all, chat)
        with pytest.raises(ChatTimeoutError):
            chat.flush()
        assert server.player(0).written < SIZE
        chat.close()
        receiving.result(TIMEOUT)


def test_another_reads_on_when_the_time_of_the_reader_is_over(connect: Connect) -> None:
    stop = threading.Event()

    def flood_until_then(player: Player) -> None:
        while not stop.is_set():
            player.write(PING * 1000)

    script = [Player.login, flood_until_then, tell(b"bob hi"), Player.serve]
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        first = pool.submit(chat.receive, SHORT)
        others: list[Future[Any]] = [
            pool.submit(chat.receive, TIMEOUT),
            pool.submit(chat.flush),
        ]
        with pytest.raises(ChatTimeoutError):
            first.result(TIMEOUT)
        stop.set()
        assert [other.result(TIMEOUT) for other in others] == [Message("bob", b"hi"), None]


def test_calls_that_wait_for_room_do_not_wake_each_other(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = 0
    take_notice = ChatSession.take_notice

    def count(session: ChatSession) -> object:
        nonlocal takes
        takes += 1
        return take_notice(session)

    monkeypatch.setattr(ChatSession, "take_notice", count)
    with ThreadPoolExecutor() as pool, played(connect, max_queue=1) as (alice, peer):
        peer.write((VERSION + b"RECEIVE bob hi\n") * 3)
        alice.receive(TIMEOUT)
        for waiting in [pool.submit(alice.receive_notice, SHORT) for _ in range(3)]:
            with pytest.raises(ChatTimeoutError):
                waiting.result(TIMEOUT)
    assert takes < 50
