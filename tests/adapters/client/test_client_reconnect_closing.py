"""Clients that are closed while they have no connection."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chatproto import Backoff, ChatSession, ChatTimeoutError, LocalProtocolError

from ..clients import BlockingClient, Connect, each_client, where
from .misbehaving import LIMIT, MisbehavingServer, Peer, Script
from .test_client_misbehaving import USES
from .test_client_misbehaving_tls import contexts, start_tls
from .test_client_reconnect import QUICK

pytestmark = each_client

NEVER = Backoff(first=1000, cap=1000, give_up=1000)
"""For those who are to wait before they try again."""

PROMPTLY = 5.0
"""Seconds; far more than is needed, and far less than what is waited for."""

each_method = pytest.mark.parametrize("method", ["close", "logout"])


@pytest.fixture(autouse=True)
def _long_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """A goodbye that takes its full time is no prompt one."""
    monkeypatch.setattr(ChatSession, "LOGOUT_TIMEOUT", LIMIT)


def end(pool: ThreadPoolExecutor, chat: BlockingClient, method: str, uses: list[str]) -> None:
    """One ends it while others wait, and all are woken."""
    waiting = [pool.submit(USES[use], chat) for use in uses]
    pool.submit(getattr(chat, method)).result(PROMPTLY)
    for future in waiting:
        with pytest.raises(LocalProtocolError, match="logged out"):
            future.result(PROMPTLY)
    for use in USES.values():
        with pytest.raises((LocalProtocolError, StopIteration)):
            use(chat)


@each_method
@pytest.mark.parametrize(
    "uses",
    [[], ["receive", "receive", "notice"], ["send"], ["flush", "receive"], ["login", "send"]],
    ids=", ".join,
)
def test_while_it_waits_to_try_again(connect: Connect, method: str, uses: list[str]) -> None:
    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer([Peer.login], [Peer.serve]) as server,
        connect(name="alice", reconnect=NEVER, **where(server)) as chat,
    ):
        server.over(0)
        # Now it knows.
        with pytest.raises(ChatTimeoutError):
            chat.receive(timeout=0.1)
        end(pool, chat, method, uses)
        assert len(server.peers) == 1


@each_method
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([Peer.login], [Peer.drain], id="no answer"),
        pytest.param([Peer.login], [Peer.wait], id="no reader"),
        pytest.param([start_tls, Peer.login], [Peer.wait], id="TLS handshake"),
        pytest.param([start_tls, Peer.login], [start_tls, Peer.drain], id="no answer over TLS"),
    ],
)
def test_while_it_connects(connect: Connect, method: str, first: Script, second: Script) -> None:
    options = {"ssl": contexts()[1]} if start_tls in first else {}
    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer(first, second, [Peer.serve]) as server,
        connect(name="alice", reconnect=QUICK, **options, **where(server)) as chat,
    ):
        connecting = pool.submit(chat.receive_notice)
        server.peer(1)
        end(pool, chat, method, ["receive", "flush"])
        with pytest.raises(LocalProtocolError, match="logged out"):
            connecting.result(PROMPTLY)
        assert len(server.peers) == 2
