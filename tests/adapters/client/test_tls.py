"""Clients over TLS (`stream` and `streams`), and servers that have no TLS, or break it."""

import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import trustme

from chatproto import ChatTimeoutError, ConnectionLostError, LocalProtocolError, Message

from ..clients import (
    SHORT,
    BlockingClient,
    Connect,
    each_client,
    send_until_a_line_is_unfinished,
    where,
)
from ..servers import TIMEOUT, run_sync
from .scripted import Player, Script, ScriptedServer, Step, contexts, tell, write

pytestmark = each_client

RECORD = b"\x16\x03\x03\x40\x00"
"""The start of a long TLS record (RFC 8446, section 5.1)."""


@pytest.fixture
def join(connect: Connect) -> Any:
    """Connects to a TLS server."""
    with run_sync(port=0, ssl=contexts()[0]) as server:
        yield partial(connect, **where(server), ssl=contexts()[1])


@pytest.mark.parametrize("hostname", [None, "chat.example"])
def test_clients_chat(join: Connect, hostname: str | None) -> None:
    with (
        join(name="alice", server_hostname=hostname) as alice,
        join(name="bob", server_hostname=hostname) as bob,
    ):
        alice.send("bob", "hello")
        assert bob.receive(TIMEOUT) == Message("alice", b"hello")
        bob.send("nobody", "?")
        assert bob.ping() > 0
        assert len(bob.take_notices()) == 1


def test_tls_on_a_given_socket(connect: Connect) -> None:
    with run_sync(port=0, ssl=contexts()[0]) as server:
        sock = socket.create_connection(tuple(where(server).values()))
        options = {"ssl": contexts()[1], "server_hostname": "chat.example"}
        with connect(transport=sock, **options, name="alice") as alice:
            alice.send("alice", "hello")
            assert alice.receive(TIMEOUT) == Message("alice", b"hello")


def test_much_data_both_ways(join: Connect) -> None:
    lines = [b"%d %b" % (number, b"x" * 3000) for number in range(300)]

    def send(client: BlockingClient, to: str) -> None:
        for line in lines:
            client.send(to, line)

    def receive(client: BlockingClient) -> None:
        assert [client.receive(TIMEOUT).data for _ in lines] == lines

    with join(name="alice") as alice, join(name="bob") as bob, ThreadPoolExecutor() as pool:
        working = [pool.submit(receive, client) for client in (alice, bob)]
        working += [pool.submit(send, alice, "bob"), pool.submit(send, bob, "alice")]
        for work in working:
            work.result()


# Handshakes that fail


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"server_hostname": "other.example"}, "Hostname mismatch"),
        ({"ssl": True}, "unable to get local issuer certificate"),
    ],
    ids=["hostname", "authority"],
)
def test_a_certificate_is_refused(
    connect: Connect, options: dict[str, object], reason: str
) -> None:
    with (
        ScriptedServer([Player.start_tls, Player.drain]) as server,
        pytest.raises(ConnectionLostError) as caught,
        connect(name="alice", **{"ssl": contexts()[1], **options}, **where(server)),
    ):
        pass
    cause = caught.value.__cause__
    assert isinstance(cause, ssl.SSLCertVerificationError)
    words = f"the server's certificate is not accepted: {cause.verify_message}"
    assert str(caught.value) == f"can't connect to {server.addresses[0]}: {words}"
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([tell(b"*server* ERR TOO_MANY - connections"), Player.wait], id="CHAT"),
        pytest.param([write(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Player.wait], id="HTTP"),
        pytest.param([write(b"\x15\x03\x01\x00\x02\x02\x46"), Player.wait], id="alert"),
    ],
)
def test_a_server_without_tls(connect: Connect, script: Script) -> None:
    with (
        ScriptedServer(script) as server,
        pytest.raises(ConnectionLostError, match="can't connect to") as caught,
        connect(name="alice", ssl=contexts()[1], **where(server)),
    ):
        pass
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert "[SSL" not in str(caught.value)
    assert re.search("connect without TLS|no version of TLS in common", str(caught.value))


@pytest.mark.parametrize("hostname", ["", ".example", "a\0b"])
def test_no_certificate_can_be_for_the_host(connect: Connect, hostname: str) -> None:
    with (
        ScriptedServer([Player.wait]) as server,
        pytest.raises(ConnectionLostError, match=f"{re.escape(repr(hostname))} is not a host name"),
        connect(name="alice", ssl=contexts()[1], server_hostname=hostname, **where(server)),
    ):
        pass


