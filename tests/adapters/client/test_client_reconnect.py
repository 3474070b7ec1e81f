"""Clients that get their connection back, and what becomes of what was under way."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatproto import (
    Backoff,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LoginRefusedError,
    Message,
    Reconnected,
)

from ..clients import BlockingClient, Connect, each_client, where
from ..servers import Start
from .misbehaving import LIMIT, VERSION, MisbehavingServer, Peer, Script, refuse, say, tell
from .test_client_misbehaving import SOON
from .test_client_misbehaving_tls import contexts, say_under_tls, start_tls

pytestmark = each_client

QUICK = Backoff(first=0.001, cap=0.01, give_up=LIMIT)

each_loss = pytest.mark.parametrize("loss", [[Peer.reset], []], ids=["reset", "close"])


def is_back(chat: BlockingClient) -> None:
    """What comes next is that the connection is there again."""
    item = chat.receive(LIMIT)
    assert isinstance(item, Reconnected)
    assert item.downtime > 0


@each_loss
def test_receive_tells_of_it_and_goes_on(connect: Connect, loss: Script) -> None:
    with (
        MisbehavingServer(
            [Peer.login, tell(b"bob 1"), Peer.echo, say(VERSION + b"RECEIVE bob unfin"), *loss],
            [Peer.login, Peer.read_line, tell(b"bob 2"), Peer.echo, *loss],
            [Peer.login, Peer.read_line, tell(b"bob 3"), Peer.serve],
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.flush()
        assert chat.receive(LIMIT) == Message("bob", b"1")
        is_back(chat)
        chat.send("bob", b"now")
        chat.flush()
        assert next(chat) == Message("bob", b"2")
        is_back(chat)
        chat.send("bob", b"now")
        assert next(chat) == Message("bob", b"3")
        assert [peer.lines[0] for peer in server.peers] == [b"LOGIN alice"] * 3
        assert chat.invalid_lines == 0


def test_what_comes_with_the_login_comes_after_the_news(connect: Connect) -> None:
    """Or one would take it for something from before the gap."""

    def together(peer: Peer) -> None:
        echo = peer.asked_in()
        hi = VERSION + b"RECEIVE bob hi\n"
        peer.write(hi + echo + hi)

    with (
        MisbehavingServer([Peer.login], [together, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        is_back(chat)
        assert [next(chat), next(chat)] == [Message("bob", b"hi")] * 2


def test_broken_tls(connect: Connect) -> None:
    script = [start_tls, Peer.login, Peer.read_line, tell(b"bob hi"), Peer.serve]
    with (
        MisbehavingServer(
            [start_tls, Peer.login, say_under_tls(b"this is no TLS record"), Peer.wait],
            [say(b"HTTP/1.1 400 Bad Request\r\n"), Peer.wait],
            script,
        ) as server,
        connect(name="alice", reconnect=QUICK, ssl=contexts()[1], **where(server)) as chat,
    ):
        is_back(chat)
        chat.send("bob", b"now")
        assert next(chat) == Message("bob", b"hi")


@each_loss
def test_login_is_under_the_current_name(connect: Connect, loss: Script) -> None:
    with (
        MisbehavingServer(
            [Peer.login, Peer.login, *loss], [Peer.login, *loss], [Peer.login, Peer.serve]
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        chat.login("alicia")
        is_back(chat)
        is_back(chat)
        assert chat.name == "alicia"
        assert [peer.lines[0] for peer in server.peers[1:]] == [b"LOGIN alicia"] * 2


@pytest.mark.parametrize("refused", [False, True], ids=["undecided", "refused"])
def test_a_rename_that_did_not_happen_is_not_repeated(connect: Connect, refused: bool) -> None:
    rename = refuse("NAME_IN_USE") if refused else Peer.asked_in
    with (
        MisbehavingServer([Peer.login, rename], [Peer.login, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(LoginRefusedError if refused else ConnectionLostError):
            chat.login("alicia")
        is_back(chat)
        assert chat.name == "alice"
        assert server.peers[1].lines[0] == b"LOGIN alice"
        chat.login("alicia")
        assert chat.name == "alicia"


def test_a_rename_without_an_answer_takes_another_connection(connect: Connect) -> None:
    with (
        MisbehavingServer([Peer.login, Peer.drain], [Peer.login, Peer.serve]) as server,
        connect(name="alice", timeout=SOON, reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            chat.login("alicia")
        is_back(chat)
        assert chat.name == "alice"
        assert server.peers[1].lines[0] == b"LOGIN alice"
        chat.login("alicia")


def test_an_echo_of_the_connection_before_lets_nobody_in(connect: Connect) -> None:
    echoes: list[bytes] = []

    def replay(peer: Peer) -> None:
        echoes.append(peer.asked_in())
        peer.write(echoes[0])

    with (
        MisbehavingServer([replay], [replay], [Peer.login, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        is_back(chat)
        chat.flush()
        assert len(server.peers) == 3
        with pytest.raises(ChatTimeoutError):
            chat.receive(timeout=0.01)
        assert len(set(echoes)) == 2


def test_a_receive_that_gives_up_while_down(connect: Connect) -> None:
    with (
        MisbehavingServer([Peer.login], [Peer.drain], [Peer.login, Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        while len(server.peers) < 2:
            with pytest.raises(ChatTimeoutError):
                chat.receive(timeout=0.2)
        is_back(chat)
        chat.flush()


def test_a_real_server_that_is_started_again(
    connect: Connect, start: Start, tmp_path: Path
) -> None:
    path = str(tmp_path / "chat")
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        with start(unix=path):
            chat = stack.enter_context(connect(unix=path, name="alice", reconnect=QUICK))
            assert chat.ping() > 0
            # It sees the end, so the server need not wait for it.
            back = pool.submit(is_back, chat)
        with start(unix=path):
            back.result(LIMIT)
            chat.send("alice", b"hi")
            assert next(chat) == Message("alice", b"hi")
            codes = [notice.code for notice in chat.take_notices()]
            assert codes == [ErrorCode.SHUTTING_DOWN]
            stack.close()
