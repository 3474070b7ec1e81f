"""Clients read while the server does not (`connection` in both packages).

A server reads nothing more from a client while it waits for a slow recipient of that client's
messages. In the meantime the client has to take its own messages, or it is slow itself.
"""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from chatproto import (
    Backoff,
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    Disconnected,
    LineLimits,
    Message,
    Reconnected,
    RemoteProtocolError,
)

from ..clients import (
    SHORT,
    BlockingClient,
    Connect,
    Peer,
    cancel,
    each_backend,
    each_client,
    played,
    playing,
    send_until_a_line_is_unfinished,
    where,
)
from ..servers import TIMEOUT
from .scripted import VERSION, Player, ScriptedServer, contexts

SIZE = 1 << 24
"""Bytes: more than all buffers hold between two sockets."""

DATA = b"x" * SIZE
"""The data of a line that no buffer holds, so who sends it waits."""

LONG = LineLimits(max_line=2 * SIZE)
"""Allows that line."""

COUNT = 256
"""How many messages fill all buffers."""

MESSAGES = b"".join(
    (VERSION + b"RECEIVE bob %d " % number).ljust(SIZE // COUNT - 1, b"x") + b"\n"
    for number in range(COUNT)
)


def receive_them(client: BlockingClient) -> None:
    numbers = [int(client.receive(TIMEOUT).text.split()[0]) for _ in range(COUNT)]
    assert numbers == list(range(COUNT))


def begin_to_send(pool: ThreadPoolExecutor, alice: BlockingClient, peer: Peer) -> Future[None]:
    """Have alice send `DATA`. She is in the middle of the line, and waits."""
    sending = pool.submit(alice.send, "bob", DATA)
    assert peer.socket.recv(1) == VERSION[:1]
    return sending


def finish(sending: Future[None], peer: Peer) -> None:
    """Read the rest of the line."""
    assert peer.read_line() == VERSION[1:] + b"SEND bob %b\n" % DATA
    sending.result(TIMEOUT)


@each_client
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_client_that_only_sends_takes_what_is_sent_to_it(connect: Connect, tls: bool) -> None:
    written = threading.Event()

    def write(player: Player) -> None:
        assert player.read()
        player.write(MESSAGES)
        written.set()

    script = [Player.login, write, Player.wait, Player.drain]
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.start_tls, *script] if tls else script) as server,
        connect(
            name="alice",
            limits=LONG,
            max_queue=2 * COUNT,
            ssl=contexts()[1] if tls else False,
            **where(server),
        ) as chat,
    ):
        sending = pool.submit(chat.send, "bob", DATA)
        assert written.wait(TIMEOUT)
        assert not sending.done()
        server.go.set()
        sending.result(TIMEOUT)
        receive_them(chat)
        chat.close()
        assert server.over(0).lines[2:] == [b"SEND bob " + DATA]


@each_client
def test_others_receive_what_the_sender_reads(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect, limits=LONG) as (alice, peer):
        sending = begin_to_send(pool, alice, peer)
        receiving = [pool.submit(alice.receive, TIMEOUT) for _ in range(2)]
        with pytest.raises(ChatTimeoutError):
            alice.receive(0.01)
        for _ in receiving:
            peer.say("bob", b"hi")
        assert [each.result(TIMEOUT) for each in receiving] == [Message("bob", b"hi")] * 2
        finish(sending, peer)
        flushing = pool.submit(alice.flush)
        peer.echo()
        flushing.result(TIMEOUT)


@each_client
def test_the_sender_goes_on_while_another_reads(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect, limits=LONG) as (alice, peer):
        receiving = pool.submit(alice.receive, TIMEOUT)
        finish(begin_to_send(pool, alice, peer), peer)
        assert not receiving.done()
        peer.say("bob", b"hi")
        assert receiving.result(TIMEOUT) == Message("bob", b"hi")


@each_client
@pytest.mark.parametrize("timeout", [TIMEOUT, SHORT], ids=["it gets a message", "it times out"])
def test_the_sender_reads_when_another_stops(connect: Connect, timeout: float) -> None:
    with (
        ThreadPoolExecutor() as pool,
        played(connect, limits=LONG, max_queue=2 * COUNT) as (alice, peer),
    ):
        receiving = pool.submit(alice.receive, timeout)
        sending = begin_to_send(pool, alice, peer)
        if timeout is TIMEOUT:
            peer.say("bob", b"hi")
            assert receiving.result(TIMEOUT) == Message("bob", b"hi")
        else:
            with pytest.raises(ChatTimeoutError):
                receiving.result(TIMEOUT)
        peer.write(MESSAGES)
        finish(sending, peer)
        receive_them(alice)


