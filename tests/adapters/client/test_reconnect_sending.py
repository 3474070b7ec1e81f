"""Clients that connect again (`connection` in both packages): what they send at that time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chatproto import (
    ConnectionLostError,
    Disconnected,
    LineLimits,
    Message,
    Notice,
    Reconnected,
)

from ..clients import Connect, each_client, where
from ..servers import TIMEOUT
from .scripted import Player, Script, ScriptedServer, tell
from .test_losses import each_loss
from .test_reconnect import QUICK, is_back

pytestmark = each_client


def wait_in(player: Player) -> None:
    """Accept the login when the test says so. Until then the client has no connection."""
    echo = player.asked_in()
    player.wait()
    player.write(echo)


def test_what_is_sent_without_a_connection_arrives_once(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.login], [wait_in, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        back = pool.submit(is_back, chat)
        server.player(1)
        sending = [
            pool.submit(chat.send, "bob", b"hi"),
            pool.submit(chat.broadcast, "g", b"hi"),
            pool.submit(chat.group, "g", ["bob"]),
            pool.submit(chat.leave, "g"),
            pool.submit(chat.login, "alicia"),
            pool.submit(chat.flush),
        ]
        server.go.set()
        back.result(TIMEOUT)
        for future in sending:
            future.result(TIMEOUT)
        # The flush above may have been sent before the others.
        chat.flush()
        first, second, *lines = server.players[1].lines
        assert first == b"LOGIN alice"
        assert second.startswith(b"SEND alice ")
        assert sorted(line for line in lines if not line.startswith(b"SEND ali")) == [
            b"BROADCAST g hi",
            b"GROUP g bob",
            b"LEAVE g",
            b"LOGIN alicia",
            b"SEND bob hi",
        ]
        assert server.players[0].lines == server.players[0].lines[:2]


def test_what_is_sent_on_a_reset_connection_arrives_once_or_is_reported_as_lost(
    connect: Connect,
) -> None:
    with (
        ScriptedServer([Player.login, Player.reset], [Player.login, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        server.over(0)
        chat.send("bob", b"hi")
        try:
            chat.flush()
        except ConnectionLostError:
            # The system has taken the line before the client could know of the loss.
            chat.flush()
            assert b"SEND bob hi" not in server.players[1].lines
        else:
            assert server.players[1].lines.count(b"SEND bob hi") == 1
        is_back(chat)


@each_loss
def test_a_line_that_was_cut_is_sent_again(connect: Connect, loss: Script) -> None:
    """Into full buffers: what the next connection brings has no gap, up to the last line."""
    count = 300
    with (
        ScriptedServer(
            [Player.login, *[Player.read_line] * 20, *loss], [Player.login, Player.serve]
        ) as server,
        connect(
            name="alice", reconnect=QUICK, limits=LineLimits(max_line=65536), **where(server)
        ) as chat,
    ):
        for number in range(count):
            chat.send("bob", b"%d " % number + b"x" * 60_000)
        with pytest.raises(ConnectionLostError):
            # Lines that were sent on the first connection may be lost.
            chat.flush()
        chat.flush()
        lines = [line for line in server.players[1].lines if line.startswith(b"SEND bob")]
        numbers = [int(line.split(b" ")[2]) for line in lines]
        assert numbers == [*range(numbers[0], count)]
        assert numbers[0] >= 20


@each_loss
def test_only_the_pending_flush_raises(connect: Connect, loss: Script) -> None:
    with (
        ScriptedServer([Player.login, Player.asked, *loss], [Player.login, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError):
            chat.flush()
        chat.flush()
        is_back(chat)


@each_loss
def test_the_next_flush_reports_a_line_that_may_be_lost(connect: Connect, loss: Script) -> None:
    with (
        ScriptedServer(
            [Player.login, Player.read_line, *loss], [Player.login, Player.serve]
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.send("bob", b"hi")
        server.over(0)
        with pytest.raises(ConnectionLostError):
            chat.flush()
        chat.flush()


def test_several_waiting_calls_make_one_connection(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer(
            [Player.login],
            [wait_in, tell(b"bob 1", b"bob 2", b"*server* hi"), Player.serve],
            [Player.login, Player.serve],
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        assert isinstance(chat.receive_item(TIMEOUT), Disconnected)
        receiving = [pool.submit(chat.receive_item, TIMEOUT) for _ in range(3)]
        notice = pool.submit(chat.receive_notice, TIMEOUT)
        server.player(1)
        flushes = [pool.submit(chat.flush), pool.submit(chat.flush)]
        server.go.set()
        items = [future.result(TIMEOUT) for future in receiving]
        assert sorted(map(type, items), key=str) == [Message, Message, Reconnected]
        assert notice.result(TIMEOUT) == Notice("", "-", "hi")
        for future in flushes:
            future.result(TIMEOUT)
        assert len(server.players) == 2
