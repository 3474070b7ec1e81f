"""Clients and a server that stalls or goes away (`connection` in both packages)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import chatproto_anyio.client.connection
import chatproto_sync.client.connection
from chatproto import (
    ChatSession,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LocalProtocolError,
    Message,
    Notice,
)

from ..clients import (
    LINE,
    SHORT,
    BlockingClient,
    Connect,
    each_client,
    send_for_ever,
    send_until_a_line_is_unfinished,
    times_out,
    where,
)
from ..servers import TIMEOUT
from .scripted import VERSION, Player, Script, ScriptedServer, tell, write

pytestmark = each_client

USES: dict[str, Callable[[BlockingClient], object]] = {
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

each_loss = pytest.mark.parametrize("loss", [[Player.reset], []], ids=["reset", "close"])


def is_lost(chat: BlockingClient) -> None:
    """Every use raises, every time."""
    for use in USES.values():
        with pytest.raises(ConnectionLostError):
            use(chat)


def half_an_echo(player: Player) -> None:
    player.write(player.asked_in()[:-3])


# Stalls


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([Player.wait], id="reads nothing"),
        pytest.param([tell(b"bob hi"), half_an_echo, Player.drain], id="half an echo"),
    ],
)
def test_no_answer_to_the_first_login(connect: Connect, script: Script) -> None:
    with (
        ScriptedServer(script) as server,
        pytest.raises(ChatTimeoutError, match=r"0\.1 s"),
        connect(name="alice", timeout=SHORT, **where(server)),
    ):
        pass


def test_no_answer_to_a_second_login(connect: Connect) -> None:
    """It would not be known which name the client has."""
    messages = tell(b"bob hi", b"bob bye")
    with (
        ScriptedServer([Player.login, Player.asked_in, messages, Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        times_out(chat, lambda: chat.login("alicia"), lambda: next(chat))
        assert chat.name == "alice"
        # It came together with the other one.
        assert chat.receive() == Message("bob", b"bye")
        is_lost(chat)
        assert len(server.over(0).lines) == 4


def test_a_late_echo_is_no_answer_to_the_next_ping(connect: Connect) -> None:
    asked = threading.Event()

    def late(player: Player) -> None:
        first = player.asked()
        asked.set()
        second = player.asked()
        player.write(first)
        tell(b"bob hi")(player)
        player.write(second)

    with (
        ScriptedServer([Player.login, late, Player.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        times_out(chat, chat.flush, lambda: asked.wait(TIMEOUT))
        chat.flush()
        assert chat.receive(0) == Message("bob", b"hi")
        assert chat.ping() >= 0
        with pytest.raises(ChatTimeoutError):
            chat.receive(0)


def test_a_server_that_stops_reading(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login, Player.wait, Player.drain]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        send_until_a_line_is_unfinished(chat)
        is_lost(chat)
        server.go.set()
        # Half a line may be the last. The player checks that nothing follows it.
        assert server.over(0).lines[3] + b"\n" == LINE


# Losses


@pytest.mark.parametrize(
    ("script", "caused"),
    [
        pytest.param([Player.reset], True, id="reset at once"),
        pytest.param([half_an_echo, Player.reset], True, id="reset in the echo"),
        pytest.param([], None, id="close at once"),
        pytest.param([half_an_echo], False, id="close in the echo"),
        pytest.param([Player.asked_in, Player.end, Player.drain], False, id="half close"),
    ],
)
def test_a_loss_during_the_first_login(
    connect: Connect, script: Script, caused: bool | None
) -> None:
    with (
        ScriptedServer(script) as server,
        pytest.raises(ConnectionLostError) as caught,
        connect(name="alice", **where(server)),
    ):
        pass
    # If the server has left something unread, the system may turn a close into a reset.
    if caused is not None:
        assert isinstance(caught.value.__cause__, OSError) is caused


@pytest.mark.parametrize("unfinished", [b"", VERSION + b"RECEIVE bob unfin"], ids=["", "half"])
@each_loss
def test_a_loss_after_complete_messages(connect: Connect, loss: Script, unfinished: bytes) -> None:
    """Complete lines are delivered, half a line is not."""
    script = [Player.login, tell(b"bob 1", b"bob 2"), Player.echo, write(unfinished), *loss]
    with (
        ScriptedServer(script) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        chat.flush()
        assert chat.receive() == Message("bob", b"1")
        assert chat.receive() == Message("bob", b"2")
        with pytest.raises(ConnectionLostError) as caught:
            chat.receive()
        assert isinstance(caught.value.__cause__, OSError) is bool(loss)
        is_lost(chat)
        assert chat.invalid_lines == 0


@pytest.mark.parametrize("name", ["flush", "login"])
@each_loss
def test_a_loss_instead_of_an_answer(connect: Connect, name: str, loss: Script) -> None:
    asked = Player.asked_in if name == "login" else Player.asked
    with (
        ScriptedServer([Player.login, tell(b"bob hi"), asked, *loss]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError) as caught:
            USES[name](chat)
        assert isinstance(caught.value.__cause__, OSError) is bool(loss)
        assert chat.name == "alice"
        assert chat.receive() == Message("bob", b"hi")
        is_lost(chat)


@each_loss
def test_a_loss_while_sending(connect: Connect, loss: Script) -> None:
    with (
        ScriptedServer([Player.login, *[Player.read_line] * 20, *loss]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError) as caught:
            send_for_ever(chat)
        # It may read the end of the stream before the system refuses to write.
        if loss:
            assert isinstance(caught.value.__cause__, OSError)
        is_lost(chat)


@pytest.mark.parametrize("name", ["flush", "ping", "login"])
def test_a_loss_while_a_ping_is_written(
    connect: Connect, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not repeated on another connection, where it would prove nothing."""
    lost = ConnectionLostError("cable cut")

    def fail(*_: object) -> None:
        raise lost

    async def fail_async(*_: object) -> None:
        raise lost

    with (
        ScriptedServer([Player.login, Player.wait]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        monkeypatch.setattr(chatproto_sync.client.connection.ClientConnection, "_send", fail)
        monkeypatch.setattr(chatproto_anyio.client.connection.ClientConnection, "_send", fail_async)
        for use in (USES[name], USES["receive"]):
            with pytest.raises(ConnectionLostError, match="cable cut"):
                use(chat)


def test_the_last_notice_is_the_reason(connect: Connect) -> None:
    words = tell(b"bob hi", b"*server* ERR SHUTTING_DOWN - the server is about to end")
    with (
        ScriptedServer([Player.login, words]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert chat.receive() == Message("bob", b"hi")
        with pytest.raises(ConnectionLostError, match="about to end") as caught:
            chat.receive()
        assert caught.value.code is ErrorCode.SHUTTING_DOWN
        notice = Notice(ErrorCode.SHUTTING_DOWN, "-", "the server is about to end")
        assert chat.receive_notice() == notice
        is_lost(chat)


@pytest.mark.parametrize("method", ["close", "logout"])
def test_all_waiting_calls_raise_at_the_end(
    connect: Connect, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not read: one call sends, one flushes, others receive."""
    monkeypatch.setattr(ChatSession, "LOGOUT_TIMEOUT", SHORT)
    uses = [send_for_ever, *(USES[name] for name in ("flush", "receive", "receive", "notice"))]
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.login, *[Player.read_line] * 20, Player.wait]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        waiting = [pool.submit(use, chat) for use in uses]
        getattr(chat, method)()
        for future in waiting:
            with pytest.raises(LocalProtocolError, match="logged out"):
                future.result(TIMEOUT)
