"""chatproto_anyio.cli.send: input that can't be sent, wrong usage, and how it ends otherwise."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

import chatproto_sync
from chatproto import DuplicateLogin, Policy
from chatproto_anyio.cli.main import cli

from ..servers import TIMEOUT, SocketClient, run_sync
from .commands import CHATPROTO, PlayedServer, at, finish, read_messages, run, start

# What can't be sent


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (b"two CRs\r\r\nfour\n", "MALFORMED: data holds no LF and does not end with CR"),
        (b"CR at the end\r", "MALFORMED: data holds no LF and does not end with CR"),
        (b"x" * 5000 + b"\nfour\n", "LINE_TOO_LONG: the line is too long"),
        (
            b"x" * 4090 + b"\nfour\n",
            "LINE_TOO_LONG: the line has 4109 bytes, and 4096 are allowed",
        ),
    ],
)
def test_a_line_that_is_no_message(
    server: chatproto_sync.Server, bob: SocketClient, rest: bytes, words: str
) -> None:
    result = run("send", "--as=alice", *at(server), "bob", stdin=b"one\ntwo\n" + rest)
    assert result == (1, "", f"Error: line 3: {words}\n")
    assert read_messages(bob, 2) == [b"one", b"two"]
    bob.flush("bob")


def test_errors_of_the_lines_before_it_are_printed(server: chatproto_sync.Server) -> None:
    status, _, errors = run("send", "--as=alice", *at(server), "nobody", stdin=b"one\ntwo\r\r\n")
    assert status == 1
    notice, error = errors.splitlines()
    assert notice == "NO_SUCH_USER: nobody is not online"
    assert error.startswith("Error: line 2: MALFORMED: ")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_line_without_end(server: chatproto_sync.Server) -> None:
    with (
        Path("/dev/zero").open("rb") as zero,
        start("send", "--as=alice", *at(server), "bob", stdin=zero) as it,
    ):
        assert finish(it) == (1, "", "Error: line 1: LINE_TOO_LONG: the line is too long\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bob", "hi"], "--as"),
        (["--as=alice"], "TO"),
        (["--as=*alice", "bob", "hi"], "names that start with * are reserved"),
        (["--as=", "bob", "hi"], "a name has 1 to 64 bytes"),
        (["--as=alice", "", "hi"], "a name has 1 to 64 bytes"),
        (["--as=alice", "b b"], "a name holds no white space"),
        (["--as=alice", "bob", "two\nlines"], "data holds no LF"),
        (["--as=alice", "--group", "bob", "CR\r"], "does not end with CR"),
        (["--as=alice", "bob", "x" * 5000], "4096 are allowed"),
        (["--as=alice", "bob", "hi", "there"], "there"),
        (["--as=alice", "b\udcff", "hi"], "surrogate"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    # Does not connect: no server is there.
    result = CliRunner().invoke(cli, ["send", "--port=1", *arguments], prog_name="chatproto")
    assert result.exit_code == 2
    assert result.output.startswith("Usage: chatproto send [OPTIONS] TO [TEXT | -]\n")
    assert words in result.output.splitlines()[-1]


def test_input_that_is_closed(server: chatproto_sync.Server) -> None:
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *CHATPROTO]
    result = subprocess.run(
        [*command, "send", "--as=alice", *at(server), "bob"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (result.returncode, result.stderr) == (1, "Error: standard input is closed\n")


# How it ends otherwise


def test_no_server(tmp_path: Path) -> None:
    path = tmp_path / "nobody"
    assert run("send", "--as=alice", "--unix", str(path), "bob", "hi") == (
        1,
        "",
        f"Error: can't connect to unix:{path}: No such file or directory\n",
    )


def test_a_login_that_is_refused() -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REJECT)
    with (
        run_sync(port=0, policy=policy) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.login("alice")
        status, out, errors = run("send", "--as=alice", *at(server), "alice", "hi")
        assert (status, out) == (1, "")
        assert errors.startswith("Error: NAME_IN_USE: ")
        assert len(errors.splitlines()) == 1


def test_no_chat_server() -> None:
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", "hi") as it,
        server.accept() as peer,
    ):
        peer.write(b"220 mail.example ESMTP\r\n")
        status, _, errors = finish(it)
    assert status == 1
    assert re.fullmatch("Error: .* this does not look like a chat server: .*\n", errors)


def test_the_server_goes_while_there_is_nothing_to_send() -> None:
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", stdin=subprocess.PIPE) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        peer.say("*server*", b"ERR SHUTTING_DOWN - good \x07bye")
        peer.close()
        # Although its input is still open.
        assert it.wait(TIMEOUT) == 1
        assert it.stderr is not None
        assert it.stderr.read().splitlines() == [
            b"SHUTTING_DOWN: good \\x07bye",
            b"Error: the server has closed the connection: good \\x07bye",
        ]


def test_the_server_goes_before_it_has_handled_everything() -> None:
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", "hi") as it,
        server.accept() as peer,
    ):
        peer.let_in()
        assert peer.read_line() == b"SEND bob hi\n"
        peer.close()
        status, out, errors = finish(it)
    assert (status, out) == (1, "")
    assert re.fullmatch("Error: the (server has closed the )?connection.*\n", errors)


@pytest.mark.parametrize(
    ("number", "status", "errors"),
    [(signal.SIGINT, 1, "\nAborted!\n"), (signal.SIGTERM, -signal.SIGTERM, "")],
)
def test_a_signal(
    server: chatproto_sync.Server,
    bob: SocketClient,
    number: signal.Signals,
    status: int,
    errors: str,
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("this process ignores it, and so do those that it starts")
    with start("send", "--as=alice", *at(server), "bob", stdin=subprocess.PIPE) as it:
        assert it.stdin is not None
        it.stdin.write(b"hi\n")
        it.stdin.flush()
        assert read_messages(bob, 1) == [b"hi"]
        it.send_signal(number)
        assert it.wait(TIMEOUT) == status
        assert it.stderr is not None
        assert it.stderr.read().decode() == errors
