"""Clients that want TLS and a server that has none, or has it and breaks it."""

import functools
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme

from chatproto import ChatTimeoutError, ConnectionLostError, LocalProtocolError, Message

from ..clients import Connect, each_client, where
from .misbehaving import LIMIT, MisbehavingServer, Peer, Script, Step, say, tell
from .test_client_misbehaving import SOON, send_for_ever

pytestmark = each_client

RECORD = b"\x16\x03\x03\x40\x00"
"""The start of a TLS record that is long."""


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    client = ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def start_tls(peer: Peer) -> None:
    peer.start_tls(contexts()[0])


def swallow(peer: Peer) -> None:
    """Read the hello, which is no line."""
    assert peer.socket.recv(65536)


def say_under_tls(data: bytes) -> Step:
    return lambda peer: peer.write_under_tls(data)


@pytest.mark.parametrize("trust", [True, "context"])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param([tell(b"*server* ERR TOO_MANY - connections"), Peer.wait], id="CHAT"),
        pytest.param([say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Peer.wait], id="HTTP"),
        pytest.param([say(b"SSH-2.0-OpenSSH_9.9\r\n"), Peer.wait], id="SSH"),
        pytest.param([say(b"\0" * 20000), Peer.wait], id="NULs"),
        pytest.param([say(b"\x15\x03\x01\x00\x02\x02\x46"), Peer.wait], id="alert"),
    ],
)
def test_server_without_tls(connect: Connect, script: Script, trust: bool | str) -> None:
    context = contexts()[1] if trust == "context" else True
    with (
        MisbehavingServer(script) as server,
        pytest.raises(ConnectionLostError, match="can't connect to") as caught,
        connect(name="alice", ssl=context, **where(server)),
    ):
        pass
    assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([swallow], id="close"),
        pytest.param([swallow, Peer.reset], id="reset after the hello"),
        pytest.param([swallow, say(RECORD)], id="close in a record"),
        pytest.param([swallow, say(RECORD), Peer.reset], id="reset in a record"),
    ],
)
def test_loss_during_the_handshake(connect: Connect, script: Script) -> None:
    with (
        MisbehavingServer(script) as server,
        pytest.raises(ConnectionLostError, match=r"can't connect to \S+: \S+"),
        connect(name="alice", ssl=contexts()[1], **where(server)),
    ):
        pass


@pytest.mark.parametrize("started", [b"", RECORD])
def test_handshake_that_stalls(connect: Connect, started: bytes) -> None:
    with (
        MisbehavingServer([say(started), Peer.wait]) as server,
        pytest.raises(ChatTimeoutError),
        connect(name="alice", timeout=0.05, ssl=contexts()[1], **where(server)),
    ):
        pass


@pytest.mark.parametrize("options", [{"ssl": True}, {"server_hostname": "else.example"}])
def test_wrong_certificate(connect: Connect, options: dict[str, object]) -> None:
    with (
        MisbehavingServer([start_tls, Peer.drain]) as server,
        pytest.raises(ConnectionLostError, match="certificate") as caught,
        connect(name="alice", **{"ssl": contexts()[1], **options}, **where(server)),
    ):
        pass
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        pytest.param(
            [say_under_tls(b"this is no TLS record"), Peer.wait], ssl.SSLError, id="noise"
        ),
        # Which OpenSSL may call an end without a reason.
        pytest.param([Peer.reset], None, id="reset"),
        pytest.param([], None, id="close without TLS's goodbye"),
        pytest.param([say_under_tls(RECORD)], None, id="close in a record"),
    ],
)
@pytest.mark.parametrize("use", ["receive", "flush"])
def test_end_of_a_session(
    connect: Connect, end: Script, cause: type[Exception] | None, use: str
) -> None:
    script = [start_tls, Peer.login, tell(b"bob hi"), Peer.echo]
    if use == "flush":
        script.append(Peer.asked)
    with (
        MisbehavingServer([*script, *end]) as server,
        connect(name="alice", ssl=contexts()[1], **where(server)) as chat,
    ):
        chat.flush()
        assert chat.receive() == Message("bob", b"hi")
        with pytest.raises(ConnectionLostError) as caught:
            getattr(chat, use)()
        if cause is not None:
            assert isinstance(caught.value.__cause__, cause)
        with pytest.raises(ConnectionLostError):
            chat.send("bob", b"hi")


def test_server_that_stops_reading(connect: Connect) -> None:
    with (
        MisbehavingServer([start_tls, Peer.login, Peer.wait]) as server,
        connect(name="alice", timeout=SOON, ssl=contexts()[1], **where(server)) as chat,
    ):
        with pytest.raises(ChatTimeoutError):
            send_for_ever(chat)
        with pytest.raises(ConnectionLostError, match="could not be finished"):
            chat.flush()


def test_close_under_those_who_wait(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        MisbehavingServer([start_tls, Peer.login, Peer.wait]) as server,
        connect(name="alice", ssl=contexts()[1], **where(server)) as chat,
    ):
        waiting = [pool.submit(use) for use in (chat.receive, chat.flush, chat.receive_notice)]
        chat.close()
        for future in waiting:
            with pytest.raises(LocalProtocolError, match="logged out"):
                future.result(LIMIT)
