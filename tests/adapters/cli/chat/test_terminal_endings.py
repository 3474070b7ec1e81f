"""chatproto_anyio.cli.chat.terminal: how it ends, and outages, in a terminal."""

import re
import signal
import sys
from contextlib import ExitStack

import pytest

from chatproto import DuplicateLogin, Policy

from ...client.scripted import Player, ScriptedServer
from ...servers import SocketClient, run_sync
from ..commands import CHATPROTO, at
from .terminal import (
    CHAT,
    HASTY_CHAT,
    IMPATIENT_CHAT,
    STUBBORN_CHAT,
    open_chat,
    spawn_in_terminal,
)

REPORTING = """
import asyncio
from chatproto_anyio.cli.chat.terminal import TerminalInterface
from chatproto.__main__ import main
accept = TerminalInterface._accept

def report_and_accept(self, buffer):
    context = {"message": "too late", "exception": asyncio.InvalidStateError()}
    asyncio.get_running_loop().call_exception_handler(context)
    return accept(self, buffer)

TerminalInterface._accept = report_and_accept
main()
"""
REPORTING_CHAT = [sys.executable, "-c", REPORTING, "chat"]
"""With each Enter, the event loop reports what it reports when a Unix socket is ready too late."""


def test_reconnecting(path: str) -> None:
    with ExitStack() as stack:
        with run_sync(unix=path):
            terminal = stack.enter_context(open_chat(path, "--to=alice", command=IMPATIENT_CHAT))
            terminal.wait_for_prompt("alice -> alice:")
        terminal.wait_for_line("! SHUTTING_DOWN: .*")
        terminal.wait_for_prompt("(offline) alice -> alice:")
        terminal.type("still here\rtyping")
        terminal.wait_for_line(r"\* there is no connection: waiting until it is back")
        stack.enter_context(run_sync(unix=path))
        terminal.wait_for_line(r"\* reconnected after \d+\.\d s; messages may have been missed")
        terminal.wait_for_line("-> alice: still here")
        terminal.wait_for_line("<alice> still here")
        terminal.wait_for_prompt("alice -> alice: typing")


def test_the_prompt_shows_at_once_that_the_server_is_gone() -> None:
    with (
        ScriptedServer([Player.login, Player.wait]) as server,
        spawn_in_terminal([*CHAT, "alice", *at(server)]) as terminal,
    ):
        terminal.wait_for_prompt("alice:")
        server.go.set()
        terminal.wait_for_line(r"\* the server has closed the connection; connecting again")
        terminal.wait_for_prompt("(offline) alice:")


def test_the_prompt_shows_that_the_server_hangs() -> None:
    with (
        ScriptedServer([Player.login, Player.wait]) as server,
        spawn_in_terminal([*HASTY_CHAT, "alice", *at(server)]) as terminal,
    ):
        terminal.wait_for_line(r"\* the server does not answer: .*; connecting again")
        terminal.wait_for_prompt("(offline) alice:")


@pytest.mark.parametrize("keys", ["\x04", "/quit\r", "\x03", "/quit\rmore\r"])
def test_quitting(path: str, keys: str) -> None:
    with run_sync(unix=path), SocketClient(f"unix:{path}") as bob:
        bob.login("bob")
        with open_chat(path, "--to", "bob") as terminal:
            terminal.wait_for_prompt("alice -> bob:")
            terminal.type("bye\r" + keys)
            assert terminal.wait_for_end() == 0
            assert terminal.is_as_before
            assert re.fullmatch(r"\d\d:\d\d -> bob: bye", terminal.lines[-1])
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice bye\n"
        bob.flush("bob")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(path: str, number: int) -> None:
    with run_sync(unix=path), open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type("half a line")
        terminal.wait_for_prompt("alice: half a line")
        terminal.kill(number)
        assert terminal.wait_for_end() == 0
        assert terminal.is_as_before
        assert re.fullmatch(r"\d\d:\d\d \* /help lists .*", terminal.lines[-1])


def test_a_signal_while_it_waits(path: str) -> None:
    with ExitStack() as stack:
        with run_sync(unix=path):
            terminal = stack.enter_context(open_chat(path, "--to=bob", command=STUBBORN_CHAT))
            terminal.wait_for_prompt("alice -> bob:")
        terminal.wait_for_line("! SHUTTING_DOWN: .*")
        terminal.type("hi\r")
        terminal.wait_for_line(r"\* there is no connection: waiting until it is back")
        terminal.type("\x04")
        terminal.wait_for(lambda lines: lines[-1].endswith("it is back"))
        # The prompt is gone, so Ctrl-C is a signal.
        terminal.kill(signal.SIGINT)
        assert terminal.wait_for_end() == 0
        assert terminal.is_as_before


def test_quitting_while_there_is_no_connection(path: str) -> None:
    with ExitStack() as stack:
        with run_sync(unix=path):
            terminal = stack.enter_context(open_chat(path, "--to=bob", command=IMPATIENT_CHAT))
            terminal.wait_for_prompt("alice -> bob:")
        terminal.wait_for_prompt("(offline) alice -> bob:")
        terminal.type("one\rtwo\r/quit\r")
        assert terminal.wait_for_end() == 1
        assert terminal.is_as_before
        *_, one, two, error = terminal.lines
        assert (one[6:], two[6:]) == ("! this is not sent: one", "! this is not sent: two")
        assert error == "Error: the server has not confirmed the last messages in time"


