"""`chatproto chat` without a terminal, as a process."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatproto import DuplicateLogin, Limits, Policy

from ...client.misbehaving import MisbehavingServer, Peer
from ...processes import run
from ...servers import TIMEOUT, SocketClient, run_sync

CHAT = [sys.executable, "-m", "chatproto", "chat"]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "chat")


@pytest.fixture
def bob(path: str) -> Iterator[SocketClient]:
    """Somebody to talk to, on a server."""
    with run_sync(unix=path), SocketClient(f"unix:{path}") as bob:
        bob.login("bob")
        yield bob


@contextmanager
def alice(path: str, *options: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody with pipes, who does not outlive the context."""
    with subprocess.Popen(
        [*CHAT, "alice", "--unix", path, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
    ) as popen:
        watchdog = threading.Timer(TIMEOUT, popen.kill)
        watchdog.start()
        try:
            yield popen
        finally:
            watchdog.cancel()
            popen.kill()


def write(popen: subprocess.Popen[bytes], data: bytes) -> None:
    assert popen.stdin is not None
    popen.stdin.write(data)


def read_line(popen: subprocess.Popen[bytes]) -> str:
    """The next line, without the time."""
    assert popen.stdout is not None
    match = re.fullmatch(r"\d\d:\d\d (.+)\n", popen.stdout.readline().decode())
    assert match
    return match[1]


def converse(path: str, typed: bytes, *options: str, **environment: str) -> list[str]:
    """Type something, and see what there was to see when all is over."""
    with alice(path, *options, **environment) as popen:
        output, errors = popen.communicate(typed)
    assert errors == b""
    assert popen.returncode == 0
    lines = output.decode().splitlines(keepends=True)
    assert all(re.fullmatch(r"\d\d:\d\d .+\n", line) for line in lines)
    return [line[6:-1] for line in lines]


def test_talking(bob: SocketClient, path: str) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"hi\n")
        assert read_line(popen) == "-> bob: hi"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        bob.write(b"CHAT/1.0 SEND alice hi, too\n")
        assert read_line(popen) == "<bob> hi, too"
        write(popen, b"bye")
        output, errors = popen.communicate()
        assert re.fullmatch(rb"\d\d:\d\d -> bob: bye\n", output)
        assert (errors, popen.returncode) == (b"", 0)
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice bye\n"


def test_everything_is_handled_before_it_ends(bob: SocketClient, path: str) -> None:
    typed = b"".join(b"%d\n" % number for number in range(300))
    said = [f"-> bob: {number}" for number in range(300)]
    assert converse(path, typed, "--to", "bob") == said
    for number in range(300):
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice %d\n" % number


def test_what_comes_back_is_seen(bob: SocketClient, path: str) -> None:
    lines = converse(path, b"/msg carol hi\n/msg alice hi\n/msg alice me")
    assert sorted(lines) == [
        "! NO_SUCH_USER: carol is not online",
        "-> alice: hi",
        "-> alice: me",
        "-> carol: hi",
        "<alice> hi",
        "<alice> me",
    ]
    bob.flush("bob")


def test_what_comes_before_the_confirmation_is_seen() -> None:
    """It asks the server whether all is handled, and only then logs out."""

    def confirm(peer: Peer) -> None:
        assert peer.read_line() == b"CHAT/1.0 SEND bob hi\n"
        confirmation = peer.asked()
        peer.write(b"CHAT/1.0 RECEIVE bob late\n" + confirmation)
        assert peer.read_line() == b"CHAT/1.0 LOGOUT\n"

    with MisbehavingServer([Peer.login, confirm]) as server:
        host, port = server.addresses[0].split(":")
        result = subprocess.run(
            [*CHAT, "alice", "--host", host, "--port", port, "--to", "bob"],
            input=b"hi\n",
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
        )
    lines = [line[6:] for line in result.stdout.decode().splitlines()]
    assert lines == ["-> bob: hi", "<bob> late"]


def test_groups(bob: SocketClient, path: str) -> None:
    lines = converse(path, b"/group team alice bob\n/say team one\n/leave team\n/to\n/quit\nx\n")
    assert lines == [
        "* asked for group team of alice, bob",
        "-> group team: one",
        "* asked to leave group team",
        "* you talk to nobody",
    ]
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice one\n"
    bob.write(b"CHAT/1.0 GROUP bobs bob\n")
    bob.flush("bob")
    assert converse(path, b"two\n", "--to-group", "bobs") == [
        "-> group bobs: two",
        "! NOT_A_MEMBER: you are not a member of bobs",
    ]


def test_what_is_not_understood_is_not_sent(bob: SocketClient, path: str) -> None:
    lines = converse(path, b"hi\n\n  \n/foo\n/msg bob\n/msg b\tob x\n")
    assert [line[0] for line in lines] == ["*", "*", "*", "!"]
    bob.flush("bob")


