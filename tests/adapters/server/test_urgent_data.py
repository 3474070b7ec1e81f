"""`Server`: TCP's urgent data are data like any others (RFC 6093)."""

import socket
from pathlib import Path

import pytest

from chatproto_sync.sockets.driver import Driver

from ..servers import TIMEOUT, SocketClient, Start
from ..sockets.conftest import address, clock, driver  # noqa: F401 - fixtures
from ..sockets.insides import step_until
from .test_tls_handshakes import TlsBytes
from .test_tls_server import client_context, server_context

LINES = b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice one\nCHAT/1.0 SEND alice two\n"
ANSWERS = b"CHAT/1.0 RECEIVE alice one\nCHAT/1.0 RECEIVE alice two\n"


@pytest.mark.parametrize("marks", [[1], [30], [len(LINES)], [1, 2, 3], range(1, len(LINES) + 1)])
def test_what_follows_urgent_data_is_not_held_back(
    driver: Driver,  # noqa: F811
    marks: list[int],
) -> None:
    """All is on its way before the server looks, and nothing comes after it."""
    with socket.create_connection(driver.listeners.sockets[0].getsockname(), TIMEOUT) as client:
        at = 0
        for mark in marks:
            client.sendall(LINES[at : mark - 1])
            client.send(LINES[mark - 1 : mark], socket.MSG_OOB)
            at = mark
        client.sendall(LINES[at:])
        step_until(lambda: driver.broker.snapshot().deliveries == 2, driver)
        answers = b""
        while len(answers) < len(ANSWERS):
            answers += client.recv(1000)
        assert answers == ANSWERS


def test_urgent_data_while_the_server_looks(start: Start) -> None:
    with start(port=0) as server, SocketClient(server.addresses[0]) as alice:
        for at in range(len(LINES)):
            alice.socket.send(LINES[at : at + 1], socket.MSG_OOB)
        for line in ANSWERS.splitlines(keepends=True):
            assert alice.read_line() == line


def test_urgent_data_in_tls(start: Start) -> None:
    """A byte that is left out would be an attack to TLS."""
    client = TlsBytes(client_context())
    with (
        start(port=0, ssl=server_context()) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(client.hello())
        data = client.finish(alice.socket) + client.encrypt(LINES)
        for at in range(len(data)):
            alice.socket.send(data[at : at + 1], socket.MSG_OOB)
        answers = b""
        while len(answers) < len(ANSWERS):
            answers += client.read(alice.socket)
        assert answers == ANSWERS


def test_urgent_data_on_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with start(unix=path) as server, SocketClient(server.addresses[0]) as alice:
        try:
            alice.socket.send(LINES[:1], socket.MSG_OOB)
        except OSError:
            pytest.skip("this system has none there")
        alice.write(LINES[1:40])
        alice.socket.send(LINES[40:41], socket.MSG_OOB)
        alice.write(LINES[41:])
        for line in ANSWERS.splitlines(keepends=True):
            assert alice.read_line() == line