def test_what_a_signal_keeps_from_being_sent(path: str) -> None:
    with ExitStack() as stack:
        with run_sync(unix=path):
            terminal = stack.enter_context(open_chat(path, "--to=bob", command=IMPATIENT_CHAT))
            terminal.wait_for_prompt("alice -> bob:")
        terminal.wait_for_line("! SHUTTING_DOWN: .*")
        terminal.type("one\r/help\rtwo\x1b\r\rhalf")
        terminal.wait_for_line(r"\* there is no connection: waiting until it is back")
        terminal.wait_for_prompt("(offline) alice -> bob: half")
        terminal.kill(signal.SIGTERM)
        assert terminal.wait_for_end() == 0
        assert terminal.is_as_before
        assert [line[6:] for line in terminal.lines[-3:]] == [
            "! this is not sent: one",
            "! this is not sent: /help",
            "! this is not sent: two",
        ]


def test_a_connection_that_is_lost_for_good(path: str) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REPLACE)
    with run_sync(unix=path, policy=policy), open_chat(path, columns=200) as terminal:
        terminal.wait_for_prompt("alice:")
        with SocketClient(f"unix:{path}") as another:
            another.login("alice")
            assert terminal.wait_for_end() == 1
        assert terminal.is_as_before
        assert terminal.lines[-1].startswith("Error: the server has closed the connection: ")


def test_a_server_that_confirms_nothing() -> None:

    def wait_for_logout(player: Player) -> None:
        while player.read_line() not in (b"CHAT/1.0 LOGOUT\n", b""):
            pass

    with ScriptedServer([Player.login, wait_for_logout]) as server:
        command = [*IMPATIENT_CHAT, "alice", *at(server), "--to=bob"]
        with spawn_in_terminal(command, columns=200) as terminal:
            terminal.wait_for_prompt("alice -> bob:")
            terminal.type("hi\r")
            terminal.wait_for_prompt("(waiting) alice -> bob:")
            terminal.type("\x04")
            assert terminal.wait_for_end() == 1
            assert terminal.is_as_before
            error = "Error: the server has not confirmed the last messages in time"
            assert terminal.lines[-1] == error
            assert terminal.lines[-2].endswith(" ! this may be lost: -> bob: hi")


def test_a_signal_while_the_terminal_does_not_answer(path: str) -> None:
    """prompt_toolkit does not print the second message before it knows where the cursor is."""
    with run_sync(unix=path), SocketClient(f"unix:{path}") as bob:
        bob.login("bob")
        with open_chat(path) as terminal:
            terminal.wait_for_prompt("alice:")
            terminal.screen.answer = lambda _: None
            bob.write(b"CHAT/1.0 SEND alice one\n")
            terminal.wait_for_line("<bob> one")
            bob.write(b"CHAT/1.0 SEND alice two\n")
            bob.flush("bob")
            # It answers, so it has received the second message. It does not show it yet.
            terminal.type("/msg bob I see\r")
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice I see\n"
            terminal.kill(signal.SIGTERM)
            assert terminal.wait_for_end() == 0
            assert terminal.is_as_before


def test_what_the_event_loop_reports_does_not_wait_for_the_user(path: str) -> None:
    """By default, prompt_toolkit shows it and waits for Enter."""
    with run_sync(unix=path), open_chat(path, "--to=alice", command=REPORTING_CHAT) as terminal:
        terminal.type("hi\r")
        terminal.wait_for_line("<alice> hi")
        terminal.kill(signal.SIGTERM)
        assert terminal.wait_for_end() == 0
        assert b"ENTER" not in terminal.raw


def test_no_server(path: str) -> None:
    with open_chat(path, command=[*CHATPROTO, "chat"], columns=200) as terminal:
        assert terminal.wait_for_end() == 1
        assert terminal.lines == [f"Error: can't connect to unix:{path}: No such file or directory"]


def test_a_dumb_terminal(path: str) -> None:
    with run_sync(unix=path), open_chat(path, "--to", "alice", TERM="dumb") as terminal:
        terminal.type("hi\r")
        terminal.wait_for_line("-> alice: hi")
        terminal.wait_for_line("<alice> hi")
        terminal.type("\x04")
        assert terminal.wait_for_end() == 0
        assert b"\x1b" not in terminal.raw
        assert terminal.is_as_before


def test_prompt_toolkit_is_missing(path: str) -> None:
    code = "import sys; sys.modules['prompt_toolkit'] = None; from chatproto.__main__ import main"
    command = [sys.executable, "-c", f"{code}; main()", "chat", "alice", "--unix", path]
    with spawn_in_terminal(command, columns=200) as terminal:
        assert terminal.wait_for_end() == 1
        [line] = terminal.lines
        assert line.startswith("Error: the command needs the package prompt_toolkit: pip install ")