def test_any_octets(bob: SocketClient, path: str) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"\xff\x1b[2J\xe6\x97\xa5\r\n")
        assert read_line(popen) == "-> bob: \ufffd\\x1b[2J\u65e5"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice \xff\x1b[2J\xe6\x97\xa5\n"
        bob.write(b"CHAT/1.0 SEND alice \xff\x1b[2J\xe6\x97\xa5 \xe2\x80\xae\n")
        assert read_line(popen) == "<bob> \ufffd\\x1b[2J\u65e5 \\u202e"


def test_another_encoding(bob: SocketClient, path: str) -> None:
    environment = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    with alice(path, "--to", "bob", **environment) as popen:
        write(popen, b"\xe4\n")
        assert popen.stdout is not None
        assert popen.stdout.readline().endswith(b"-> bob: \xe4\n")
        bob.write(b"CHAT/1.0 SEND alice \xc3\xa4\xe6\x97\xa5\n")
        assert popen.stdout.readline().endswith(b"<bob> \xe4\\u65e5\n")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice \xc3\xa4\n"


def test_lines_that_are_too_long(bob: SocketClient, path: str) -> None:
    limit = Limits().max_line
    room = limit - len(b"CHAT/1.0 RECEIVE alice \n")
    typed = [b"x" * (limit - 10), b"x" * (2 * limit), b"/msg " + b" " * limit + b"bob x"]
    lines = converse(path, b"\n".join([*typed, b"y" * room]), "--to", "bob")
    assert [line.split(": ")[0] for line in lines] == ["! LINE_TOO_LONG"] * 3 + ["-> bob"]
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice %b\n" % (b"y" * room)


def test_files(bob: SocketClient, path: str, tmp_path: Path) -> None:
    typed, shown = tmp_path / "typed", tmp_path / "shown"
    typed.write_text("one\ntwo\n")
    command = [*CHAT, "alice", "--unix", path, "--to", "bob"]
    with typed.open() as stdin, shown.open("w") as stdout:
        subprocess.run(command, stdin=stdin, stdout=stdout, check=True, timeout=TIMEOUT)
    assert [line[6:] for line in shown.read_text().splitlines()] == ["-> bob: one", "-> bob: two"]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=TIMEOUT)
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice one\n"


def test_nobody_reads_what_it_prints(bob: SocketClient, path: str) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"hi\n")
        assert read_line(popen) == "-> bob: hi"
        assert popen.stdout is not None
        popen.stdout.close()
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        bob.write(b"CHAT/1.0 SEND alice hi\n")
        # Its input is open still.
        assert popen.wait() == 0
        assert popen.stderr is not None
        assert popen.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(bob: SocketClient, path: str, number: int) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"hi\n")
        assert read_line(popen) == "-> bob: hi"
        popen.send_signal(number)
        output, errors = popen.communicate()
        assert (output, errors, popen.returncode) == (b"", b"", 0)
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


@pytest.mark.usefixtures("bob")
def test_it_needs_no_prompt_toolkit(path: str) -> None:
    code = "import sys; sys.modules['prompt_toolkit'] = None; from chatproto.__main__ import main"
    result = run(sys.executable, "-c", f"{code}; main()", "chat", "alice", "--unix", path)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_no_server(path: str) -> None:
    result = run(*CHAT, "alice", "--unix", path)
    assert result.stderr == f"Error: can't connect to unix:{path}: No such file or directory\n"
    assert (result.stdout, result.returncode) == ("", 1)


def test_a_login_that_is_refused(path: str) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REJECT)
    with run_sync(unix=path, policy=policy), SocketClient(f"unix:{path}") as another:
        another.login("alice")
        result = run(*CHAT, "alice", "--unix", path)
    assert result.stderr.startswith("Error: NAME_IN_USE: ")
    assert len(result.stderr.splitlines()) == 1
    assert (result.stdout, result.returncode) == ("", 1)


def test_a_connection_that_stays_lost(path: str) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REPLACE)
    with (
        run_sync(unix=path, policy=policy),
        alice(path) as popen,
        SocketClient(f"unix:{path}") as another,
    ):
        write(popen, b"/ping\n")
        assert read_line(popen).startswith("* to the server and back: ")
        another.login("alice")
        # Its input goes on: the end of that would be another reason to end.
        popen.wait(TIMEOUT)
        output, errors = popen.communicate()
    assert b"! NAME_IN_USE: " in output
    assert errors.startswith(b"Error: the server has closed the connection: ")
    assert popen.returncode == 1


@pytest.mark.parametrize(
    "options",
    [
        ["a b"],
        ["*alice"],
        ["alice", "--to", "a b"],
        ["alice", "--to-group", "*g"],
        ["alice", "--to", "bob", "--to-group", "g"],
        ["alice", "--unix", ""],
        [],
    ],
)
def test_wrong_usage(options: list[str]) -> None:
    result = run(*CHAT, *options)
    assert result.returncode == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
