"""Clients that connect again (`connection` in both packages): when they stop trying, or go on."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chatproto import (
    Backoff,
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    Disconnected,
    ErrorCode,
    LoginRefusedError,
    Reconnected,
    RemoteProtocolError,
)

from ..clients import SHORT, BlockingClient, Connect, each_client, set_timeout, where
from ..servers import TIMEOUT
from .scripted import Player, Script, ScriptedServer, refuse, tell, write
from .test_losses import USES
from .test_reconnect import QUICK, is_back

pytestmark = each_client

GOOD: Script = [Player.login, Player.serve]

BRIEF = Backoff(first=0.001, cap=0.004, give_up=0.02)


def ends_with(chat: BlockingClient, error: type[ChatProtocolError], code: str | None) -> None:
    """Every use raises this error, every time."""
    chat.take_notices()
    for use in (*USES.values(), *USES.values()):
        with pytest.raises(error) as caught:
            use(chat)
        assert getattr(caught.value, "code", None) == code


def receive_all(chat: BlockingClient) -> list[Any]:
    """All items until the client gives up."""
    items: list[Any] = []
    try:
        while True:
            items.append(chat.receive_item(TIMEOUT))
    except ConnectionLostError:
        return items


def test_the_first_connection_is_tried_once(connect: Connect) -> None:
    with ScriptedServer([Player.asked_in], GOOD) as server:
        with (
            pytest.raises(ConnectionLostError),
            connect(name="alice", reconnect=QUICK, **where(server)),
        ):
            pass
        assert len(server.players) == 1


def test_it_gives_up_with_the_last_error(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login]) as server,
        connect(name="alice", reconnect=BRIEF, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError, match="can't connect to") as caught:
            chat.receive(TIMEOUT)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        ends_with(chat, ConnectionLostError, "")


def test_a_timeout_of_the_last_attempt_is_no_timeout_of_the_caller(connect: Connect) -> None:
    """Or a loop that ignores timeouts would spin for ever."""
    with (
        ScriptedServer([Player.login, Player.wait], *[[Player.drain]] * 9) as server,
        connect(name="alice", reconnect=BRIEF, **where(server)) as chat,
    ):
        set_timeout(chat, SHORT)
        server.go.set()
        with pytest.raises(ConnectionLostError):
            chat.receive(TIMEOUT)


def test_all_waiting_calls_raise_when_it_gives_up(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.login, Player.wait]) as server,
        connect(name="alice", reconnect=BRIEF, **where(server)) as chat,
    ):
        names = ["receive", "notice", "receive", "iterate", "flush"]
        waiting = [pool.submit(USES[name], chat) for name in names]
        server.go.set()
        for future in waiting:
            with pytest.raises(ConnectionLostError):
                future.result(TIMEOUT)


def test_few_attempts_at_a_server_that_closes_at_once(connect: Connect) -> None:
    # At least 0.5, 1, 2, then 4 ms before an attempt: ten attempts at most.
    backoff = Backoff(first=0.001, cap=0.008, give_up=0.03)
    with (
        ScriptedServer([Player.login], *[[]] * 99) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        assert [type(item) for item in receive_all(chat)] == [Disconnected]
        assert 2 <= len(server.players) <= 1 + 10
        ends_with(chat, ConnectionLostError, "")


def test_few_attempts_at_a_server_that_closes_after_the_login(connect: Connect) -> None:
    """The waits grow from one connection to the next, until one is too long."""
    # At most 1, 2, 4, … ms before an attempt. Before the ninth it is at least 128 ms.
    backoff = Backoff(first=0.001, cap=1000, give_up=0.1)
    with (
        ScriptedServer(*[[Player.login]] * 40) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        items = receive_all(chat)
        # The last wait is too long, so that loss is an error.
        kinds = [type(item) for item in items]
        assert kinds == [Disconnected, Reconnected] * (len(kinds) // 2)
        assert 1 <= len(kinds) // 2 <= 8
        assert len(server.players) == 1 + len(kinds) // 2


def test_few_attempts_by_calls_with_short_timeouts(connect: Connect) -> None:
    """The server never answers, and no call waits for as long as an attempt takes."""
    backoff = Backoff(first=0.001, cap=0.008, give_up=0.1)
    with (
        ScriptedServer([Player.login], *[[Player.drain]] * 99) as server,
        connect(name="alice", reconnect=backoff, **where(server)) as chat,
    ):
        for _ in range(80):
            with pytest.raises((ChatTimeoutError, ConnectionLostError)):
                chat.receive(timeout=0.01)
        assert len(server.players) < 40


# Errors after which an attempt has no point


def test_refused_for_good(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login], [refuse("AUTH_FAILED"), Player.drain], GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(LoginRefusedError, match=r"^AUTH_FAILED: no$"):
            chat.receive(TIMEOUT)
        ends_with(chat, LoginRefusedError, "AUTH_FAILED")
        assert len(server.players) == 2


def test_replaced_for_good(connect: Connect) -> None:
    words = tell(b"*server* ERR NAME_IN_USE - somebody else is here")
    with (
        ScriptedServer([Player.login, words], GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError, match="somebody else is here"):
            chat.receive(TIMEOUT)
        ends_with(chat, ConnectionLostError, "NAME_IN_USE")
        assert len(server.players) == 1


def test_another_server_has_taken_the_port(connect: Connect) -> None:
    script = [write(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Player.drain]
    with (
        ScriptedServer([Player.login], script, GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(RemoteProtocolError, match="does not look like a chat server"):
            chat.receive(TIMEOUT)
        ends_with(chat, RemoteProtocolError, ErrorCode.MALFORMED)
        assert len(server.players) == 2


def test_too_many_bad_lines(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login, Player.echo, write(b"bad\n" * 100)], GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.flush()
        with pytest.raises(RemoteProtocolError):
            chat.receive(TIMEOUT)
        ends_with(chat, RemoteProtocolError, ErrorCode.TOO_MANY)
        assert len(server.players) == 1


# Errors after which an attempt may succeed


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([refuse("NAME_IN_USE"), Player.drain], id="the name is in use"),
        pytest.param([Player.asked_in, Player.reset], id="a reset"),
        pytest.param([Player.login, tell(b"*server* ERR SHUTTING_DOWN - bye")], id="a shutdown"),
    ],
)
def test_it_goes_on_trying(connect: Connect, script: Script) -> None:
    with (
        ScriptedServer([Player.login], *[script] * 3, GOOD) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        while len(server.players) < 5:
            is_back(chat)
        chat.flush()


def test_it_goes_on_trying_when_there_is_no_answer(connect: Connect) -> None:
    with (
        ScriptedServer([Player.login], [Player.drain], *[GOOD] * 9) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        set_timeout(chat, SHORT)
        is_back(chat)
        set_timeout(chat, TIMEOUT)
        assert len(server.players) > 2
        chat.flush()
