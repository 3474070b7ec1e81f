"""chatproto_anyio.cli.chat.plain, and chat.conversation through it: `chatproto chat` with pipes."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chatproto import DuplicateLogin, Limits, Policy
from chatproto_anyio.cli.main import cli

from ...client.scripted import Player, ScriptedServer, refuse
from ...processes import run as run_program
from ...servers import TIMEOUT, SocketClient, run_sync
from ..commands import CALM_CHATPROTO, at, finish, run, start

NO_LABELS = "* this server does not say which group a message was sent to"
"""What it shows first when the server is a `ScriptedServer`."""


@contextmanager
def alice(path: str, *options: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `chatproto chat alice` with pipes. The end of the context kills it."""
    arguments = ["chat", "alice", "--unix", path, *options]
    environment = {"PYTHONUTF8": "1", **environment}
    with start(
        *arguments, stdin=subprocess.PIPE, environment=environment, program=CALM_CHATPROTO
    ) as popen:
        yield popen


def alice_on(
    server: ScriptedServer, *options: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The same on a scripted server."""
    arguments = ["chat", "alice", *at(server), *options]
    return start(*arguments, stdin=subprocess.PIPE, program=CALM_CHATPROTO)


def write(popen: subprocess.Popen[bytes], data: bytes) -> None:
    assert popen.stdin is not None
    popen.stdin.write(data)
    popen.stdin.flush()


def read_line(popen: subprocess.Popen[bytes]) -> str:
    """Read a line, and remove its time."""
    assert popen.stdout is not None
    match = re.fullmatch(r"\d\d:\d\d (.+)\n", popen.stdout.readline().decode())
    assert match
    return match[1]


def chat(path: str, data: bytes, *options: str) -> list[str]:
    """Run `chatproto chat alice` to its end.

    Args:
        path: The server's Unix socket.
        data: The whole input.
        options: More arguments.

    Returns:
        The lines of the output, without their times.
    """
    with alice(path, *options) as popen:
        status, output, errors = finish(popen, data)
    assert (status, errors) == (0, "")
    lines = output.splitlines(keepends=True)
    assert all(re.fullmatch(r"\d\d:\d\d .+\n", line) for line in lines)
    return without_copies(line[6:-1] for line in lines)


def without_copies(lines: Iterable[str]) -> list[str]:
    """Lines without those that are shown once more, marked: the server was slow to refuse them."""
    shown: list[str] = []
    for line in lines:
        if line.startswith("! ") and shown[-1:] in ([line[2:]], [f"* {line[2:]}"]):
            shown.pop()
        shown.append(line)
    return shown


def test_messages(bob: SocketClient, path: str) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"hi\n")
        assert read_line(popen) == "-> bob: hi"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        bob.write(b"CHAT/1.0 SEND alice hi, too\n")
        assert read_line(popen) == "<bob> hi, too"
        status, output, errors = finish(popen, b"bye")
        assert re.fullmatch(r"\d\d:\d\d -> bob: bye\n", output)
        assert (status, errors) == (0, "")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice bye\n"


def test_everything_is_handled_before_it_ends(bob: SocketClient, path: str) -> None:
    data = b"".join(b"%d\n" % number for number in range(300))
    assert chat(path, data, "--to", "bob") == [f"-> bob: {number}" for number in range(300)]
    for number in range(300):
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice %d\n" % number


def test_answers_are_shown_before_it_ends(bob: SocketClient, path: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = chat(path, b"/msg carol hi\n/msg alice hi\n/msg alice me", "--log", str(log))
    assert without_copies(line[20:] for line in log.read_text().splitlines()) == lines
    # What was refused is marked, and the reason follows.
    assert lines[:2] == ["! -> carol: hi", "! NO_SUCH_USER: carol is not online"]
    assert sorted(lines[2:]) == [
        "-> alice: hi",
        "-> alice: me",
        "<alice> hi",
        "<alice> me",
    ]
    bob.flush("bob")


def test_messages_before_the_confirmation_are_shown() -> None:
    """What was sent too. It logs out only when the server has confirmed that it handled all."""

    def confirm(player: Player) -> None:
        assert player.read_line() == b"CHAT/1.0 SEND bob hi\n"
        confirmation = player.asked()
        player.wait()
        player.write(b"CHAT/1.0 RECEIVE bob late\n" + confirmation)
        assert player.read_line() == b"CHAT/1.0 LOGOUT\n"

    with (
        ScriptedServer([Player.login, confirm]) as server,
        alice_on(server, "--to=bob") as popen,
    ):
        write(popen, b"hi\n")
        assert read_line(popen) == NO_LABELS
        assert read_line(popen) == "-> bob: hi"
        server.go.set()
        status, output, errors = finish(popen)
    assert (status, errors) == (0, "")
    assert [line[6:] for line in output.splitlines()] == ["<bob> late"]


def test_groups(bob: SocketClient, path: str) -> None:
    lines = chat(path, b"/group team alice bob\n/say team one\n/leave team\n/to\n/quit\nx\n")
    assert lines == [
        "* asked for group team of alice, bob",
        "-> group team: one",
        "* asked to leave group team; you made it, so you can send to it while others are in it",
        "* you talk to nobody",
    ]
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice one\n"
    bob.write(b"CHAT/1.0 GROUP bobs bob\n")
    bob.flush("bob")
    assert chat(path, b"two\n", "--to-group", "bobs") == [
        "! -> group bobs: two",
        "! NOT_A_MEMBER: you are not a member of bobs",
    ]


def test_messages_to_a_group_differ_from_those_to_one_user(bob: SocketClient, path: str) -> None:
    with alice(path) as popen:
        write(popen, b"/group tea alice bob\n")
        assert read_line(popen) == "* asked for group tea of alice, bob"
        bob.write(b"CHAT/1.0 SEND alice #tea hi\nCHAT/1.0 BROADCAST tea hi\n")
        assert read_line(popen) == "<bob> #tea hi"
        assert read_line(popen) == "#tea <bob> hi"


def test_replies(bob: SocketClient, path: str) -> None:
    with alice(path, "--to", "alice") as popen:
        write(popen, b"/reply to whom?\n/group tea alice bob\n")
        assert read_line(popen) == "* nobody has written to you so far"
        assert read_line(popen) == "* asked for group tea of alice, bob"
        bob.write(b"CHAT/1.0 BROADCAST tea hi\n")
        assert read_line(popen) == "#tea <bob> hi"
        write(popen, b"/reply hi,  all\n/reply still there?\n")
        assert read_line(popen) == "-> group tea: hi,  all"
        assert read_line(popen) == "-> group tea: still there?"
        bob.write(b"CHAT/1.0 SEND alice psst\n")
        assert read_line(popen) == "<bob> psst"
        assert finish(popen, b"/reply what?\n")[1][6:] == "-> bob: what?\n"
    for data in (b"hi,  all", b"still there?", b"what?"):
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice %b\n" % data


def test_who_is_in_a_group(bob: SocketClient, path: str) -> None:
    assert chat(path, b"/groups\n/group tea alice\n/names tea\n/add tea bob\n/names tea\n") == [
        "* your groups: none",
        "* asked for group tea of alice",
        "* in group tea: alice",
        "* bob is in group tea now",
        "* in group tea: alice, bob",
    ]
    assert bob.read_line() == b"CHAT/1.0 RECEIVE *groups* added tea bob alice\n"
    lines = chat(path, b"/group board bob\n/groups\n/names board\n/leave tea\n/groups\n")
    assert lines[1:3] == ["* your groups: tea", "* in group board: bob"]
    assert lines[-1] == "* your groups: none"
    bob.flush("bob")


@pytest.mark.usefixtures("bob")
def test_a_group_that_everybody_has_left(path: str) -> None:
    lines = chat(path, b"/group tea alice\n/leave tea\n/names tea\n")
    assert lines[-1] == "! NO_SUCH_GROUP: there is no group tea that you are in or have made"


def test_requests_that_the_server_refuses(bob: SocketClient, path: str) -> None:
    bob.write(b"CHAT/1.0 GROUP board bob\nCHAT/1.0 GROUP tea alice bob\n")
    bob.flush("bob")
    data = b"/names board\n/names n\xe2\x80\xaeo\n/add tea carol\n/add board carol\n/names *x\n"
    assert chat(path, data) == [
        "! NO_SUCH_GROUP: there is no group board that you are in or have made",
        "! NO_SUCH_GROUP: there is no group n\\u202eo that you are in or have made",
        "! NOT_ALLOWED: this server does not let you add members to tea",
        "! NO_SUCH_GROUP: there is no group board that you are in or have made",
        "! NO_SUCH_GROUP: there is no group *x that you are in or have made",
    ]


def test_being_added_to_a_group(bob: SocketClient, path: str) -> None:
    with alice(path) as popen:
        write(popen, b"/groups\n")
        assert read_line(popen) == "* your groups: none"
        bob.write(b"CHAT/1.0 GROUP tea bob\nCHAT/1.0 SEND *groups* add tea alice\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE *groups* added tea alice bob\n"
        assert read_line(popen) == "* bob has added you to group tea"
        assert finish(popen, b"/groups\n")[1][6:] == "* your groups: tea\n"


@pytest.mark.parametrize("options", [{"policy": Policy.reference()}, {"notices": False}])
def test_a_server_without_the_service_for_groups(path: str, options: dict[str, Any]) -> None:
    no_answer = "! this server does not answer requests about groups"
    with (
        run_sync(unix=path, **options),
        SocketClient(f"unix:{path}") as bob,
        alice(path) as popen,
    ):
        bob.login("bob")
        write(popen, b"/groups\n/names tea\n/add tea bob\n/group tea alice bob\n")
        lines = [read_line(popen) for _ in range(5)]
        assert lines == [NO_LABELS, *[no_answer] * 3, "* asked for group tea of alice, bob"]
        write(popen, b"/say tea hi\n")
        assert read_line(popen) == "-> group tea: hi"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        bob.write(b"CHAT/1.0 BROADCAST tea hi, all\n")
        assert read_line(popen) == "<bob> hi, all"
        # Where else? The program has said that it can't know the group.
        assert finish(popen, b"/reply hi, bob\n")[1][6:] == "-> bob: hi, bob\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi, bob\n"


def test_only_who_made_a_group_is_told_what_leaving_leaves(bob: SocketClient, path: str) -> None:
    bob.write(b"CHAT/1.0 GROUP tea alice bob\n")
    bob.flush("bob")
    data = (
        b"/leave tea\n/group team alice bob\n/nick carol\n/leave team\n/nick alice\n/leave team\n"
    )
    lines = [line for line in chat(path, data) if "leave" in line]
    assert lines == [
        "* asked to leave group tea",
        # Groups keep the name of who made them, and of their members.
        "! asked to leave group team",
        "* asked to leave group team; you made it, so you can send to it while others are in it",
    ]


def test_who_has_made_a_group_and_left_it_still_sends_to_it(bob: SocketClient, path: str) -> None:
    """What `/leave` says is true."""
    lines = chat(path, b"/group team alice bob\n/leave team\n/say team hi\n")
    assert lines[-1] == "-> group team: hi"
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


def test_lines_that_cannot_be_executed_are_not_sent(bob: SocketClient, path: str) -> None:
    lines = chat(path, b"hi\n\n  \n/foo\n/msg bob\n/msg b\tob x\n")
    assert [line[0] for line in lines] == ["*", "*", "*", "!"]
    bob.flush("bob")


def test_any_bytes(bob: SocketClient, path: str) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"\xff\x1b[2J\t\xe6\x97\xa5\r\n")
        # Control characters are not sent.
        assert read_line(popen) == "-> bob: \ufffd[2J    \u65e5"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice \xff[2J    \xe6\x97\xa5\n"
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
    longest = b"y" * (limit - len(b"CHAT/1.0 RECEIVE alice \n"))
    too_long = [b"x" * (limit - 10), b"x" * (2 * limit), b"/msg " + b" " * limit + b"bob x"]
    lines = chat(path, b"\n".join([*too_long, longest]), "--to", "bob")
    assert [line.split(": ")[0] for line in lines] == ["! LINE_TOO_LONG"] * 3 + ["-> bob"]
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice %b\n" % longest


def test_files(bob: SocketClient, path: str, tmp_path: Path) -> None:
    source, target = tmp_path / "input", tmp_path / "output"
    source.write_text("one\ntwo\n")
    arguments = ["chat", "alice", "--unix", path, "--to", "bob"]
    with (
        source.open("rb") as stdin,
        target.open("wb") as stdout,
        start(*arguments, stdin=stdin, stdout=stdout) as popen,
    ):
        assert finish(popen) == (0, "", "")
    assert [line[6:] for line in target.read_text().splitlines()] == ["-> bob: one", "-> bob: two"]
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice one\n"


def test_no_input(bob: SocketClient, path: str) -> None:
    with start("chat", "alice", "--unix", path, stdin=subprocess.DEVNULL) as popen:
        assert finish(popen) == (0, "", "")
    bob.flush("bob")


def test_an_output_that_nobody_reads_any_more(bob: SocketClient, path: str) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"hi\n")
        assert read_line(popen) == "-> bob: hi"
        assert popen.stdout is not None
        popen.stdout.close()
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        bob.write(b"CHAT/1.0 SEND alice hi\n")
        # Although its input is still open.
        assert popen.wait(TIMEOUT) == 0
        assert popen.stderr is not None
        assert popen.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(bob: SocketClient, path: str, number: int) -> None:
    with alice(path, "--to", "bob") as popen:
        write(popen, b"hi\n")
        assert read_line(popen) == "-> bob: hi"
        popen.send_signal(number)
        assert finish(popen) == (0, "", "")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


@pytest.mark.usefixtures("bob")
def test_it_works_without_prompt_toolkit(path: str) -> None:
    code = "import sys; sys.modules['prompt_toolkit'] = None; from chatproto.__main__ import main"
    result = run_program(sys.executable, "-c", f"{code}; main()", "chat", "alice", "--unix", path)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def lose(player: Player) -> None:
    """Read a message and the ping behind it, and answer nothing."""
    assert player.read_line() == b"CHAT/1.0 SEND bob hi\n"
    player.asked()


def test_what_may_be_lost_with_a_connection() -> None:
    with (
        ScriptedServer([Player.login, lose], [Player.serve]) as server,
        alice_on(server, "--to=bob") as popen,
    ):
        write(popen, b"hi\n")
        assert read_line(popen) == NO_LABELS
        assert "! this may be lost: -> bob: hi" in (read_line(popen), read_line(popen))
        status, output, errors = finish(popen, b"hi again\n")
    assert (status, errors) == (0, "")
    assert "-> bob: hi again" in output
    assert "may be lost" not in output


def test_an_outage_in_which_the_server_forgets_groups_and_users(path: str) -> None:
    """What was typed meanwhile waits for those who are not back yet."""
    with ExitStack() as stack:
        with run_sync(unix=path), SocketClient(f"unix:{path}") as bob:
            popen = stack.enter_context(alice(path))
            write(popen, b"/group tea alice bob\n")
            assert read_line(popen) == "* asked for group tea of alice, bob"
            bob.login("bob")
            bob.write(b"CHAT/1.0 GROUP board alice bob\nCHAT/1.0 BROADCAST board hi\n")
            assert read_line(popen) == "#board <bob> hi"
        while "connecting again" not in read_line(popen):
            pass
        write(popen, b"/msg bob hi\n/say tea hi\n")
        stack.enter_context(run_sync(unix=path))
        awaited = {
            "* bob is not back yet: trying again for",
            "* these groups are gone, or you are not in them any more: tea, board; /group makes",
        }
        lines: list[str] = []
        while awaited:
            lines.append(read_line(popen))
            awaited = {each for each in awaited if not lines[-1].startswith(each)}
        bob = stack.enter_context(SocketClient(f"unix:{path}"))
        bob.login("bob")
        lines += [line[6:] for line in finish(popen)[1].splitlines()]
    # What was sent is shown after some time, or with the answer.
    assert without_copies(line for line in lines if not line.startswith("* ")) == [
        "-> bob: hi",
        "! -> group tea: hi",
        "! NO_SUCH_GROUP: there is no group tea",
    ]


def read_request(player: Player) -> None:
    """Read a request and the ping behind it, and answer nothing."""
    assert player.read_line() == b"CHAT/1.0 SEND *groups* add tea bob\n"
    player.asked()


def test_requests_that_are_lost_with_a_connection() -> None:
    with (
        ScriptedServer([Player.login, read_request], [Player.serve]) as server,
        alice_on(server) as popen,
    ):
        status, output, errors = finish(popen, b"/add tea bob\n/groups\n")
    assert (status, errors) == (0, "")
    lines = [line[6:] for line in output.splitlines()]
    assert "! this is not answered: /add tea bob" in lines
    assert lines[-1] == "! this server does not answer requests about groups"


def test_requests_without_an_answer_when_it_ends() -> None:
    asked = threading.Event()
    script = [Player.login, read_request, lambda _: asked.set(), Player.drain]
    with (
        ScriptedServer(script) as server,
        alice_on(server) as popen,
    ):
        write(popen, b"/add tea bob\n")
        assert asked.wait(TIMEOUT)
        popen.send_signal(signal.SIGTERM)
        status, output, errors = finish(popen)
    assert (status, errors) == (0, "")
    assert output.splitlines()[-1][6:] == "! this is not answered: /add tea bob"


def test_what_is_confirmed_is_not_lost() -> None:
    def confirm_and_lose(player: Player) -> None:
        assert player.read_line() == b"CHAT/1.0 SEND bob one\n"
        # The second one is for `/ping`.
        player.echo()
        player.echo()
        lose(player)

    with (
        ScriptedServer([Player.login, confirm_and_lose], [Player.serve]) as server,
        alice_on(server, "--to=bob") as popen,
    ):
        write(popen, b"one\n")
        assert read_line(popen) == NO_LABELS
        assert read_line(popen) == "-> bob: one"
        write(popen, b"/ping\n")
        assert read_line(popen).startswith("* to the server and back: ")
        write(popen, b"hi\n")
        _, output, _ = finish(popen, b"")
    assert "! this may be lost: -> bob: hi" in output
    assert "! this may be lost: -> bob: one" not in output


def test_what_may_be_lost_at_the_end() -> None:
    with (
        ScriptedServer([Player.login, lose]) as server,
        alice_on(server, "--to=bob") as popen,
    ):
        status, output, errors = finish(popen, b"hi\n")
    assert status == 1
    assert "! this may be lost: -> bob: hi" in output
    assert errors == "Error: the server has closed the connection\n"


def test_what_is_typed_and_can_not_be_sent() -> None:
    """The server takes no other login."""
    typed = threading.Event()
    scripts = [Player.login, Player.wait], [lambda _: typed.wait(TIMEOUT), refuse("AUTH_FAILED")]
    with (
        ScriptedServer(*scripts) as server,
        start("chat", "alice", *at(server), "--to=bob", stdin=subprocess.PIPE) as popen,
    ):
        server.go.set()
        assert read_line(popen) == NO_LABELS
        assert read_line(popen) == "* the server has closed the connection; connecting again"
        write(popen, b"one\n\ntwo\n")
        assert read_line(popen) == "* there is no connection: waiting until it is back"
        typed.set()
        status, output, errors = finish(popen)
    assert (status, errors) == (1, "Error: AUTH_FAILED: no\n")
    assert [line[6:] for line in output.splitlines() if "not sent" in line] == [
        "! this is not sent: one",
        "! this is not sent: two",
    ]


def test_no_server(path: str) -> None:
    errors = f"Error: can't connect to unix:{path}: No such file or directory\n"
    assert run("chat", "alice", "--unix", path) == (1, "", errors)


def test_a_login_that_is_refused(path: str) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REJECT)
    with run_sync(unix=path, policy=policy), SocketClient(f"unix:{path}") as other:
        other.login("alice")
        status, output, errors = run("chat", "alice", "--unix", path)
    assert (status, output) == (1, "")
    assert re.fullmatch("Error: NAME_IN_USE: .*\n", errors)


def test_a_connection_that_is_lost_for_good(path: str) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REPLACE)
    with (
        run_sync(unix=path, policy=policy),
        alice(path) as popen,
        SocketClient(f"unix:{path}") as other,
    ):
        write(popen, b"/ping\n")
        assert read_line(popen).startswith("* to the server and back: ")
        other.login("alice")
        # It ends although its input is still open.
        assert popen.wait(TIMEOUT) == 1
        _, output, errors = finish(popen)
    assert "! NAME_IN_USE: " in output
    assert errors.startswith("Error: the server has closed the connection: ")


@pytest.mark.parametrize(
    "options",
    [
        ["a b"],
        ["*alice"],
        ["alice", "--to", "a b"],
        ["alice", "--to-group", "*g"],
        ["alice", "--to", "bob", "--to-group", "g"],
        ["alice", "--unix", ""],
        ["alice", "--log", "/nowhere/log"],
        [],
    ],
)
def test_wrong_usage(options: list[str]) -> None:
    # Does not connect: no server is there.
    result = CliRunner().invoke(cli, ["chat", "--port=1", *options])
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].startswith("Error: ")
