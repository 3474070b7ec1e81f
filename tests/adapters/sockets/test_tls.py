"""`tls`: what `start_tls` leaves open when it fails.

What a server does with TLS is in `tests/adapters/server/test_tls_*.py`.
"""

import os
import select
import socket

import pytest

from chatproto_sync.sockets.tls import start_tls

from ..server.test_tls_server import client_context, server_context
from ..servers import TIMEOUT, SocketClient


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("server_side", [True, False])
def test_a_peer_that_is_gone_leaves_no_descriptor_open(server_side: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        peer = SocketClient(f"{host}:{port}")
        sock, _ = listener.accept()
    peer.reset()
    assert select.select([sock], [], [], TIMEOUT)[0]
    fd = sock.fileno()
    context, hostname = (server_context(), None) if server_side else (client_context(), host)
    with pytest.raises(OSError, match="not connected") as caught:
        start_tls(sock, context, server_side=server_side, server_hostname=hostname)
    # The traceback would keep a half-made socket alive.
    assert caught.tb is not None
    assert not is_open(fd)


@pytest.mark.parametrize("hostname", ["", ".example", "a\0b"])
def test_an_impossible_host_name_leaves_no_descriptor_open(hostname: str) -> None:
    here, there = socket.socketpair()
    fd = here.fileno()
    with there, pytest.raises((TypeError, ValueError)) as caught:
        start_tls(here, client_context(), server_side=False, server_hostname=hostname)
    assert caught.tb is not None
    assert not is_open(fd)
