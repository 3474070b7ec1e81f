"""chatproto_anyio.cli.listen: how it ends, and outputs of every kind."""

import os
import re
import select
import signal
import socket
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

import chatproto_sync
from chatproto import DuplicateLogin, Policy

from ..clients import Peer
from ..servers import TIMEOUT, SocketClient, run_sync
from .commands import CHATPROTO, NO_LABELS, PlayedServer, at, finish, listening, run, start

each_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])

each_form = pytest.mark.parametrize("form", [[], ["--json"]], ids=["plain", "json"])


def take_name_over(peer: Peer, messages: Iterable[bytes]) -> None:
    """Let alice log in, send her messages from bob, and give her name to somebody else."""
    peer.let_in()
    for data in messages:
        peer.say("bob", data)
    peer.say("*server*", b"ERR NAME_IN_USE - by \x07another")
    peer.close()


def wait_until_it_listens(popen: subprocess.Popen[bytes], peer: Peer) -> None:
    """Have it print notices, one after the other. All its tasks have run after the second."""
    assert popen.stderr is not None
    assert popen.stderr.readline() == NO_LABELS
    for _ in range(3):
        peer.say("*server*", b"Are you there?")
        assert popen.stderr.readline() == b"! Are you there?\n"


# Signals


@each_signal
def test_a_signal(server: chatproto_sync.Server, number: signal.Signals) -> None:
    with listening(*at(server)) as alice:
        alice.popen.send_signal(number)
        assert finish(alice.popen) == (0, "", "")


@each_signal
def test_signals_until_it_is_gone(server: chatproto_sync.Server, number: signal.Signals) -> None:
    """They come at each moment of the end, and none of them makes it a failure."""
    with listening(*at(server)) as alice:
        while alice.popen.poll() is None:
            alice.popen.send_signal(number)
            # Or it does nothing but take signals, and Python complains that they are too many.
            with suppress(subprocess.TimeoutExpired):
                alice.popen.wait(0.001)
        assert finish(alice.popen) == (0, "", "")


@each_signal
def test_it_logs_out(number: signal.Signals) -> None:
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", *at(server)) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        wait_until_it_listens(it, peer)
        it.send_signal(number)
        peer.let_go()
        assert finish(it) == (0, "", "")


@each_signal
def test_a_signal_while_it_logs_in(number: signal.Signals) -> None:
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", *at(server)) as it,
        server.accept() as peer,
    ):
        assert peer.read_line() == b"LOGIN alice\n"
        it.send_signal(number)
        assert finish(it) == (0, "", "")


@each_signal
def test_a_signal_while_its_output_is_full(number: signal.Signals) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    os.set_blocking(writing, True)
    with (
        PlayedServer() as server,
        os.fdopen(reading, "rb"),
        os.fdopen(writing, "wb") as pipe,
        start("listen", "--as=alice", *at(server), stdout=pipe) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        peer.say("bob", b"hi")
        wait_until_it_listens(it, peer)
        it.send_signal(number)
        peer.close()
        assert finish(it) == (0, "", "")


# An output that is closed


@each_form
def test_a_pipe_that_nobody_reads_any_more(form: list[str]) -> None:
    """It ends at once, and not when the next message arrives: `head -1` has all it needs."""
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", *form, *at(server)) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        peer.say("bob", b"hi")
        assert it.stdout is not None
        assert it.stdout.readline()
        it.stdout.close()
        peer.let_go()
        assert it.wait(TIMEOUT) == 0
        assert it.stderr is not None
        assert it.stderr.read() == (b"" if form else NO_LABELS)


def test_head(server: chatproto_sync.Server) -> None:
    command = [*CHATPROTO, "listen", "--as=alice", "--json", *at(server)]
    result = subprocess.run(
        ["sh", "-c", '{ "$@"; echo "status $?" >&2; } | head -n 1', "sh", *command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert '"listening"' in result.stdout
    assert result.stderr == "status 0\n"


def test_an_output_that_nobody_reads_at_the_next_message(
    server: chatproto_sync.Server, bob: SocketClient
) -> None:
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        ours.makefile("rb") as output,
        start("listen", "--as=alice", "--json", *at(server), stdout=theirs.fileno()) as it,
    ):
        theirs.close()
        assert b"listening" in output.readline()
        output.close()
        ours.close()
        bob.write(b"CHAT/1.0 SEND alice hi\n")
        assert finish(it) == (0, "", "")


def test_a_named_pipe_that_is_open_for_both(tmp_path: Path) -> None:
    """When it holds data, its descriptor is readable, like a pipe that nobody reads any more."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with (
        PlayedServer() as server,
        os.fdopen(os.open(path, os.O_RDWR), "r+b", buffering=0) as pipe,
        start("listen", "--as=alice", *at(server), stdout=pipe) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        peer.say("bob", b"hi")
        assert select.select([pipe], [], [], TIMEOUT)[0]
        wait_until_it_listens(it, peer)
        assert pipe.read(100) == b"<bob> hi\n"
        it.terminate()
        peer.let_go()
        assert finish(it) == (0, "", "")


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    with (
        path.open("wb") as file,
        PlayedServer() as server,
        start("listen", "--as=alice", *at(server), stdout=file) as it,
        server.accept() as peer,
    ):
        take_name_over(peer, [b"one", b"two"])
        finish(it)
    assert path.read_bytes() == b"<bob> one\n<bob> two\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_is_full(server: chatproto_sync.Server) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        start("listen", "--as=alice", "--json", *at(server), stdout=full) as it,
    ):
        words = "can't write to standard output: No space left on device"
        assert finish(it) == (1, "", f"Error: {words}\n")


def test_an_output_that_is_closed(server: chatproto_sync.Server) -> None:
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *CHATPROTO, "listen", "--as=alice", *at(server)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (result.returncode, result.stderr) == (1, "Error: standard output is closed\n")


# No connection


@each_form
def test_it_prints_everything_before_it_fails(form: list[str]) -> None:
    """It does not connect again, and prints what arrived before."""
    with (
        PlayedServer() as server,
        start("listen", "--as=alice", *form, *at(server)) as it,
        server.accept() as peer,
    ):
        take_name_over(peer, [b"%d" % number for number in range(500)])
        status, out, errors = finish(it)
    assert status == 1
    assert [int(each) for each in re.findall(r'bob.*?(\d+)"?}?\n', out)] == list(range(500))
    assert errors.splitlines()[-1] == "Error: the server has closed the connection: by \\x07another"


def test_somebody_else_takes_the_name() -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REPLACE)
    with (
        run_sync(port=0, policy=policy) as server,
        listening(*at(server)) as alice,
        SocketClient(server.addresses[0]) as other,
    ):
        other.login("alice")
        notice = alice.read()
        assert (notice["type"], notice["code"]) == ("notice", "NAME_IN_USE")
        words = "somebody else has logged in under your name"
        errors = f"Error: the server has closed the connection: {words}\n"
        assert finish(alice.popen) == (1, "", errors)


def test_a_login_that_is_refused() -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REJECT)
    with run_sync(port=0, policy=policy) as server, SocketClient(server.addresses[0]) as alice:
        alice.login("alice")
        status, out, errors = run("listen", "--as=alice", *at(server))
    assert (status, out) == (1, "")
    assert re.fullmatch("Error: NAME_IN_USE: .*\n", errors)


@each_form
def test_no_server(form: list[str], tmp_path: Path) -> None:
    path = tmp_path / "nobody"
    errors = f"Error: can't connect to unix:{path}: No such file or directory\n"
    assert run("listen", "--as=alice", *form, "--unix", str(path)) == (1, "", errors)
