"""chatproto_anyio.cli.listen: what it prints, for scripts and for people."""

import base64
import json
import logging
import queue
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import chatproto_sync
from chatproto import Policy

from ..processes import end
from ..servers import TIMEOUT, SocketClient, run_sync
from .commands import NO_LABELS, Listener, PlayedServer, at, finish, listening, start

HOSTILE = b"\x1b[2J \\ \0 \x7f \xc2\x9b \xe2\x80\xae \xc3\xa9"


class ServerLog(logging.Handler):
    """What the server logs, in this process."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.put(record.getMessage())

    def wait_for(self, prefix: str) -> None:
        while not self._messages.get(timeout=TIMEOUT).startswith(prefix):
            pass


@pytest.fixture
def log() -> Iterator[ServerLog]:
    logger = logging.getLogger("chatproto.server")
    handler, level = ServerLog(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


# For scripts


@pytest.mark.parametrize(
    "data", [b"hi", b"", b"  two  words ", "Grüße 🫖".encode(), HOSTILE, b"in\rside", b'"\\n"']
)
def test_text(server: chatproto_sync.Server, bob: SocketClient, data: bytes) -> None:
    with listening(*at(server)) as alice:
        bob.write(b"CHAT/1.0 SEND alice %b\n" % data)
        assert alice.read() == {"type": "message", "sender": "bob", "text": data.decode()}


@pytest.mark.parametrize("data", [b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\0\xfe" * 100])
def test_data_that_is_no_text(
    server: chatproto_sync.Server, bob: SocketClient, data: bytes
) -> None:
    with listening(*at(server)) as alice:
        bob.write(b"CHAT/1.0 SEND alice %b\n" % data)
        message = alice.read()
        assert base64.b64decode(message.pop("base64"), validate=True) == data
        assert message == {"type": "message", "sender": "bob"}


def test_names_are_not_only_ascii(server: chatproto_sync.Server, bob: SocketClient) -> None:
    with listening(*at(server)) as alice:
        bob.login("böb")
        bob.write(b"CHAT/1.0 SEND alice hi\n")
        assert alice.read() == {"type": "message", "sender": "böb", "text": "hi"}


def test_the_longest_message(server: chatproto_sync.Server, bob: SocketClient) -> None:
    """JSON takes six characters for each byte of it: more than a pipe takes at once for sure."""
    data = b"\0" * (4096 - len("CHAT/1.0 RECEIVE bob \n"))
    with listening(*at(server)) as alice:
        bob.write(b"CHAT/1.0 SEND alice %b\n" % data)
        assert alice.read() == {"type": "message", "sender": "bob", "text": data.decode()}


def test_many_messages(server: chatproto_sync.Server, bob: SocketClient) -> None:
    with listening(*at(server)) as alice:
        bob.write(b"".join(b"CHAT/1.0 SEND alice %d\n" % number for number in range(3000)))
        assert [int(alice.read()["text"]) for _ in range(3000)] == list(range(3000))


def test_a_message_to_a_group(server: chatproto_sync.Server, bob: SocketClient) -> None:
    with listening(*at(server)) as alice:
        bob.write(b"CHAT/1.0 GROUP tea alice bob\nCHAT/1.0 BROADCAST tea hot\n")
        bob.write(b"CHAT/1.0 BROADCAST tea \xff\nCHAT/1.0 SEND alice #tea hot\n")
        expected = {"type": "message", "sender": "bob", "group": "tea"}
        assert alice.read() == {**expected, "text": "hot"}
        assert alice.read() == {**expected, "base64": "/w=="}
        assert alice.read() == {"type": "message", "sender": "bob", "text": "#tea hot"}


def test_being_added_to_a_group(server: chatproto_sync.Server, bob: SocketClient) -> None:
    with listening(*at(server)) as alice:
        bob.write(b"CHAT/1.0 GROUP tea bob\nCHAT/1.0 SEND *groups* add tea alice\n")
        bob.write(b"CHAT/1.0 BROADCAST tea welcome\n")
        assert alice.read() == {"type": "added", "group": "tea", "member": "alice", "by": "bob"}
        assert alice.read()["group"] == "tea"


@pytest.mark.parametrize("options", [{"policy": Policy.reference()}, {"notices": False}])
def test_a_server_that_does_not_say_which_group(options: dict[str, Any]) -> None:
    with (
        run_sync(port=0, **options) as server,
        SocketClient(server.addresses[0]) as bob,
        start("listen", "--as=alice", "--json", *at(server)) as it,
        start("listen", "--as=carol", *at(server)) as other,
    ):
        bob.login("bob")
        alice = Listener(it)
        assert alice.read() == {"type": "listening", "name": "alice", "labels": False}
        assert other.stderr is not None
        assert other.stderr.readline() == NO_LABELS
        bob.write(b"CHAT/1.0 GROUP tea alice bob carol\nCHAT/1.0 BROADCAST tea hot\n")
        assert alice.read() == {"type": "message", "sender": "bob", "text": "hot"}
        assert other.stdout is not None
        assert other.stdout.readline() == b"<bob> hot\n"


def test_the_time_is_utc(server: chatproto_sync.Server) -> None:
    # Twelve hours from UTC.
    environment = {"TZ": "XXX-12"}
    with start("listen", "--as=alice", "--json", *at(server), environment=environment) as it:
        time = datetime.fromisoformat(json.loads(Listener(it).read_line())["time"])
    assert abs(time - datetime.now(UTC)) < timedelta(hours=6)


def test_notices() -> None:
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", "--json", *at(server)) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        peer.say("*server*", b"ERR ODD\x07 SEND \x1b[2Jno\xff")
        peer.say("*server*", b"Welcome!")
        alice = Listener(it)
        assert alice.read()["type"] == "listening"
        code, text = "ODD\x07", "\x1b[2Jno\ufffd"
        assert alice.read() == {"type": "notice", "code": code, "command": "SEND", "text": text}
        code, text = "", "Welcome!"
        assert alice.read() == {"type": "notice", "code": code, "command": "-", "text": text}


def test_lines_do_not_mix() -> None:
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", "--json", *at(server)) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        alice = Listener(it)
        # Lines that take several writes.
        for _ in range(20):
            peer.say("bob", b"\0" * 4000)
            peer.say("*server*", b"ERR ODD - " + b"\0" * 4000)
        types = [alice.read()["type"] for _ in range(41)]
        assert sorted(types) == ["listening"] + ["message"] * 20 + ["notice"] * 20


def test_reconnecting(tmp_path: Path) -> None:
    path = str(tmp_path / "chat")
    with ExitStack() as stack:
        with run_sync(unix=path) as server:
            alice = stack.enter_context(listening(*at(server)))
        # Two tasks print, so either may be first.
        disconnected, notice = sorted([alice.read(), alice.read()], key=lambda item: item["type"])
        assert (notice["type"], notice["code"]) == ("notice", "SHUTTING_DOWN")
        text = "the server has closed the connection: the server is shutting down"
        assert disconnected == {"type": "disconnected", "text": text}
        with run_sync(unix=path) as server, SocketClient(server.addresses[0]) as bob:
            reconnected = alice.read()
            assert reconnected.pop("downtime") > 0
            assert reconnected == {"type": "reconnected"}
            bob.login("bob")
            bob.write(b"CHAT/1.0 SEND alice hello again\n")
            assert alice.read() == {"type": "message", "sender": "bob", "text": "hello again"}


# For people


def test_messages_for_people(
    server: chatproto_sync.Server, bob: SocketClient, log: ServerLog
) -> None:
    with start("listen", "--as=alice", *at(server)) as it:
        assert it.stdout is not None
        log.wait_for("logged in alice")
        bob.write(b"CHAT/1.0 GROUP tea alice bob\n")
        bob.write(b"CHAT/1.0 BROADCAST tea hot\nCHAT/1.0 SEND alice  two  words \n")
        assert it.stdout.readline() == b"#tea <bob> hot\n"
        assert it.stdout.readline() == b"<bob>  two  words \n"
        it.terminate()
        assert finish(it) == (0, "", "")


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "<böb\\u202e> \\x1b[2J \\ \\x00 \\x7f \\x9b \\u202e é\ufffd\n"),
        ("ascii", "<b\\xf6b\\u202e> \\x1b[2J \\ \\x00 \\x7f \\x9b \\u202e \\xe9\\ufffd\n"),
    ],
)
def test_characters_that_do_not_print_are_escaped(encoding: str, shown: str) -> None:
    environment = {"PYTHONIOENCODING": encoding}
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", *at(server), environment=environment) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        peer.say("böb\u202e", HOSTILE + b"\xff")
        assert it.stdout is not None
        assert it.stdout.readline().decode(encoding) == shown


def test_no_name_and_no_message_look_like_another_kind_of_line() -> None:
    """On a terminal, lines of standard error stand between the messages."""
    names = ["NO_SUCH_USER", "NO_SUCH_USER:", "!", "*", "Error:", "<", "carol>"]
    messages = [(name, data) for name in names for data in ("bob is not online", "> hi", "")]
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", *at(server)) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        for name, data in messages:
            peer.say(name, data.encode())
        assert it.stdout is not None
        for name, data in messages:
            # A name has no spaces, so the first space ends it.
            head, _, text = it.stdout.readline().decode().partition(" ")
            assert (head, text) == (f"<{name}>", f"{data}\n")


def test_being_added_to_a_group_goes_to_standard_error(
    server: chatproto_sync.Server, bob: SocketClient, log: ServerLog
) -> None:
    with start("listen", "--as=alice", *at(server)) as it:
        assert it.stderr is not None
        log.wait_for("logged in alice")
        bob.write(b"CHAT/1.0 GROUP tea bob\nCHAT/1.0 SEND *groups* add tea alice\n")
        assert it.stderr.readline() == b"* bob has added you to group tea\n"
        it.terminate()
        assert finish(it) == (0, "", "")


def test_notices_and_outages_go_to_standard_error(tmp_path: Path, log: ServerLog) -> None:
    path = str(tmp_path / "chat")
    with ExitStack() as stack:
        with run_sync(unix=path) as server:
            it = stack.enter_context(start("listen", "--as=alice", *at(server)))
            log.wait_for("logged in alice")
        assert it.stderr is not None
        # Two tasks print, so either may be first.
        assert sorted([it.stderr.readline(), it.stderr.readline()]) == [
            b"! SHUTTING_DOWN: the server is shutting down\n",
            (
                b"* the server has closed the connection: the server is shutting down;"
                b" connecting again\n"
            ),
        ]
        with run_sync(unix=path):
            line = it.stderr.readline().decode()
            expected = r"\* reconnected after \d+\.\d s; messages may have been missed\n"
            assert re.fullmatch(expected, line)
            it.terminate()
            assert finish(it) == (0, "", "")


def test_a_server_that_hangs() -> None:
    code = """
from chatproto_anyio.cli import listen
listen.HEARTBEAT = 0.1
from chatproto.__main__ import main
main()
"""
    with PlayedServer() as server:
        command = [sys.executable, "-c", code, "listen", "--as=alice", *at(server)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as it, server.accept() as peer:
            try:
                peer.let_in()
                assert it.stderr is not None
                assert it.stderr.readline() == NO_LABELS
                line = it.stderr.readline().decode()
                assert line.startswith("* the server does not answer: ")
                assert line.endswith("; connecting again\n")
            finally:
                end(it)


def test_notices_are_escaped() -> None:
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", *at(server)) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        peer.say("*server*", b"ERR ODD\x07 SEND \x1b[2Jno")
        peer.say("*server*", b"Welcome!\x07")
        assert it.stderr is not None
        assert it.stderr.readline() == NO_LABELS
        assert it.stderr.readline() == b"! ODD\\x07: \\x1b[2Jno\n"
        assert it.stderr.readline() == b"! Welcome!\\x07\n"
