"""`chatproto_sync.serve`: it runs until a signal. `shutdown_on_signals`: who gets the signals."""

import signal
import sys
import threading
from pathlib import Path

import pytest

import chatproto_sync
from chatproto_sync.server.server import shutdown_on_signals

from ..processes import spawn
from ..servers import TIMEOUT, SocketClient

PROGRAM = """
import signal, socket
import chatproto_sync
listener = socket.create_server(("127.0.0.1", 0))
host, port = listener.getsockname()
print(f"Listening on {host}:{port}.", "", "", sep="\\n", flush=True)
chatproto_sync.serve(sockets=[listener])
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
"""Prints what `spawn` expects, and serves."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_serve(number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM]
    with spawn(command, tmp_path / "log") as process, SocketClient(process.address) as alice:
        alice.login("alice")
        process.popen.send_signal(number)
        assert b" ERR SHUTTING_DOWN " in alice.read_line()
        alice.close()
        assert process.popen.wait(TIMEOUT) == 0


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    server = chatproto_sync.Server(port=0)
    with shutdown_on_signals(server):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    server.close()


def test_other_threads_leave_signals_alone() -> None:
    found: list[object] = []

    def ask() -> None:
        with shutdown_on_signals(server):
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    server = chatproto_sync.Server(port=0)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    server.close()
    assert found == [before]
