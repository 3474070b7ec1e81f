"""chatproto_anyio.cli.send: what is sent, and which notices from the server are printed."""

import subprocess
from pathlib import Path

import pytest

import chatproto_sync

from ..servers import TIMEOUT, SocketClient
from .commands import PlayedServer, at, finish, read_messages, run, start

# What is sent


@pytest.mark.parametrize(
    "text",
    [b"hi", b"", b"  two  words ", "Grüße".encode(), b"not\xff\xfeUTF-8", b"\x1b[2J", b"in\rside"],
)
def test_text(server: chatproto_sync.Server, bob: SocketClient, text: bytes) -> None:
    assert run("send", "--as", "alice", *at(server), "bob", text) == (0, "", "")
    assert read_messages(bob, 1) == [text]
    bob.flush("bob")


@pytest.mark.parametrize("dash", [["-"], []], ids=["dash", "nothing"])
def test_each_line_of_the_input(
    server: chatproto_sync.Server, bob: SocketClient, dash: list[str]
) -> None:
    data = b"one\n\n two \nCR LF\r\nin\rside\nNUL\0\n\xff\xfe\nlast"
    assert run("send", "--as", "alice", *at(server), "bob", *dash, stdin=data) == (0, "", "")
    expected = [b"one", b"", b" two ", b"CR LF", b"in\rside", b"NUL\0", b"\xff\xfe", b"last"]
    assert read_messages(bob, 8) == expected
    bob.flush("bob")


@pytest.mark.parametrize(("data", "lines"), [(b"a\nb\n", [b"a", b"b"]), (b"", [])])
def test_a_file(
    server: chatproto_sync.Server,
    bob: SocketClient,
    tmp_path: Path,
    data: bytes,
    lines: list[bytes],
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(data)
    with path.open("rb") as file, start("send", "--as=alice", *at(server), "bob", stdin=file) as it:
        assert finish(it) == (0, "", "")
    assert read_messages(bob, len(lines)) == lines
    bob.flush("bob")


def test_input_that_epoll_does_not_take(server: chatproto_sync.Server) -> None:
    with start("send", "--as=alice", *at(server), "bob", stdin=subprocess.DEVNULL) as it:
        assert finish(it) == (0, "", "")


def test_many_lines(server: chatproto_sync.Server, bob: SocketClient) -> None:
    lines = [b"line %d" % number for number in range(5000)]
    with start("send", "--as=alice", *at(server), "bob", stdin=subprocess.PIPE) as it:
        assert it.stdin is not None
        it.stdin.write(b"\n".join(lines))
        it.stdin.close()
        assert read_messages(bob, 5000) == lines
        assert it.wait(TIMEOUT) == 0


def test_a_group(server: chatproto_sync.Server, bob: SocketClient) -> None:
    bob.write(b"CHAT/1.0 GROUP tea alice bob\n")
    bob.flush("bob")
    arguments = ["send", "--as=alice", *at(server), "--group", "tea"]
    assert run(*arguments, "hot") == (0, "", "")
    assert run(*arguments, stdin=b"and\nsweet\n") == (0, "", "")
    assert read_messages(bob, 3) == [b"hot", b"and", b"sweet"]


def test_it_does_not_ask_which_group_a_message_was_sent_to() -> None:
    """It shows none, so that would be work for the server only."""
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", "hi") as it,
        server.accept() as peer,
    ):
        assert peer.read_line() == b"LOGIN alice\n"
        peer.echo()
        assert peer.read_line() == b"SEND bob hi\n"
        peer.echo()
        peer.let_go()
        assert finish(it) == (0, "", "")


def test_lines_are_sent_as_soon_as_they_are_read(
    server: chatproto_sync.Server, bob: SocketClient
) -> None:
    with start("send", "--as=alice", *at(server), "bob", stdin=subprocess.PIPE) as it:
        assert it.stdin is not None
        for number in range(10):
            it.stdin.write(b"%d\n" % number)
            it.stdin.flush()
            assert read_messages(bob, 1) == [b"%d" % number]
        assert finish(it, b"last") == (0, "", "")
    assert read_messages(bob, 1) == [b"last"]


