"""Clients that connect again (`connection` in both packages), closed without a connection."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chatproto import Backoff, ChatSession, ChatTimeoutError, LocalProtocolError

from ..clients import LONG, BlockingClient, Connect, each_client, where
from ..servers import TIMEOUT
from .scripted import Player, Script, ScriptedServer, contexts
from .test_losses import USES
from .test_reconnect import QUICK

pytestmark = each_client

LATER = Backoff(first=LONG, cap=LONG, give_up=LONG)
"""Makes the first attempt after the end of the test."""

each_method = pytest.mark.parametrize("method", ["close", "logout"])


@pytest.fixture(autouse=True)
def _long_logout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout that takes all its time is not prompt."""
    monkeypatch.setattr(ChatSession, "LOGOUT_TIMEOUT", LONG)


def end(pool: ThreadPoolExecutor, chat: BlockingClient, method: str, uses: list[str]) -> None:
    """End a client while calls wait: all of them raise."""
    waiting = [pool.submit(USES[use], chat) for use in uses]
    pool.submit(getattr(chat, method)).result(TIMEOUT)
    for future in waiting:
        with pytest.raises(LocalProtocolError, match="logged out"):
            future.result(TIMEOUT)
    for use in USES.values():
        with pytest.raises((LocalProtocolError, StopIteration)):
            use(chat)


@each_method
@pytest.mark.parametrize(
    "uses", [[], ["receive", "receive", "notice", "login", "send", "flush"]], ids=["idle", "busy"]
)
def test_while_it_waits_to_connect_again(connect: Connect, method: str, uses: list[str]) -> None:
    with (
        ThreadPoolExecutor(1 + len(uses)) as pool,
        ScriptedServer([Player.login], [Player.serve]) as server,
        connect(name="alice", reconnect=LATER, **where(server)) as chat,
    ):
        server.over(0)
        # It reads the end of the stream.
        with pytest.raises(ChatTimeoutError):
            chat.receive(timeout=0.02)
        end(pool, chat, method, uses)
        assert len(server.players) == 1


@each_method
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([Player.login], [Player.drain], id="no answer"),
        pytest.param([Player.start_tls, Player.login], [Player.wait], id="TLS handshake"),
    ],
)
def test_while_it_connects(connect: Connect, method: str, first: Script, second: Script) -> None:
    options = {"ssl": contexts()[1]} if Player.start_tls in first else {}
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer(first, second, [Player.serve]) as server,
        connect(name="alice", timeout=LONG, reconnect=QUICK, **options, **where(server)) as chat,
    ):
        connecting = pool.submit(chat.receive_notice)
        server.player(1)
        end(pool, chat, method, ["receive", "flush"])
        with pytest.raises(LocalProtocolError, match="logged out"):
            connecting.result(TIMEOUT)
        assert len(server.players) == 2
