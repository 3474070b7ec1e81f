"""The client in `examples/` that is written in another language, as a process."""

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatproto_sync
from chatproto import DuplicateLogin, Policy

from ..clients import Peer
from ..processes import end
from ..servers import TIMEOUT, SocketClient, run_sync

SCRIPT = Path(__file__).parents[3] / "examples" / "pong_bot.js"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed (apt: nodejs)")


@contextlib.contextmanager
def running(host: str, port: str) -> Iterator[subprocess.Popen[str]]:
    """Run the bot as `ponger`. The end of the context ends it."""
    with subprocess.Popen(
        [str(NODE), str(SCRIPT), host, port, "ponger"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as popen:
        watchdog = threading.Timer(2 * TIMEOUT, popen.kill)
        watchdog.start()
        try:
            yield popen
        finally:
            watchdog.cancel()
            end(popen)


@contextlib.contextmanager
def bot_of(server: chatproto_sync.Server) -> Iterator[subprocess.Popen[str]]:
    host, _, port = server.addresses[0].rpartition(":")
    with running(host, port) as bot:
        yield bot


def read_line(bot: subprocess.Popen[str]) -> str:
    assert bot.stdout is not None
    return bot.stdout.readline()


def finish(bot: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for its end. Returns its exit status and its errors."""
    _, errors = bot.communicate(timeout=TIMEOUT)
    return bot.returncode, errors


def test_it_answers_where_the_question_came_from() -> None:
    with (
        run_sync(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
        SocketClient(server.addresses[0]) as bob,
        bot_of(server) as bot,
    ):
        assert read_line(bot) == "logged in, with labels\n"
        alice.login("alice")
        bob.login("bob")
        alice.write(b"CHAT/1.0 SEND ponger ping\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE ponger pong\n"
        alice.write(b"CHAT/1.0 GROUP tea alice bob ponger\nCHAT/1.0 BROADCAST tea ping\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE ponger pong\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice ping\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE ponger pong\n"
        bot.send_signal(signal.SIGINT)
        assert finish(bot) == (0, "")


def test_names_may_hold_any_letters() -> None:
    with (
        run_sync(port=0) as server,
        SocketClient(server.addresses[0]) as client,
        bot_of(server) as bot,
    ):
        client.login("李四")
        assert read_line(bot) == "logged in, with labels\n"
        client.write("CHAT/1.0 GROUP 茶 李四 ponger\nCHAT/1.0 BROADCAST 茶 ping\n".encode())
        assert client.read_line() == b"CHAT/1.0 RECEIVE ponger pong\n"


def test_without_labels_it_answers_the_sender() -> None:
    with (
        run_sync(port=0, policy=Policy.reference(), notices=False) as server,
        SocketClient(server.addresses[0]) as alice,
        SocketClient(server.addresses[0]) as bob,
        bot_of(server) as bot,
    ):
        assert read_line(bot) == "logged in, without labels\n"
        alice.login("alice")
        bob.login("bob")
        alice.write(b"CHAT/1.0 GROUP tea alice bob ponger\nCHAT/1.0 BROADCAST tea ping\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE ponger pong\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice ping\n"
        bob.flush("bob")


def test_its_own_messages_are_no_questions() -> None:
    with (
        run_sync(port=0) as server,
        SocketClient(server.addresses[0]) as twin,
        SocketClient(server.addresses[0]) as alice,
        bot_of(server) as bot,
    ):
        assert read_line(bot) == "logged in, with labels\n"
        twin.login("ponger")
        alice.login("alice")
        twin.write(b"CHAT/1.0 GROUP tea ponger\n")
        twin.write(b"CHAT/1.0 BROADCAST tea ping\nCHAT/1.0 SEND ponger ping\n")
        assert twin.read_line() == b"CHAT/1.0 RECEIVE ponger ping\n"
        alice.write(b"CHAT/1.0 SEND ponger ping\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE ponger pong\n"
        # By now the bot has answered all that it answers.
        assert twin.read_line() == b"CHAT/1.0 RECEIVE alice ping\n"
        twin.flush("ponger")


def test_a_login_that_is_refused_ends_it() -> None:
    with (
        run_sync(port=0, policy=Policy(duplicate_login=DuplicateLogin.REJECT)) as server,
        SocketClient(server.addresses[0]) as twin,
    ):
        twin.login("ponger")
        with bot_of(server) as bot:
            assert finish(bot) == (
                1,
                "pong_bot: ERR NAME_IN_USE LOGIN ponger is logged in already\n",
            )


def test_errors_cannot_control_the_terminal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        host, port = listener.getsockname()
        with running(host, str(port)) as bot, Peer(listener.accept()[0]) as peer:
            # All of it: a socket that is closed with unread bytes resets the connection.
            assert peer.read_line() == b"LOGIN ponger\n"
            assert peer.read_line() == b"SEND *groups* on\n"
            assert peer.read_line().startswith(b"SEND ponger ")
            peer.say("*server*", b"ERR SHUTTING_DOWN - \x1b[2J late")
            peer.say("*server*", b"\x9b good night")
            peer.close()
            assert finish(bot) == (
                1,
                "pong_bot: ERR SHUTTING_DOWN - ?[2J late\npong_bot: ? good night\n",
            )


def test_a_line_that_never_ends_ends_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        host, port = listener.getsockname()
        with running(host, str(port)) as bot, Peer(listener.accept()[0]) as peer:
            peer.write(b"x" * 5000)
            assert finish(bot) == (1, "pong_bot: a line of the server never ends\n")


def test_without_a_server() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host, port = taken.getsockname()
        with running(host, str(port)) as bot:
            status, errors = finish(bot)
    assert status == 1
    assert errors == f"pong_bot: connect ECONNREFUSED {host}:{port}\n"