def test_an_endless_producer(server: chatproto_sync.Server, bob: SocketClient) -> None:
    # Long lines, so that the pipe holds few of them when the producer ends.
    line = "y" * 1000
    with (
        subprocess.Popen(
            ["sh", "-c", f"while echo {line}; do :; done"], stdout=subprocess.PIPE
        ) as producer,
        start("send", "--as=alice", *at(server), "bob", stdin=producer.stdout or 0) as it,
    ):
        assert read_messages(bob, 1000) == [line.encode()] * 1000
        producer.terminate()
        producer.wait(TIMEOUT)
        assert finish(it) == (0, "", "")


def test_messages_from_others_do_not_block_it(
    server: chatproto_sync.Server, bob: SocketClient
) -> None:
    with start("send", "--as=alice", *at(server), "bob", stdin=subprocess.PIPE) as it:
        assert it.stdin is not None
        it.stdin.write(b"first\n")
        it.stdin.flush()
        assert read_messages(bob, 1) == [b"first"]
        # More than a client queues.
        bob.write(b"CHAT/1.0 SEND alice are you there?\n" * 5000)
        bob.flush("bob")
        assert finish(it, b"second\n") == (0, "", "")
    assert read_messages(bob, 1) == [b"second"]


# Notices


def test_an_error(server: chatproto_sync.Server) -> None:
    status, out, errors = run("send", "--as=alice", *at(server), "nobody", "hi")
    assert (status, out) == (3, "")
    assert errors == "NO_SUCH_USER: nobody is not online\n"


def test_an_error_for_each_line(server: chatproto_sync.Server) -> None:
    status, _, errors = run("send", "--as=alice", *at(server), "nobody", stdin=b"hi\n" * 20)
    assert status == 3
    assert errors == "NO_SUCH_USER: nobody is not online\n" * 20


def test_no_error_is_lost(tmp_path: Path) -> None:
    """A client keeps the last 100 notices, so no more lines may be without an answer."""
    path = tmp_path / "lines"
    path.write_bytes(b"hi\n" * 1000)
    with (
        path.open("rb") as file,
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", stdin=file) as it,
        server.accept() as peer,
    ):
        peer.let_in()
        answers = b""
        while (line := peer.read_line()) != b"LOGOUT\n":
            if line == b"SEND bob hi\n":
                answers += b"CHAT/1.0 RECEIVE *server* ERR ODD SEND no\n"
            else:
                peer.write(answers + b"CHAT/1.0 RECEIVE %b" % line.removeprefix(b"SEND "))
                answers = b""
        peer.close()
        assert finish(it) == (3, "", "ODD: no\n" * 1000)


def test_an_error_about_a_group(server: chatproto_sync.Server) -> None:
    status, _, errors = run("send", "--as=alice", *at(server), "--group", "tea", "hi")
    assert status == 3
    assert errors.startswith("NO_SUCH_GROUP: ")


def test_an_error_is_printed_at_once(server: chatproto_sync.Server) -> None:
    with start("send", "--as=alice", *at(server), "nobody", stdin=subprocess.PIPE) as it:
        assert it.stdin is not None
        assert it.stderr is not None
        it.stdin.write(b"hi\n")
        it.stdin.flush()
        assert it.stderr.readline() == b"NO_SUCH_USER: nobody is not online\n"
        assert finish(it, b"") == (3, "", "")


@pytest.mark.parametrize(
    ("notice", "status", "errors"),
    [
        (b"ERR ODD\x07 SEND \x1b[2Jno", 3, "ODD\\x07: \\x1b[2Jno\n"),
        (b"ERR TIRED - good night", 3, "TIRED: good night\n"),
        (b"Welcome!\x07", 0, "Welcome!\\x07\n"),
    ],
)
def test_notices(notice: bytes, status: int, errors: str) -> None:
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", "hi") as it,
        server.accept() as peer,
    ):
        peer.let_in()
        assert peer.read_line() == b"SEND bob hi\n"
        peer.say("*server*", notice)
        peer.echo()
        peer.let_go()
        assert finish(it) == (status, "", errors)
