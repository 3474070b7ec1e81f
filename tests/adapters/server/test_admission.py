"""Taking connections on: what the system refuses, and what the limits do."""

import errno
import logging
import socket
import threading
from typing import Any

import pytest

from chatproto import Limits
from chatproto_sync.sockets import acceptor

from ..servers import TIMEOUT, SocketClient, Start, clients
from ..sockets.insides import wait_until

LACKING = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]
"""What a system is short of when `accept` fails and the connection goes on waiting."""

TOO_MANY = b"CHAT/1.0 RECEIVE *server* ERR TOO_MANY - too many connections\n"


class FailingAccept:
    """Stands for `socket.accept`, which fails as long as it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._accept = socket.socket.accept
        self.error: int | None = None
        self.calls = 0
        self.called = threading.Event()
        patch.setattr(socket.socket, "accept", lambda listener: self._call(listener))

    def _call(self, listener: socket.socket) -> tuple[socket.socket, Any]:
        error = self.error
        if error is None:
            return self._accept(listener)
        self.calls += 1
        self.called.set()
        raise OSError(error, "made up")


@pytest.fixture
def accept(monkeypatch: pytest.MonkeyPatch) -> FailingAccept:
    return FailingAccept(monkeypatch)


@pytest.mark.parametrize("error", LACKING, ids=errno.errorcode.__getitem__)
def test_a_system_that_lacks_something(
    start: Start,
    accept: FailingAccept,
    error: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those who are there chat on, and those who wait are taken on once that is over."""
    monkeypatch.setattr(acceptor, "ACCEPT_PAUSE", 0.0)
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice") as (alice,),
    ):
        accept.error = error
        with SocketClient(server.addresses[0]) as bob:
            for _ in range(3):
                accept.called.clear()
                wait_until(accept.called.is_set, alice, "alice")
            accept.error = None
            alice.flush("alice")
            bob.login("bob")
    warnings = [each for each in caplog.records if each.levelno >= logging.WARNING]
    # Said once, not at each try.
    assert [each.getMessage() for each in warnings] == [
        f"can't accept connections, trying again every second: [Errno {error}] made up"
    ]


def test_it_backs_off(start: Start, accept: FailingAccept, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not ask again and again, for that would be all that it does."""
    monkeypatch.setattr(acceptor, "ACCEPT_PAUSE", 1000.0)
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice") as (alice,),
    ):
        accept.error = errno.EMFILE
        with SocketClient(server.addresses[0]):
            assert accept.called.wait(TIMEOUT)
            for _ in range(50):
                alice.flush("alice")
            assert accept.calls == 1


def test_a_connection_that_is_gone_again(
    start: Start,
    accept: FailingAccept,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """That is no reason to make the next one wait, and no news."""
    monkeypatch.setattr(acceptor, "ACCEPT_PAUSE", 1000.0)
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice") as (alice,),
    ):
        accept.error = errno.ECONNABORTED
        with SocketClient(server.addresses[0]) as bob:
            assert accept.called.wait(TIMEOUT)
            alice.flush("alice")
            accept.error = None
            bob.login("bob")
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_one_connection_too_many(start: Start) -> None:
    """It is told so, and when somebody has left there is room again."""
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
        # The ends of carol's connections take their time too.
        for _ in range(1000):
            alice.flush("alice")
            with SocketClient(server.addresses[0]) as dave:
                dave.write(b"CHAT/1.0 LOGIN dave\nCHAT/1.0 SEND dave in\n")
                if dave.read_line() == b"CHAT/1.0 RECEIVE dave in\n":
                    break
        else:
            pytest.fail("there was no room")
