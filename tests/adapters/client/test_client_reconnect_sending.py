"""What clients that reconnect say while the connection is down, or goes down."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chatproto import ConnectionLostError, Message, Notice, Reconnected

from ..clients import Connect, each_client, where
from .misbehaving import LIMIT, MisbehavingServer, Peer, Script, tell
from .test_client_reconnect import QUICK, each_loss, is_back

pytestmark = each_client


def wait_in(peer: Peer) -> None:
    """Let the client in when the test says so; till then it is down."""
    echo = peer.asked_in()
    peer.wait()
    peer.write(echo)


def test_what_is_said_while_down_arrives_once(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer([Peer.login], [wait_in, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        back = pool.submit(is_back, chat)
        server.peer(1)
        sending = [
            pool.submit(chat.send, "bob", b"hi"),
            pool.submit(chat.broadcast, "g", b"hi"),
            pool.submit(chat.group, "g", ["bob"]),
            pool.submit(chat.leave, "g"),
            pool.submit(chat.login, "alicia"),
            pool.submit(chat.flush),
        ]
        server.go.set()
        back.result(LIMIT)
        for future in sending:
            future.result(LIMIT)
        # The other flush may have been before what has been sent last.
        chat.flush()
        first, second, *lines = server.peers[1].lines
        assert first == b"LOGIN alice"
        assert second.startswith(b"SEND alice ")
        said = sorted(line for line in lines if not line.startswith(b"SEND ali"))
        assert said == [
            b"BROADCAST g hi",
            b"GROUP g bob",
            b"LEAVE g",
            b"LOGIN alicia",
            b"SEND bob hi",
        ]
        assert server.peers[0].lines == server.peers[0].lines[:2]


def test_what_is_said_on_a_connection_that_was_reset_arrives_once_or_is_known_to_be_lost(
    connect: Connect,
) -> None:
    with (
        MisbehavingServer([Peer.login, Peer.reset], [Peer.login, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        server.over(0)
        chat.send("bob", b"hi")
        try:
            chat.flush()
        except ConnectionLostError:
            # The system has taken it, and found nobody to give it to.
            chat.flush()
            assert b"SEND bob hi" not in server.peers[1].lines
        else:
            assert server.peers[1].lines.count(b"SEND bob hi") == 1
        is_back(chat)


@each_loss
def test_a_line_that_was_cut_is_said_again_as_a_whole(connect: Connect, loss: Script) -> None:
    """Into full buffers: what arrives on the new connection has no hole, and all of the end."""
    count = 3000
    with (
        MisbehavingServer(
            [Peer.login, *[Peer.read_line] * 20, *loss], [Peer.login, Peer.serve]
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        for number in range(count):
            chat.send("bob", b"%d " % number + b"x" * 4000)
        with pytest.raises(ConnectionLostError):
            # What was said on the first connection may be lost.
            chat.flush()
        chat.flush()
        lines = [line for line in server.peers[1].lines if line.startswith(b"SEND bob")]
        numbers = [int(line.split(b" ")[2]) for line in lines]
        assert numbers == [*range(numbers[0], count)]
        assert numbers[0] >= 20


@each_loss
@pytest.mark.parametrize("method", ["flush", "ping"])
def test_a_flush_that_was_under_way_fails_alone(
    connect: Connect, method: str, loss: Script
) -> None:
    with (
        MisbehavingServer([Peer.login, Peer.asked, *loss], [Peer.login, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError):
            getattr(chat, method)()
        getattr(chat, method)()
        is_back(chat)


@each_loss
def test_a_flush_does_not_vouch_for_what_went_down_with_a_connection(
    connect: Connect, loss: Script
) -> None:
    """Nobody knows whether the server has handled it."""
    with (
        MisbehavingServer([Peer.login, Peer.read_line, *loss], [Peer.login, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.send("bob", b"hi")
        server.over(0)
        with pytest.raises(ConnectionLostError):
            chat.flush()
        chat.flush()


def test_several_who_wait_make_one_connection(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer(
            [Peer.login],
            [wait_in, tell(b"bob 1", b"bob 2", b"*server* hi"), Peer.serve],
            [Peer.login, Peer.serve],
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        receiving = [pool.submit(chat.receive, LIMIT) for _ in range(3)]
        notice = pool.submit(chat.receive_notice, LIMIT)
        server.peer(1)
        flushes = [pool.submit(chat.flush), pool.submit(chat.flush)]
        server.go.set()
        items = [future.result(LIMIT) for future in receiving]
        assert sorted(map(type, items), key=str) == [Message, Message, Reconnected]
        assert notice.result(LIMIT) == Notice("", "-", "hi")
        for future in flushes:
            future.result(LIMIT)
        assert len(server.peers) == 2
