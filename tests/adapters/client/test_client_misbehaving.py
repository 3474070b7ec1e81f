"""Clients and a server that stalls, or goes away, at every point where it can."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatproto import (
    ChatSession,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LocalProtocolError,
    Message,
    Notice,
)

from ..clients import BlockingClient, Connect, each_client, where
from .misbehaving import LIMIT, VERSION, MisbehavingServer, Peer, Script, say, tell

pytestmark = each_client

SOON = 0.5
"""The timeout of those who are to give up. What they are not to give up on takes far less."""

Use = Callable[[BlockingClient], object]

USES: dict[str, Use] = {
    "send": lambda chat: chat.send("bob", b"hi"),
    "broadcast": lambda chat: chat.broadcast("g", b"hi"),
    "group": lambda chat: chat.group("g", ["bob"]),
    "leave": lambda chat: chat.leave("g"),
    "login": lambda chat: chat.login("alicia"),
    "flush": lambda chat: chat.flush(),
    "ping": lambda chat: chat.ping(),
    "receive": lambda chat: chat.receive(),
    "notice": lambda chat: chat.receive_notice(),
    "iterate": next,
}
"""All that needs a connection."""


def send_for_ever(chat: BlockingClient) -> None:
    for _ in range(100_000):
        chat.send("bob", b"x" * 4000)


def is_lost(chat: BlockingClient) -> None:
    """Every use says so, every time."""
    for use in USES.values():
        with pytest.raises(ConnectionLostError):
            use(chat)


def half_an_echo(peer: Peer) -> None:
    peer.write(peer.asked_in()[:-3])


# Stalls


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([Peer.wait], id="reads nothing"),
        pytest.param([Peer.drain], id="says nothing"),
        pytest.param([tell(b"bob hi", b"*server* welcome"), Peer.drain], id="says other things"),
        pytest.param([half_an_echo, Peer.drain], id="stops in the echo"),
    ],
)
def test_no_answer_to_the_login(connect: Connect, script: Script) -> None:
    with (
        MisbehavingServer(script) as server,
        pytest.raises(ChatTimeoutError, match=r"0\.05 s"),
        connect(name="alice", timeout=0.05, **where(server)),
    ):
        pass


@pytest.mark.parametrize("use", [USES["flush"], USES["ping"]], ids=["flush", "ping"])
def test_a_late_echo_confuses_nobody(connect: Connect, use: Use) -> None:
    def late(peer: Peer) -> None:
        first, second = peer.asked(), peer.asked()
        peer.write(first)
        tell(b"bob hi")(peer)
        peer.write(second)

    with (
        MisbehavingServer([Peer.login, late, Peer.serve]) as server,
        connect(name="alice", timeout=SOON, **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            use(chat)
        chat.flush()
        assert chat.receive() == Message("bob", b"hi")
        assert chat.ping() >= 0
        with pytest.raises(ChatTimeoutError):
            chat.receive(timeout=0.01)


def test_no_answer_to_a_rename(connect: Connect) -> None:
    """Nobody could say any more who speaks."""
    with (
        MisbehavingServer([Peer.login, Peer.asked_in, tell(b"bob hi"), Peer.drain]) as server,
        connect(name="alice", timeout=SOON, **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            chat.login("alicia")
        assert chat.name == "alice"
        assert chat.receive() == Message("bob", b"hi")
        is_lost(chat)
        assert len(server.over(0).lines) == 4


def test_server_that_stops_reading(connect: Connect) -> None:
    with (
        MisbehavingServer([Peer.login, Peer.wait, Peer.drain]) as server,
        connect(name="alice", timeout=SOON, **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            send_for_ever(chat)
        is_lost(chat)
        server.go.set()
        # Half a line may be there. That nothing follows it is checked for every peer.
        assert server.over(0).lines[3] == b"SEND bob " + b"x" * 4000


# Losses


@pytest.mark.parametrize(
    ("script", "caused"),
    [
        pytest.param([Peer.reset], True, id="reset at once"),
        pytest.param([Peer.read_line, Peer.reset], True, id="reset after a line"),
        pytest.param([Peer.asked_in, Peer.reset], True, id="reset before the echo"),
        pytest.param([half_an_echo, Peer.reset], True, id="reset in the echo"),
        pytest.param([], None, id="close at once"),
        pytest.param([Peer.read_line], None, id="close after a line"),
        pytest.param([Peer.asked_in], False, id="close before the echo"),
        pytest.param([half_an_echo], False, id="close in the echo"),
        pytest.param([Peer.asked_in, Peer.end, Peer.drain], False, id="half close"),
    ],
)
def test_loss_during_the_login(connect: Connect, script: Script, caused: bool | None) -> None:
    with (
        MisbehavingServer(script) as server,
        pytest.raises(ConnectionLostError) as caught,
        connect(name="alice", **where(server)),
    ):
        pass
    # Closing with something left unread is a reset too, or none, as it happens.
    if caused is not None:
        assert isinstance(caught.value.__cause__, OSError) is caused


def test_refused(connect: Connect) -> None:
    with MisbehavingServer() as server:
        pass
    with (
        pytest.raises(ConnectionLostError, match=r"can't connect to 127\.0\.0\.1:") as caught,
        connect(name="alice", **where(server)),
    ):
        pass
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("unfinished", [b"", VERSION[:5], VERSION + b"RECEIVE bob unfin"])
@pytest.mark.parametrize(
    ("end", "caused"),
    [
        pytest.param([Peer.reset], True, id="reset"),
        pytest.param([], False, id="close"),
        pytest.param([Peer.end, Peer.drain], False, id="half close"),
    ],
)
def test_loss_between_and_in_messages(
    connect: Connect, end: Script, caused: bool, unfinished: bytes
) -> None:
    """What was whole is delivered, half a line is not."""
    script = [Peer.login, tell(b"bob 1", b"bob 2"), Peer.echo, say(unfinished), *end]
    with (
        MisbehavingServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        assert chat.receive() == Message("bob", b"1")
        assert chat.receive() == Message("bob", b"2")
        with pytest.raises(ConnectionLostError) as caught:
            chat.receive()
        assert isinstance(caught.value.__cause__, OSError) is caused
        is_lost(chat)
        assert chat.invalid_lines == 0


@pytest.mark.parametrize("name", ["flush", "ping", "login"])
@pytest.mark.parametrize("end", [[Peer.reset], []], ids=["reset", "close"])
def test_loss_while_an_answer_is_waited_for(connect: Connect, name: str, end: Script) -> None:
    asked = Peer.asked_in if name == "login" else Peer.asked
    with (
        MisbehavingServer([Peer.login, tell(b"bob hi"), asked, *end]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError) as caught:
            USES[name](chat)
        assert isinstance(caught.value.__cause__, OSError) is bool(end)
        assert chat.name == "alice"
        assert chat.receive() == Message("bob", b"hi")
        is_lost(chat)


@pytest.mark.parametrize("end", [[Peer.reset], []], ids=["reset", "close"])
def test_loss_while_sending(connect: Connect, end: Script) -> None:
    with (
        MisbehavingServer([Peer.login, *[Peer.read_line] * 20, *end]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError) as caught:
            send_for_ever(chat)
        assert isinstance(caught.value.__cause__, OSError)
        is_lost(chat)


def test_last_words(connect: Connect) -> None:
    words = tell(b"bob hi", b"*server* ERR SHUTTING_DOWN - the server is about to end")
    with (
        MisbehavingServer([Peer.login, words]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert chat.receive() == Message("bob", b"hi")
        with pytest.raises(ConnectionLostError, match="about to end") as caught:
            chat.receive()
        assert caught.value.code is ErrorCode.SHUTTING_DOWN
        notice = Notice(ErrorCode.SHUTTING_DOWN, "-", "the server is about to end")
        assert chat.receive_notice() == notice
        is_lost(chat)


def test_words_that_were_not_the_last_are_no_reason(connect: Connect) -> None:
    words = tell(b"*server* ERR SHUTTING_DOWN - maybe", b"bob hi")
    with (
        MisbehavingServer([Peer.login, words]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert chat.receive() == Message("bob", b"hi")
        with pytest.raises(ConnectionLostError) as caught:
            chat.receive()
        assert caught.value.code == ""


@pytest.mark.parametrize("method", ["close", "logout"])
def test_end_under_those_who_wait(
    connect: Connect, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not read: one sends, one flushes, some receive, and all are woken."""
    monkeypatch.setattr(ChatSession, "LOGOUT_TIMEOUT", 0.1)
    uses = [send_for_ever, USES["flush"], USES["receive"], USES["receive"], USES["notice"]]
    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer([Peer.login, *[Peer.read_line] * 20, Peer.wait]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        waiting = [pool.submit(use, chat) for use in uses]
        getattr(chat, method)()
        for future in waiting:
            with pytest.raises(LocalProtocolError, match="logged out"):
                future.result(LIMIT)
