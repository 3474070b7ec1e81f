"""`Server`: accepting connections when the system refuses, and when the limits do.

What the acceptor itself does is in `tests/adapters/sockets/test_acceptor.py`.
"""

import errno
import logging
import socket
import threading
from typing import Any

import pytest

from chatproto import Limits
from chatproto_sync.sockets import acceptor

from ..servers import SocketClient, Start, clients
from ..sockets.insides import wait_until

TOO_MANY = b"CHAT/1.0 RECEIVE *server* ERR TOO_MANY - too many connections\n"


class FailingAccept:
    """Replaces `socket.accept`, and fails while it has an error."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._accept = socket.socket.accept
        self.error: int | None = None
        self.called = threading.Event()
        patch.setattr(socket.socket, "accept", lambda listener: self._call(listener))

    def _call(self, listener: socket.socket) -> tuple[socket.socket, Any]:
        error = self.error
        if error is None:
            return self._accept(listener)
        self.called.set()
        raise OSError(error, "made up")


def test_no_descriptors_left(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Connected clients chat on. Those that wait are served when there are descriptors again."""
    accept = FailingAccept(monkeypatch)
    monkeypatch.setattr(acceptor, "ACCEPT_PAUSE", 0.0)
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice") as (alice,),
    ):
        accept.error = errno.EMFILE
        with SocketClient(server.addresses[0]) as bob:
            for _ in range(3):
                accept.called.clear()
                wait_until(accept.called.is_set, alice, "alice")
            accept.error = None
            bob.login("bob")
    warnings = [each for each in caplog.records if each.levelno >= logging.WARNING]
    # One warning, not one for each try.
    assert [each.getMessage() for each in warnings] == [
        f"can't accept connections, trying again every second: [Errno {errno.EMFILE}] made up"
    ]


def test_one_connection_too_many(start: Start) -> None:
    """It gets a notice. When another one has left, there is room again."""
    with (
        start(port=0, limits=Limits(max_connections=2)) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        for _ in range(3):
            with SocketClient(server.addresses[0]) as carol:
                assert carol.read_line() == TOO_MANY
                assert carol.read_line() == b""
        bob.write(b"CHAT/1.0 LOGOUT\n")
        assert bob.read_line() == b""
        bob.close()
        # Carol's connections have to end too.
        wait_until(lambda: server.snapshot().connections == 1, alice, "alice")
        with SocketClient(server.addresses[0]) as dave:
            dave.login("dave")
