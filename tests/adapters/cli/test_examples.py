"""The programs in `examples/`, as processes that connect to servers."""

import ast
import contextlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

import chatproto_sync
from chatproto import DuplicateLogin, Policy

from ..clients import Peer
from ..processes import end
from ..servers import TIMEOUT, SocketClient, run_sync

EXAMPLES = Path(__file__).parents[3] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))

each_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Bot:
    """A running example."""

    def __init__(self, popen: subprocess.Popen[str], errors: Path) -> None:
        self.popen = popen
        self._errors = errors

    def read(self) -> str:
        """Read a line that it prints."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline()

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def wait(self) -> None:
        """Wait for its end, without errors."""
        assert self.popen.wait(TIMEOUT) == 0
        assert self.errors == ""

    def end(self, number: int = signal.SIGINT) -> None:
        self.popen.send_signal(number)
        self.wait()


@contextlib.contextmanager
def running(folder: Path, script: str, *arguments: str) -> Iterator[Bot]:
    """Run an example. The end of the context ends it."""
    errors = folder / "errors"
    command = [sys.executable, "-W", "error", str(EXAMPLES / script), *arguments]
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as popen,
    ):
        watchdog = threading.Timer(2 * TIMEOUT, popen.kill)
        watchdog.start()
        try:
            yield Bot(popen, errors)
        finally:
            watchdog.cancel()
            end(popen)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Do not ignore SIGINT, as a process in the background may: its children would do the same."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def server_address(server: chatproto_sync.Server) -> tuple[str, str]:
    host, _, port = server.addresses[0].rpartition(":")
    return host, port


@pytest.fixture
def server() -> Iterator[chatproto_sync.Server]:
    with run_sync(port=0) as server:
        yield server


@pytest.fixture
def alice(server: chatproto_sync.Server) -> Iterator[SocketClient]:
    with SocketClient(server.addresses[0]) as client:
        client.login("alice")
        yield client


@pytest.fixture
def other() -> Iterator[chatproto_sync.Server]:
    with run_sync(port=0) as server:
        yield server


@pytest.fixture
def bob(other: chatproto_sync.Server) -> Iterator[SocketClient]:
    with SocketClient(other.addresses[0]) as client:
        client.login("bob")
        yield client


@pytest.fixture
def relay(
    server: chatproto_sync.Server, other: chatproto_sync.Server, tmp_path: Path
) -> Iterator[Bot]:
    with running(tmp_path, "relay.py", *server_address(server), *server_address(other)) as bot:
        assert bot.read() == "logged in as relay on both\n"
        yield bot


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listener, for tests that play the server."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(TIMEOUT)
        yield sock


def socket_address(sock: socket.socket) -> tuple[str, str]:
    return "127.0.0.1", str(sock.getsockname()[1])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_docstring_says_how_to_run_it(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert f"\n    python examples/{path.name} 127.0.0.1 3333" in docstring


def test_the_bare_bot_is_short() -> None:
    assert len((EXAMPLES / "bare_bot.py").read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_without_a_server(path: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        more = {"relay.py": socket_address(taken), "blocking_bot.py": ["alice"]}.get(path.name, [])
        with running(tmp_path, path.name, *socket_address(taken), *more) as bot:
            assert bot.popen.wait(TIMEOUT) == 1
            assert bot.errors.startswith(f"{path.stem}: ")
            assert bot.errors.count("\n") == 1


@each_backend
def test_echo(
    backend: str, server: chatproto_sync.Server, alice: SocketClient, tmp_path: Path
) -> None:
    with running(tmp_path, "echo_bot.py", *server_address(server), "--backend", backend) as bot:
        assert bot.read() == "logged in as echo\n"
        alice.write(b"CHAT/1.0 SEND echo hello\nCHAT/1.0 SEND echo  \xff\r \x00\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE echo hello\n"
        assert alice.read_line() == b"CHAT/1.0 RECEIVE echo  \xff\r \x00\n"
        # In a group it is silent.
        alice.write(b"CHAT/1.0 GROUP tea alice echo\nCHAT/1.0 BROADCAST tea hello\n")
        alice.write(b"CHAT/1.0 SEND echo still there?\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE echo still there?\n"
        bot.end()


def test_echo_does_not_answer_itself(
    server: chatproto_sync.Server, alice: SocketClient, tmp_path: Path
) -> None:
    with (
        SocketClient(server.addresses[0]) as twin,
        running(tmp_path, "echo_bot.py", *server_address(server)) as bot,
    ):
        assert bot.read() == "logged in as echo\n"
        twin.login("echo")
        alice.write(b"CHAT/1.0 SEND echo hello\n")
        assert twin.read_line() == b"CHAT/1.0 RECEIVE alice hello\n"
        assert alice.read_line() == b"CHAT/1.0 RECEIVE echo hello\n"
        # This goes to the bot too.
        twin.flush("echo")
        bot.end()
        # The bot has not answered.
        twin.flush("echo")


def test_echo_is_refused(tmp_path: Path) -> None:
    with (
        run_sync(port=0, policy=Policy(duplicate_login=DuplicateLogin.REJECT)) as server,
        SocketClient(server.addresses[0]) as twin,
    ):
        twin.login("echo")
        with running(tmp_path, "echo_bot.py", *server_address(server)) as bot:
            assert bot.popen.wait(TIMEOUT) == 1
            assert re.fullmatch(r"echo_bot: NAME_IN_USE: .+\n", bot.errors)


@each_backend
def test_echo_comes_back(backend: str, listener: socket.socket, tmp_path: Path) -> None:
    with running(tmp_path, "echo_bot.py", *socket_address(listener), "--backend", backend) as bot:
        with Peer(listener.accept()[0]) as peer:
            peer.let_in()
            assert bot.read() == "logged in as echo\n"
        with Peer(listener.accept()[0]) as peer:
            peer.let_in()
            assert re.fullmatch(r"there was no connection for \d+\.\d s\n", bot.read())
            peer.say("alice", b"hello")
            assert peer.read_line() == b"SEND alice hello\n"
            bot.end()


THREE_ANSWERS = b"CHAT/1.0 RECEIVE clock answers so far: 3\n"


def test_clock(server: chatproto_sync.Server, alice: SocketClient, tmp_path: Path) -> None:
    with (
        SocketClient(server.addresses[0]) as bob,
        running(
            tmp_path, "blocking_bot.py", *server_address(server), "alice", "--every", "0.02"
        ) as bot,
    ):
        bob.login("bob")
        assert bot.read() == "logged in as clock\n"
        assert alice.read_line() == b"CHAT/1.0 RECEIVE clock answers so far: 0\n"
        bob.write(b"CHAT/1.0 SEND clock what?\n")
        bob.write(b"CHAT/1.0 SEND clock ping\nCHAT/1.0 SEND clock time\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE clock pong\n"
        time = rb"CHAT/1\.0 RECEIVE clock \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n"
        assert re.fullmatch(time, bob.read_line())
        bob.write(b"CHAT/1.0 GROUP tea alice bob clock\nCHAT/1.0 BROADCAST tea ping\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE clock pong\n"
        reports = [line for line in iter(alice.read_line, THREE_ANSWERS) if b" so far" not in line]
        # She is in the group.
        assert reports == [b"CHAT/1.0 RECEIVE bob ping\n", b"CHAT/1.0 RECEIVE clock pong\n"]
        bot.end()


def test_clock_is_interrupted(listener: socket.socket, tmp_path: Path) -> None:
    with (
        running(tmp_path, "blocking_bot.py", *socket_address(listener), "alice") as bot,
        Peer(listener.accept()[0]) as peer,
    ):
        peer.let_in()
        peer.say("bob", b"ping")
        assert peer.read_line() == b"SEND bob pong\n"
        bot.popen.send_signal(signal.SIGINT)
        # If the signal interrupts a write, the bot closes without LOGOUT.
        assert peer.read_line() in (b"LOGOUT\n", b"")
        peer.close()
        bot.wait()


def test_clock_loses_its_server(listener: socket.socket, tmp_path: Path) -> None:
    with running(tmp_path, "blocking_bot.py", *socket_address(listener), "alice") as bot:
        with Peer(listener.accept()[0]) as peer:
            peer.let_in()
            peer.say("*server*", b"ERR SHUTTING_DOWN - it is late")
        assert bot.popen.wait(TIMEOUT) == 1
        assert bot.errors == "blocking_bot: the server has closed the connection: it is late\n"


def test_tea_is_served_where_it_was_asked_for(
    server: chatproto_sync.Server, alice: SocketClient, tmp_path: Path
) -> None:
    with (
        SocketClient(server.addresses[0]) as bob,
        running(tmp_path, "group_bot.py", *server_address(server), "alice") as bot,
    ):
        bob.login("bob")
        assert bot.read() == "logged in as teapot\n"
        bob.write(b"CHAT/1.0 SEND teapot kettle\nCHAT/1.0 SEND teapot join\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE teapot bob has put the kettle on\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE *groups* added tea bob teapot\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE teapot welcome to tea\n"
        # What was said to bob alone has not reached alice.
        bob.write(b"CHAT/1.0 BROADCAST tea kettle\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE bob kettle\n"
        assert alice.read_line() == b"CHAT/1.0 RECEIVE teapot bob has put the kettle on\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE teapot bob has put the kettle on\n"
        bot.end()


def test_nobody_joins_on_a_server_that_does_not_know_how(tmp_path: Path) -> None:
    with (
        run_sync(port=0, policy=Policy.reference()) as server,
        SocketClient(server.addresses[0]) as bob,
        running(tmp_path, "group_bot.py", *server_address(server)) as bot,
    ):
        bob.login("bob")
        assert bot.read() == "logged in as teapot\n"
        bob.write(b"CHAT/1.0 SEND teapot join\n")
        text = b"this server does not answer requests about groups"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE teapot %b\n" % text
        bot.end()


def test_the_group_is_there_again_after_a_restart(listener: socket.socket, tmp_path: Path) -> None:
    def tea_is_served(peer: Peer) -> None:
        assert peer.read_line() == b"GROUP tea teapot alice bob\n"
        peer.say("alice", b"cup")
        peer.say("alice", b"kettle")
        assert peer.read_line() == b"SEND alice alice has put the kettle on\n"

    with running(tmp_path, "group_bot.py", *socket_address(listener), "alice", "bob") as bot:
        with Peer(listener.accept()[0]) as peer:
            peer.let_in()
            assert bot.read() == "logged in as teapot\n"
            tea_is_served(peer)
        assert bot.read() == "the server has closed the connection\n"
        with Peer(listener.accept()[0]) as peer:
            peer.let_in()
            assert re.fullmatch(r"there was no connection for \d+\.\d s\n", bot.read())
            tea_is_served(peer)
            bot.popen.send_signal(signal.SIGINT)
            # If the signal interrupts a write, the bot closes without LOGOUT.
            assert peer.read_line() in (b"LOGOUT\n", b"")
        bot.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_relay(number: int, alice: SocketClient, bob: SocketClient, relay: Bot) -> None:
    alice.write(b"CHAT/1.0 SEND relay bob hello\n")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE relay alice: hello\n"
    bob.write(b"CHAT/1.0 SEND relay alice  \xff and back\n")
    assert alice.read_line() == b"CHAT/1.0 RECEIVE relay bob:  \xff and back\n"
    relay.end(number)


def test_relay_complains(alice: SocketClient, bob: SocketClient, relay: Bot) -> None:
    # The last message fits into a line to the relay, but not with a longer prefix into one to bob.
    for data, answer in {
        b"carol hello": rb"\* carol is not online",
        b"": rb"\* BAD_NAME: .+",
        b"bob ".ljust(4072, b"x"): rb"\* .*too long.*",
    }.items():
        alice.write(b"CHAT/1.0 SEND relay %b\n" % data)
        assert re.fullmatch(rb"CHAT/1\.0 RECEIVE relay %b\n" % answer, alice.read_line())
    bob.flush("bob")
    relay.end()


def test_relay_passes_nothing_on_from_a_group(
    alice: SocketClient, bob: SocketClient, relay: Bot
) -> None:
    alice.write(b"CHAT/1.0 GROUP tea alice relay\nCHAT/1.0 BROADCAST tea bob is late\n")
    alice.write(b"CHAT/1.0 SEND relay bob hello\n")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE relay alice: hello\n"
    relay.end()


def test_relay_makes_no_loops(alice: SocketClient, bob: SocketClient, relay: Bot) -> None:
    # It neither answers nor passes on what is for itself or comes from another relay.
    alice.write(b"CHAT/1.0 SEND relay relay hello\nCHAT/1.0 SEND relay * is not online\n")
    alice.write(b"CHAT/1.0 SEND relay bob hello\n")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE relay alice: hello\n"
    bob.write(b"CHAT/1.0 SEND relay alice hello\n")
    assert alice.read_line() == b"CHAT/1.0 RECEIVE relay bob: hello\n"
    bob.flush("bob")
    alice.flush("alice")
    relay.end()


def test_bare_bot(server: chatproto_sync.Server, alice: SocketClient, tmp_path: Path) -> None:
    with running(tmp_path, "bare_bot.py", *server_address(server)) as bot:
        assert bot.read() == "logged in as bare\n"
        alice.write(b"CHAT/1.0 SEND bare hello\nCHAT/1.0 SEND bare \n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE bare 5 bytes\n"
        assert alice.read_line() == b"CHAT/1.0 RECEIVE bare 0 bytes\n"
        bot.end()


def test_bare_bot_prints_other_events(listener: socket.socket, tmp_path: Path) -> None:
    with running(tmp_path, "bare_bot.py", *socket_address(listener)) as bot:
        with Peer(listener.accept()[0]) as peer:
            peer.let_in()
            peer.say("*server*", b"ERR SHUTTING_DOWN - \x1b[2J")
            peer.write(b"what?\n")
        assert bot.read() == "logged in as bare\n"
        assert bot.read().startswith("Receive(sender='*server*', ")
        assert bot.read().startswith("Invalid(code=<ErrorCode.MALFORMED: ")
        assert bot.read() == "ConnectionClosed()\n"
        bot.wait()


def tls_options() -> dict[str, ssl.SSLContext]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("chat.example").configure_cert(context)
    return {"ssl": context}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"policy": Policy.reference(), "notices": False},
        tls_options(),
        {"proxy_protocol": ["127.0.0.0/8"]},
    ],
    ids=["default", "silent", "tls", "behind a balancer"],
)
def test_every_server_answers_the_health_check(options: dict[str, Any], tmp_path: Path) -> None:
    with (
        run_sync(port=0, **options) as server,
        running(tmp_path, "health_check.py", *server_address(server)) as check,
    ):
        check.wait()
