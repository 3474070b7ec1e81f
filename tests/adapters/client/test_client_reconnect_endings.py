"""Clients that reconnect, and when they stop: there is no time, or no point."""

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chatproto import (
    Backoff,
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LoginRefusedError,
    Reconnected,
    RemoteProtocolError,
)

from ..clients import BlockingClient, Connect, each_client, where
from .misbehaving import LIMIT, MisbehavingServer, Peer, Script, refuse, say, tell
from .test_client_misbehaving import USES
from .test_client_reconnect import QUICK, is_back

pytestmark = each_client

GOOD: Script = [Peer.login, Peer.serve]


def ends_with(chat: BlockingClient, error: type[ChatProtocolError], code: str | None) -> None:
    """Every use raises this, and goes on doing so."""
    chat.take_notices()
    for use in (*USES.values(), *USES.values()):
        with pytest.raises(error) as caught:
            use(chat)
        assert getattr(caught.value, "code", None) == code


def receive_all(chat: BlockingClient) -> list[Any]:
    """All there is, until there is no hope."""
    items: list[Any] = []
    try:
        while True:
            items.append(chat.receive(LIMIT))
    except ConnectionLostError:
        return items


@pytest.mark.parametrize("script", [[], [Peer.reset], [Peer.asked_in]], ids=["", "reset", "asked"])
def test_the_first_connection_is_tried_once(connect: Connect, script: Script) -> None:
    with MisbehavingServer(script, GOOD) as server:
        with (
            pytest.raises(ConnectionLostError),
            connect(name="alice", reconnect=QUICK, **where(server)),
        ):
            pass
        assert len(server.peers) == 1


def test_gives_up_with_the_last_error(connect: Connect) -> None:
    backoff = Backoff(first=0.001, cap=0.004, give_up=0.02)
    with (
        MisbehavingServer([Peer.login]) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError, match="can't connect to") as caught:
            chat.receive(LIMIT)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        ends_with(chat, ConnectionLostError, "")


def test_all_who_wait_hear_that_it_gives_up(connect: Connect) -> None:
    backoff = Backoff(first=0.001, cap=0.004, give_up=0.02)
    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer([Peer.login, Peer.wait]) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        names = ["receive", "notice", "receive", "iterate", "flush"]
        waiting = [pool.submit(USES[name], chat) for name in names]
        server.go.set()
        for future in waiting:
            with pytest.raises(ConnectionLostError):
                future.result(LIMIT)


def test_nobody_is_hammered_who_takes_connections_and_drops_them(connect: Connect) -> None:
    # At least 0.5, 1, 2, then 4 ms before an attempt: ten at the most.
    backoff = Backoff(first=0.001, cap=0.008, give_up=0.03)
    with (
        MisbehavingServer([Peer.login], *[[]] * 99) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        assert receive_all(chat) == []
        assert 2 <= len(server.peers) <= 1 + 10
        ends_with(chat, ConnectionLostError, "")


def test_nobody_is_hammered_who_lets_in_and_drops(connect: Connect) -> None:
    """The wait grows from one connection to the next, and at last is too long."""
    # At most 1, 2, 4, … ms before an attempt; the ninth is to wait for 128 at the least.
    backoff = Backoff(first=0.001, cap=1000, give_up=0.1)
    with (
        MisbehavingServer(*[[Peer.login]] * 40) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        items = receive_all(chat)
        assert 1 <= len(items) <= 8
        assert {type(item) for item in items} == {Reconnected}
        assert len(server.peers) == 1 + len(items)


def test_nobody_is_hammered_by_those_who_look_in_now_and_then(connect: Connect) -> None:
    """A server that never answers, and calls that don't wait for as long as an attempt takes."""
    backoff = Backoff(first=0.001, cap=0.008, give_up=0.1)
    with (
        MisbehavingServer([Peer.login], *[[Peer.drain]] * 99) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        for _ in range(80):
            with pytest.raises((ChatTimeoutError, ConnectionLostError)):
                chat.receive(timeout=0.01)
        assert len(server.peers) < 40


# What no attempt makes better


@pytest.mark.parametrize("code", ["AUTH_FAILED", "BAD_NAME", "NAME_RESERVED"])
def test_refused_for_good(connect: Connect, code: str) -> None:
    with (
        MisbehavingServer([Peer.login], [refuse(code), Peer.drain], GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(LoginRefusedError, match=f"^{code}: no$"):
            chat.receive(LIMIT)
        ends_with(chat, LoginRefusedError, code)
        assert len(server.peers) == 2


@pytest.mark.parametrize("code", ["NAME_IN_USE", "AUTH_FAILED"])
def test_sent_away_for_good(connect: Connect, code: str) -> None:
    words = tell(f"*server* ERR {code} - somebody else is here".encode())
    with (
        MisbehavingServer([Peer.login, words], GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError, match="somebody else is here"):
            chat.receive(LIMIT)
        ends_with(chat, ConnectionLostError, code)
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"x" * 5000], ids=repr
)
def test_another_server_has_taken_the_place(connect: Connect, data: bytes) -> None:
    with (
        MisbehavingServer([Peer.login], [say(data), Peer.drain], GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(RemoteProtocolError, match="does not look like a chat server"):
            chat.receive(LIMIT)
        code = ErrorCode.LINE_TOO_LONG if b"\n" not in data else ErrorCode.MALFORMED
        ends_with(chat, RemoteProtocolError, code)
        assert len(server.peers) == 2


def test_a_server_that_talks_nonsense(connect: Connect) -> None:
    with (
        MisbehavingServer([Peer.login, Peer.echo, say(b"bad\n" * 100)], GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.flush()
        with pytest.raises(RemoteProtocolError):
            chat.receive(LIMIT)
        ends_with(chat, RemoteProtocolError, ErrorCode.TOO_MANY)
        assert len(server.peers) == 1


# What may get better


@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param([[refuse("NAME_IN_USE"), Peer.drain]] * 3, id="the name is in use"),
        pytest.param([[Peer.asked_in, Peer.reset]] * 3, id="it is reset"),
        pytest.param(
            [[Peer.login, tell(b"*server* ERR SHUTTING_DOWN - bye")]] * 3, id="it shuts down"
        ),
        pytest.param(
            [[Peer.login, tell(b"*server* ERR SLOW_CONSUMER - bye")]], id="it is too slow"
        ),
        pytest.param([[Peer.drain]], id="there is no answer"),
    ],
)
def test_goes_on_trying(connect: Connect, scripts: list[Script]) -> None:
    with (
        MisbehavingServer([Peer.login], *scripts, [Peer.login, Peer.serve]) as server,
        connect(name="alice", timeout=0.5, reconnect=QUICK, **where(server)) as chat,
    ):
        while len(server.peers) < 2 + len(scripts):
            is_back(chat)
        chat.flush()


# What is out of the question


def test_a_transport_can_not_be_made_again(connect: Connect) -> None:
    here, there = socket.socketpair()
    with (
        here,
        there,
        pytest.raises(ValueError, match="transport"),
        connect(transport=here, name="alice", reconnect=True),
    ):
        pass
