"""Clients that connect again (`connection` in both packages): names, items, several connections."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatproto import (
    Backoff,
    ChatTimeoutError,
    ConnectionLostError,
    Disconnected,
    ErrorCode,
    LoginRefusedError,
    Message,
    Reconnected,
)

from ..clients import SHORT, BlockingClient, Connect, each_client, times_out, where
from ..servers import TIMEOUT, run_sync
from .scripted import VERSION, Player, Script, ScriptedServer, Step, contexts, refuse, tell, write
from .test_losses import each_loss
from .test_tls import write_under_tls

pytestmark = each_client

QUICK = Backoff(first=0.001, cap=0.01, give_up=TIMEOUT)


def is_back(chat: BlockingClient) -> None:
    """The next items are that the connection is lost, and that there is one again."""
    assert isinstance(chat.receive_item(TIMEOUT), Disconnected)
    item = chat.receive_item(TIMEOUT)
    assert isinstance(item, Reconnected)
    assert item.downtime > 0


@each_loss
def test_it_receives_on_the_next_connection(connect: Connect, loss: Script) -> None:
    unfinished = write(VERSION + b"RECEIVE bob unfin")
    with (
        ScriptedServer(
            [Player.login, tell(b"bob 1"), Player.echo, unfinished, *loss],
            [Player.login, Player.read_line, tell(b"bob 2"), Player.echo, *loss],
            [Player.login, Player.read_line, tell(b"bob 3"), Player.serve],
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.flush()
        assert chat.receive(TIMEOUT) == Message("bob", b"1")
        is_back(chat)
        chat.send("bob", b"now")
        chat.flush()
        assert next(chat) == Message("bob", b"2")
        is_back(chat)
        chat.send("bob", b"now")
        assert next(chat) == Message("bob", b"3")
        assert [player.lines[0] for player in server.players] == [b"LOGIN alice"] * 3
        assert chat.invalid_lines == 0


def test_messages_before_the_login_is_decided_come_after_the_reconnection(
    connect: Connect,
) -> None:
    """Or they would seem to be from the connection before."""

    def together(player: Player) -> None:
        echo = player.asked_in()
        hi = VERSION + b"RECEIVE bob hi\n"
        player.write(hi + echo + hi)

    with (
        ScriptedServer([Player.login], [together, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        is_back(chat)
        assert [next(chat), next(chat)] == [Message("bob", b"hi")] * 2


def test_over_tls(connect: Connect) -> None:
    with (
        ScriptedServer(
            [Player.start_tls, Player.login, write_under_tls(b"noise"), Player.wait],
            [write(b"HTTP/1.1 400 Bad Request\r\n"), Player.wait],
            [Player.start_tls, Player.login, Player.read_line, tell(b"bob hi"), Player.serve],
        ) as server,
        connect(name="alice", reconnect=QUICK, ssl=contexts()[1], **where(server)) as chat,
    ):
        is_back(chat)
        chat.send("bob", b"now")
        assert next(chat) == Message("bob", b"hi")


def test_it_logs_in_under_the_last_accepted_name(connect: Connect) -> None:
    with (
        ScriptedServer(
            [Player.login, Player.login], [Player.login], [Player.login, Player.serve]
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.login("alicia")
        is_back(chat)
        is_back(chat)
        assert chat.name == "alicia"
        assert [player.lines[0] for player in server.players[1:]] == [b"LOGIN alicia"] * 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(refuse("NAME_IN_USE"), LoginRefusedError, id="refused"),
        pytest.param(Player.asked_in, ConnectionLostError, id="lost"),
    ],
)
def test_a_login_that_failed_is_not_repeated(
    connect: Connect, answer: Step, error: type[Exception]
) -> None:
    with (
        ScriptedServer([Player.login, answer], [Player.login, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(error):
            chat.login("alicia")
        is_back(chat)
        assert chat.name == "alice"
        assert server.players[1].lines[0] == b"LOGIN alice"
        chat.login("alicia")
        assert chat.name == "alicia"


def test_a_login_without_an_answer_is_not_repeated(connect: Connect) -> None:
    asked = threading.Event()
    silent: Script = [Player.login, Player.asked_in, lambda _: asked.set(), Player.drain]
    with (
        ScriptedServer(silent, [Player.login, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        times_out(chat, lambda: chat.login("alicia"), lambda: asked.wait(TIMEOUT))
        is_back(chat)
        assert chat.name == "alice"
        assert server.players[1].lines[0] == b"LOGIN alice"


def test_an_echo_of_the_connection_before_is_no_answer(connect: Connect) -> None:
    echoes: list[bytes] = []

    def replay(player: Player) -> None:
        echoes.append(player.asked_in())
        player.write(echoes[0])

    with (
        ScriptedServer([replay], [replay], [Player.login, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        is_back(chat)
        chat.flush()
        assert len(server.players) == 3
        with pytest.raises(ChatTimeoutError):
            chat.receive(0)
        assert len(set(echoes)) == 2


def test_receiving_may_time_out_while_there_is_no_connection(connect: Connect) -> None:
    late: Script = [Player.wait, Player.login, Player.serve]
    with (
        ScriptedServer([Player.login], *[late] * 9) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        assert isinstance(chat.receive_item(TIMEOUT), Disconnected)
        with pytest.raises(ChatTimeoutError):
            chat.receive_item(SHORT)
        server.go.set()
        assert isinstance(chat.receive_item(TIMEOUT), Reconnected)
        chat.flush()


def test_a_server_is_started_again(connect: Connect, tmp_path: Path) -> None:
    path = str(tmp_path / "chat")
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        with run_sync(unix=path):
            chat = stack.enter_context(connect(unix=path, name="alice", reconnect=QUICK))
            assert chat.ping() > 0
            # It reads the end of the stream, so the server need not wait for that.
            back = pool.submit(is_back, chat)
        with run_sync(unix=path):
            back.result(TIMEOUT)
            chat.send("alice", b"hi")
            assert next(chat) == Message("alice", b"hi")
            codes = [notice.code for notice in chat.take_notices()]
            assert codes == [ErrorCode.SHUTTING_DOWN]
            stack.close()


def test_it_waits_for_a_server_that_is_not_there_yet(connect: Connect) -> None:
    at_start = Backoff(first=0.001, cap=0.01, give_up=TIMEOUT, at_start=True)
    with (
        ScriptedServer([], [Player.asked_in], [Player.login, Player.serve]) as server,
        connect(name="alice", reconnect=at_start, **where(server)) as chat,
    ):
        chat.send("alice", "hi")
        # The attempts before are no outages.
        assert chat.receive_item(TIMEOUT) == Message("alice", b"hi")


@pytest.mark.parametrize(
    "backoff", [QUICK, Backoff(give_up=0, at_start=True)], ids=["not at start", "give up"]
)
def test_it_gives_up_at_the_start(connect: Connect, backoff: Backoff) -> None:
    with ScriptedServer([]) as server:
        with (
            pytest.raises(ConnectionLostError, match="without an answer to the login"),
            connect(name="alice", reconnect=backoff, **where(server)),
        ):
            pytest.fail("connected")
        assert len(server.players) == 1
