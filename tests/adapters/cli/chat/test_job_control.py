"""chatproto_anyio.cli.chat.terminal: how a shell stops it and continues it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ...servers import SocketClient, run_sync
from .terminal import CHAT, IN_SHELL, Terminal, open_chat

STOPPED = f"stopped by {signal.SIGTSTP:d} settings kept"


@contextmanager
def half_a_line(path: str) -> Iterator[Terminal]:
    """Run the chat in a shell, and type a half of a line to bob."""
    with open_chat(path, "--to", "bob", command=[*IN_SHELL, *CHAT]) as terminal:
        # What the terminal is asked below that line, it has answered before it sends the keys. A
        # shell would read an answer that comes later.
        terminal.wait_for_line(r"\* /help lists .*")
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type("half")
        terminal.wait_for_prompt("alice -> bob: half")
        yield terminal


def resume_and_end(terminal: Terminal, bob: SocketClient) -> None:
    """Go on from the shell's prompt."""
    terminal.wait_for_prompt("$")
    terminal.type("fg\r")
    terminal.wait_for_prompt("alice -> bob: half")
    terminal.type(" and half\r")
    terminal.wait_for_line("-> bob: half and half")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice half and half\n"
    terminal.type("\x04")
    assert terminal.wait_for_end() == 0
    assert terminal.is_as_before


def test_ctrl_z(bob: SocketClient, path: str) -> None:
    with half_a_line(path) as terminal:
        terminal.type("\x1a")
        terminal.wait_for(lambda lines: lines[-2:] == [STOPPED, "$"])
        # The prompt is gone, and what has arrived meanwhile comes when it goes on.
        assert terminal.is_as_before
        assert not any(line.startswith("alice") for line in terminal.lines)
        bob.write(b"CHAT/1.0 SEND alice hi\n")
        bob.flush("bob")
        resume_and_end(terminal, bob)
        assert any(line.endswith("<bob> hi") for line in terminal.lines)


def test_a_signal_stops_it_like_ctrl_z(bob: SocketClient, path: str) -> None:
    with half_a_line(path) as terminal:
        terminal.kill_job(signal.SIGTSTP)
        terminal.wait_for(lambda lines: lines[-2:] == [STOPPED, "$"])
        assert terminal.is_as_before
        resume_and_end(terminal, bob)


def test_again_and_again(bob: SocketClient, path: str) -> None:
    with half_a_line(path) as terminal:
        for _ in range(3):
            terminal.type("\x1a")
            terminal.wait_for_prompt("$")
            terminal.type("fg\r")
            terminal.wait_for_prompt("alice -> bob: half")
        terminal.type("\x1a")
        resume_and_end(terminal, bob)


def test_the_background(bob: SocketClient, path: str) -> None:
    """It stops again there, because it may not use the terminal."""
    with half_a_line(path) as terminal:
        terminal.type("\x1a")
        terminal.wait_for_prompt("$")
        terminal.type("bg\r")
        terminal.wait_for(
            lambda lines: lines[-2:] == [f"stopped by {signal.SIGTTOU:d} settings kept", "$"]
        )
        resume_and_end(terminal, bob)


def test_a_stop_that_it_does_not_notice(bob: SocketClient, path: str) -> None:
    """The shell has changed the terminal's settings meanwhile."""
    with half_a_line(path) as terminal:
        terminal.kill_job(signal.SIGSTOP)
        terminal.wait_for_prompt("$")
        resume_and_end(terminal, bob)


def test_nobody_could_continue_it(bob: SocketClient, path: str) -> None:
    """Without a shell above it, the system does not stop it."""
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type("half\x1a and half\r")
        terminal.wait_for_line("-> bob: half and half")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice half and half\n"


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_without_a_prompt(path: str, number: int) -> None:
    with run_sync(unix=path):
        command = [*IN_SHELL, *CHAT]
        with open_chat(path, "--to=alice", command=command, TERM="dumb") as terminal:
            terminal.type("hi\r")
            terminal.wait_for_line("<alice> hi")
            terminal.kill_job(number)
            terminal.wait_for_prompt("$")
            terminal.type("fg\r")
            terminal.type("hi again\r")
            terminal.wait_for_line("<alice> hi again")
            terminal.type("\x04")
            assert terminal.wait_for_end() == 0