@each_client
def test_the_sender_does_not_read_while_the_queue_is_full(connect: Connect) -> None:
    with played(connect, max_queue=5) as (alice, peer):
        lines = b"".join(VERSION + b"RECEIVE bob %d\n" % number for number in range(10))
        peer.write(lines)
        assert alice.receive(TIMEOUT).text == "0"
        peer.write(lines)
        send_until_a_line_is_unfinished(alice)
        # They came with one read.
        assert [alice.receive(TIMEOUT).text for _ in range(9)] == list("123456789")
        with pytest.raises(ConnectionLostError, match="could not be finished"):
            alice.receive(TIMEOUT)


@each_client
def test_the_sender_reads_on_when_there_is_room(connect: Connect) -> None:
    """The others may do something else than to receive."""
    with (
        ThreadPoolExecutor() as pool,
        played(connect, limits=LONG, max_queue=1) as (alice, peer),
    ):
        sending = begin_to_send(pool, alice, peer)
        peer.write((VERSION + b"RECEIVE bob hi\n") * 2)
        assert alice.receive(TIMEOUT) == Message("bob", b"hi")
        # One is left, so the queue is full.
        writing = pool.submit(peer.say, "bob", DATA)
        assert alice.receive(TIMEOUT) == Message("bob", b"hi")
        writing.result(TIMEOUT)
        finish(sending, peer)
        assert alice.receive(TIMEOUT) == Message("bob", DATA)


def end(peer: Peer) -> None:
    """Say why, and end the server's stream."""
    peer.say("*server*", b"ERR SHUTTING_DOWN - bye")
    peer.socket.shutdown(socket.SHUT_WR)


def send_garbage(peer: Peer) -> None:
    peer.write(b"bad\n" * 100)


@each_client
@pytest.mark.parametrize(
    ("happen", "error", "match"),
    [
        pytest.param(end, ConnectionLostError, "bye", id="end"),
        pytest.param(send_garbage, RemoteProtocolError, "TOO_MANY", id="garbage"),
    ],
)
def test_the_sender_learns_that_and_why_the_connection_is_over(
    connect: Connect, happen: Callable[[Peer], None], error: type[ChatProtocolError], match: str
) -> None:
    with ThreadPoolExecutor() as pool, played(connect, limits=LONG) as (alice, peer):
        sending = begin_to_send(pool, alice, peer)
        peer.say("bob", b"hi")
        happen(peer)
        with pytest.raises(error, match=match):
            sending.result(TIMEOUT)
        assert alice.receive(TIMEOUT) == Message("bob", b"hi")
        with pytest.raises(error):
            alice.receive(TIMEOUT)


@each_client
def test_the_sender_sends_the_line_again_on_the_next_connection(connect: Connect) -> None:
    first = [Player.login, Player.read, Player.end, Player.drain]
    with (
        ScriptedServer(first, [Player.login, Player.serve]) as server,
        connect(name="alice", limits=LONG, reconnect=Backoff(first=0.001), **where(server)) as chat,
    ):
        chat.send("bob", DATA)
        assert isinstance(chat.receive_item(TIMEOUT), Disconnected)
        assert isinstance(chat.receive_item(TIMEOUT), Reconnected)
        chat.logout()
        assert server.over(1).lines[2:] == [b"SEND bob " + DATA, b"LOGOUT"]


@each_backend
async def test_cancelled_it_keeps_what_it_has_read() -> None:
    async with playing(limits=LONG) as (alice, peer):
        for _ in range(3):
            peer.say("bob", b"hi")
        await cancel(alice.send, "bob", DATA)
        assert [await alice.receive() for _ in range(3)] == [Message("bob", b"hi")] * 3
        with pytest.raises(ConnectionLostError, match="could not be finished"):
            await alice.receive()
        *_, last = iter(peer.read_line, b"")
        assert not last.endswith(b"\n")
