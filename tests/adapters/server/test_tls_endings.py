"""`Server` with TLS: how connections end, and contexts that a server refuses."""

import socket
from collections.abc import Callable

import pytest

import chatproto_anyio
import chatproto_sync

from ..servers import Start
from .test_tls_server import TlsClient, client_context, server_context


def test_the_server_sends_a_close_notify(start: Start) -> None:
    with (
        start(port=0, ssl=server_context()) as server,
        TlsClient(server.addresses[0], client_context()) as alice,
    ):
        alice.login("alice")
        alice.write(b"CHAT/1.0 LOGOUT\n")
        # Without a close_notify from the server, `unwrap` would raise.
        assert alice.read_line() == b""
        alice.tls.unwrap()


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="cannot put records into one packet")
def test_what_is_sent_after_the_logout_is_ignored(start: Start) -> None:
    """If the server closed with unread data, the system would drop what alice has not read."""
    with (
        start(port=0, ssl=server_context()) as server,
        TlsClient(server.addresses[0], client_context()) as alice,
    ):
        alice.login("alice")
        line = b"CHAT/1.0 SEND alice " + b"x" * 3000 + b"\n"
        alice.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        alice.write(line * 5)
        alice.write(b"CHAT/1.0 LOGOUT\n")
        alice.write(line)
        alice.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        for _ in range(5):
            assert alice.read_line() == b"CHAT/1.0 RECEIVE alice " + b"x" * 3000 + b"\n"
        assert alice.read_line() == b""


@pytest.mark.parametrize("server", [chatproto_sync.Server, chatproto_anyio.Server])
def test_a_clients_context_is_refused(server: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="a context for clients"):
        server(port=0, ssl=client_context())
