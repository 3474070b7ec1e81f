"""The commands, as processes: what they take, and what they say when that is wrong."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chatproto import __version__
from chatproto_anyio.cli.main import cli

from ..processes import COMMANDS, Process, run, spawn
from ..servers import TIMEOUT, SocketClient, run_sync
from .commands import CHATPROTO, at

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())

each_client = pytest.mark.parametrize(
    "arguments",
    [["listen", "--as=alice"], ["send", "--as=alice", "bob", "hi"]],
    ids=["listen", "send"],
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@each_command
def test_options(command: list[str], log: Path) -> None:
    options = ["--port=0", "--policy=reference", "--no-notices", "--log-level=warning"]
    with spawn([*command, *options], log) as server:
        _check_options(server)


@each_command
def test_environment(command: list[str], log: Path) -> None:
    with spawn(
        command,
        log,
        CHATPROTO_HOST="127.0.0.1",
        CHATPROTO_PORT="0",
        CHATPROTO_POLICY="reference",
        CHATPROTO_NO_NOTICES="1",
        CHATPROTO_LOG_LEVEL="warning",
    ) as server:
        _check_options(server)


def _check_options(server: Process) -> None:
    """Silence for bad lines, broadcasts by anyone, nothing in the log."""
    with SocketClient(server.address) as alice, SocketClient(server.address) as bob:
        alice.write(b"nonsense\n")
        alice.login("alice")
        bob.login("bob")
        alice.write(b"CHAT/1.0 GROUP g alice\n")
        alice.flush("alice")
        bob.write(b"CHAT/1.0 BROADCAST g hi\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE bob hi\n"
    assert server.log == ""


@each_command
def test_port_in_use(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(*command, "--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"Error: can't listen on 127.0.0.1:{port}: Address already in use\n"


@each_command
@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70])
def test_host_that_does_not_exist(command: list[str], host: str) -> None:
    result = run(*command, "--host", host, "--port", "0")
    assert result.returncode == 1
    assert re.fullmatch(rf"Error: can't listen on {re.escape(host)}:0: .+\n", result.stderr)


@each_command
def test_path_that_is_none(command: list[str], tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "no" / "folder"), str(tmp_path), str(tmp_path / ("x" * 200))):
        result = run(*command, "--unix", path)
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("Error: can't listen on ")


@each_command
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "http"),
        ("--port", "65536"),
        ("--port", "-1"),
        ("--policy", "none"),
        ("--colour", "1"),
    ],
)
def test_bad_option(command: list[str], option: str, value: str) -> None:
    result = run(*command, f"{option}={value}")
    assert result.returncode == 2
    assert option in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@each_command
def test_bad_environment(command: list[str]) -> None:
    for variable, value in [("POLICY", "none"), ("PORT", "http"), ("NO_NOTICES", "maybe")]:
        result = run(*command, **{f"CHATPROTO_{variable}": value})
        assert result.returncode == 2
        assert value in result.stderr
        assert "Traceback" not in result.stderr


@each_command
def test_help(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.returncode == 0
    for option in ("--host", "--port", "--unix", "--policy", "--no-notices", "--log-level"):
        assert option in result.stdout


@pytest.mark.parametrize("module", ["chatproto", "chatproto_sync"])
def test_version(module: str) -> None:
    result = run(sys.executable, "-m", module, "--version")
    assert result.returncode == 0
    assert result.stdout == f"chatproto {__version__}\n"


@each_client
def test_where_the_server_is(arguments: list[str], tmp_path: Path) -> None:
    """There is none, which they can only know if they have looked there."""
    path = str(tmp_path / "nobody")
    for options, variables, place in [
        ([], {"CHATPROTO_PORT": "1"}, "127.0.0.1:1"),
        (["--host=127.0.0.2"], {"CHATPROTO_PORT": "1"}, "127.0.0.2:1"),
        (["--port=2"], {"CHATPROTO_PORT": "1", "CHATPROTO_HOST": "127.0.0.3"}, "127.0.0.3:2"),
        ([f"--unix={path}"], {"CHATPROTO_PORT": "1"}, f"unix:{path}"),
        ([], {"CHATPROTO_UNIX": path}, f"unix:{path}"),
    ]:
        result = run(*CHATPROTO, *arguments, *options, **variables)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: can't connect to {place}: ")
        assert len(result.stderr.splitlines()) == 1


@each_client
def test_hosts_that_do_not_exist(arguments: list[str]) -> None:
    for host in ("no.such.host.invalid", "a..b", "x" * 70, "\udcff"):
        result = run(*CHATPROTO, *arguments, "--host", host, "--port=1")
        assert (result.returncode, result.stdout) == (1, "")
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("Error: can't connect to ")


@each_client
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "http"),
        ("--port", "65536"),
        ("--port", "0"),
        ("--unix", ""),
        ("--as", "two words"),
        ("--as", "*server*"),
        ("--as", "\udcff"),
        ("--colour", "1"),
    ],
)
def test_bad_option_of_a_client(arguments: list[str], option: str, value: str) -> None:
    result = run(*CHATPROTO, *arguments, f"{option}={value}")
    assert (result.returncode, result.stdout) == (2, "")
    assert option in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@each_client
def test_bad_environment_of_a_client(arguments: list[str]) -> None:
    result = run(*CHATPROTO, *arguments, CHATPROTO_PORT="http")
    assert result.returncode == 2
    assert "CHATPROTO_PORT" in result.stderr.splitlines()[-1]


@each_client
def test_help_of_a_client(arguments: list[str]) -> None:
    result = run(*CHATPROTO, arguments[0], "--help")
    assert (result.returncode, result.stderr) == (0, "")
    for words in ("--as", "--host", "--port", "--unix", "CHATPROTO_UNIX", "Exit status:"):
        assert words in result.stdout


def test_help_of_the_command() -> None:
    result = run(*CHATPROTO, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    # What each is for fits into its line.
    for command in cli.commands.values():
        assert re.search(rf"^  {command.name} +\S.*\w\.$", result.stdout, re.MULTILINE)


WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *_: None if name in {missing!r} else find_spec(name)
sys.argv = ["chatproto", *{arguments!r}]
from chatproto.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        (["click"], ["--version"]),
        (["anyio"], ["serve"]),
        (["anyio"], ["send", "--help"]),
        (["trio"], ["serve", "--backend", "trio", "--port", "0"]),
    ],
)
def test_missing_extra(missing: list[str], arguments: list[str]) -> None:
    result = run(sys.executable, "-c", WITHOUT.format(missing=missing, arguments=arguments))
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert missing[0] in result.stderr
    assert "pip install 'chatproto-sansio[server]'" in result.stderr


def test_missing_extra_for_a_terminal() -> None:
    """The chat needs more there than in a pipe."""
    ours, theirs = os.openpty()
    with (
        run_sync(port=0) as server,
        os.fdopen(ours, "rb", buffering=0),
        os.fdopen(theirs, "wb") as terminal,
    ):
        arguments = ["chat", "alice", *at(server)]
        code = WITHOUT.format(missing=["prompt_toolkit"], arguments=arguments)
        result = subprocess.run(
            [sys.executable, "-c", code],
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TERM": "vt100"},
            timeout=TIMEOUT,
            check=False,
        )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "pip install 'chatproto-sansio[server]'" in result.stderr


def test_works_without_trio(log: Path) -> None:
    code = WITHOUT.format(missing=["trio"], arguments=["serve", "--port", "0"])
    with spawn([sys.executable, "-c", code], log) as server:
        assert server.end(signal.SIGTERM) == 0


@each_client
def test_clients_work_with_less(arguments: list[str]) -> None:
    missing = ["trio", "prompt_toolkit"]
    code = WITHOUT.format(missing=missing, arguments=[*arguments, "--port=1"])
    result = run(sys.executable, "-c", code)
    assert result.returncode == 1
    assert result.stderr == "Error: can't connect to 127.0.0.1:1: Connection refused\n"


def test_a_bug_is_not_taken_for_a_missing_extra() -> None:
    code = WITHOUT.format(missing=["chatproto.server.broker"], arguments=["serve"])
    result = run(sys.executable, "-c", code)
    assert "ModuleNotFoundError" in result.stderr