def swallow(player: Player) -> None:
    """Read the client's hello, which is not a line."""
    assert player.socket.recv(65536)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([swallow], id="close"),
        pytest.param([swallow, Player.reset], id="reset"),
        pytest.param([swallow, write(RECORD)], id="close in a record"),
    ],
)
def test_a_loss_during_the_handshake(connect: Connect, script: Script) -> None:
    with (
        ScriptedServer(script) as server,
        pytest.raises(ConnectionLostError, match=r"during the TLS handshake; .* without TLS$"),
        connect(name="alice", ssl=contexts()[1], **where(server)),
    ):
        pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_the_certificate_that_is_wanted(
    connect: Connect, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3, the server says so after the handshake."""
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    client_context.maximum_version = version
    with (
        run_sync(port=0, ssl=server_context) as server,
        pytest.raises(ConnectionLostError, match=r"wants a client certificate,.* load one"),
        connect(name="alice", ssl=client_context, **where(server)),
    ):
        pass


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "the server uses TLS, so connect with TLS$"),
        (b"", "without an answer to the login; if the server wants TLS, connect with TLS$"),
        (b"CHAT/1.0 RECEIVE bob hi\n", "^the server has closed the connection$"),
    ],
    ids=["alert", "nothing", "an answer"],
)
def test_a_client_without_tls(connect: Connect, answer: bytes, words: str) -> None:
    """Of a server that can say so only in TLS, or not at all."""
    with (
        ScriptedServer([Player.read_line, Player.read_line, write(answer)]) as server,
        pytest.raises(ConnectionLostError, match=words),
        connect(name="alice", **where(server)),
    ):
        pass


def test_no_answer_over_tls(connect: Connect) -> None:
    words = "without an answer to the login; if the server wants a client certificate, load one"
    with (
        ScriptedServer([Player.start_tls, Player.read_line, Player.read_line]) as server,
        pytest.raises(ConnectionLostError, match=words),
        connect(name="alice", ssl=contexts()[1], **where(server)),
    ):
        pass


def test_a_handshake_that_stalls(connect: Connect) -> None:
    with (
        ScriptedServer([write(RECORD), Player.wait]) as server,
        pytest.raises(ChatTimeoutError),
        connect(name="alice", timeout=SHORT, ssl=contexts()[1], **where(server)),
    ):
        pass


# Connections that fail


def write_under_tls(data: bytes) -> Step:
    return lambda player: player.write_under_tls(data)


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        pytest.param(
            [write_under_tls(b"this is no TLS record"), Player.wait], ssl.SSLError, id="noise"
        ),
        # OpenSSL may report it as an end without a reason.
        pytest.param([Player.reset], None, id="reset"),
        pytest.param([], None, id="close without close_notify"),
        pytest.param([write_under_tls(RECORD)], None, id="close in a record"),
    ],
)
def test_a_loss(connect: Connect, end: Script, cause: type[Exception] | None) -> None:
    script = [Player.start_tls, Player.login, tell(b"bob hi"), Player.echo, *end]
    with (
        ScriptedServer(script) as server,
        connect(name="alice", ssl=contexts()[1], **where(server)) as chat,
    ):
        chat.flush()
        assert chat.receive() == Message("bob", b"hi")
        with pytest.raises(ConnectionLostError) as caught:
            chat.receive()
        if cause is not None:
            assert isinstance(caught.value.__cause__, cause)
        with pytest.raises(ConnectionLostError):
            chat.send("bob", b"hi")


def test_a_server_that_stops_reading(connect: Connect) -> None:
    with (
        ScriptedServer([Player.start_tls, Player.login, Player.wait]) as server,
        connect(name="alice", ssl=contexts()[1], **where(server)) as chat,
    ):
        send_until_a_line_is_unfinished(chat)
        with pytest.raises(ConnectionLostError, match="could not be finished"):
            chat.flush()


def test_all_waiting_calls_raise_when_it_is_closed(connect: Connect) -> None:
    with (
        ThreadPoolExecutor() as pool,
        ScriptedServer([Player.start_tls, Player.login, Player.wait]) as server,
        connect(name="alice", ssl=contexts()[1], **where(server)) as chat,
    ):
        waiting = [pool.submit(use) for use in (chat.receive, chat.flush, chat.receive_notice)]
        chat.close()
        for future in waiting:
            with pytest.raises(LocalProtocolError, match="logged out"):
                future.result(TIMEOUT)
