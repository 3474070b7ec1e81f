"""`--state`: what operators see of it."""

import resource
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ..processes import COMMANDS, PROGRAMS, run, spawn
from ..servers import clients

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
each_program = pytest.mark.parametrize("command", PROGRAMS.values(), ids=PROGRAMS.keys())

LIMITED = """
import os, resource, sys
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (60000, most))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a command that can't make a file longer than 60,000 bytes."""


@each_command
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_groups_survive_a_restart(command: list[str], number: int, tmp_path: Path) -> None:
    options = ["--port", "0", "--state", str(tmp_path / "groups")]
    with spawn([*command, *options], tmp_path / "log") as process:
        with clients(process.address, "alice") as (alice,):
            alice.write(b"CHAT/1.0 GROUP tea alice bob\n")
            alice.flush("alice")
        assert process.end(number) == 0
    with (
        spawn([*command, *options], tmp_path / "log") as process,
        clients(process.address, "alice", "bob") as (alice, bob),
    ):
        alice.write(b"CHAT/1.0 BROADCAST tea welcome back\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice welcome back\n"


@each_program
def test_a_file_that_can_be_used_no_more(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "recipes"
    path.write_bytes(b"my recipes")
    result = run(*command, "--port", "0", "--state", str(path))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: {path} is no state file of a chat server: name another file, or one that does not"
        " exist\n"
    )
    assert path.read_bytes() == b"my recipes"


@each_program
def test_a_check(command: list[str], tmp_path: Path) -> None:
    """It looks into the file, also while a server uses it, and makes none."""
    path = tmp_path / "groups"
    options = ["--port", "0", "--state", str(path)]
    result = run(*command, *options, "--check")
    assert result.returncode == 0
    assert result.stdout.startswith("The configuration is good. It uses:\n")
    assert not path.exists()
    with spawn([*command, *options], tmp_path / "log") as process:
        with clients(process.address, "alice") as (alice,):
            alice.write(b"CHAT/1.0 GROUP tea alice bob\n")
            alice.flush("alice")
        assert run(*command, *options, "--check").returncode == 0
    path.write_bytes(b"my recipes")
    result = run(*command, *options, "--check")
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {path} is no state file of a chat server: ")


@each_command
def test_another_path_needs_a_restart(command: list[str], tmp_path: Path) -> None:
    config = tmp_path / "chat.toml"
    first, second = tmp_path / "first", tmp_path / "second"
    config.write_text(f'port = 0\nstate = "{first}"\n', encoding="utf-8")
    with spawn([*command, "--config", str(config)], tmp_path / "log") as process:
        config.write_text(f'port = 0\nstate = "{second}"\n', encoding="utf-8")
        process.popen.send_signal(signal.SIGHUP)
        process.wait_for_log("WARNING these options change only with a restart: state\n")
        assert process.end(signal.SIGTERM) == 0
    assert first.exists()
    assert not second.exists()


@each_program
def test_an_empty_path(command: list[str]) -> None:
    result = run(*command, "--port", "0", "--state", "")
    assert result.returncode == 2
    assert "--state: it is empty\n" in result.stderr


@each_command
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="another process's limits: Linux")
def test_a_disk_that_is_full(command: list[str], tmp_path: Path) -> None:
    """The chat goes on. When there is room again, all is written."""
    path = tmp_path / "groups"
    options = ["--port", "0", "--state", str(path)]
    starter = [sys.executable, "-c", LIMITED, *command, *options]
    with spawn(starter, tmp_path / "log") as process:
        with clients(process.address, "alice", "bob") as (alice, bob):
            for number in range(500):
                alice.write(b"CHAT/1.0 GROUP a-group-of-alice-%d alice bob\n" % number)
            process.wait_for_log(f"ERROR can't write the state file {path}, trying again: ")
            alice.write(b"CHAT/1.0 BROADCAST a-group-of-alice-499 still here\n")
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice still here\n"
            _, most = resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (most, most))
            process.wait_for_log(f"WARNING the state file {path} is written again\n")
        assert process.end(signal.SIGTERM) == 0
        assert process.log.count("ERROR") == 1
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM groups").fetchone() == (500,)
