"""The options of the commands: what they do, and the messages for wrong ones.

What a command refuses is tested in this process, because to start Python takes a while.
"""

import contextlib
import logging
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import chatproto_sync.__main__
from chatproto import __version__
from chatproto_anyio.cli.main import cli

from ..processes import COMMANDS, Process, run, spawn
from ..servers import TIMEOUT, SocketClient, run_sync
from .commands import at, subcommands

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())

each_server = pytest.mark.parametrize("main", ["chatproto serve", "chatproto_sync"])

each_client = pytest.mark.parametrize(
    "arguments",
    [["listen", "--as=alice"], ["send", "--as=alice", "bob", "hi"]],
    ids=["listen", "send"],
)


class Result(NamedTuple):
    status: object
    stdout: str
    stderr: str


Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Invoke]:
    """Runs a command in this process. Keyword arguments are environment variables."""

    def invoke(main: str, *arguments: str, **environment: str) -> Result:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        try:
            if main == "chatproto_sync":
                status: object = chatproto_sync.__main__.main(arguments)
            else:
                status = cli.main([*main.split()[1:], *arguments], prog_name="chatproto")
        except SystemExit as error:
            status = error.code
        for name in environment:
            monkeypatch.delenv(name)
        written = capfd.readouterr()
        return Result(status, written.out, written.err)

    with process_left_as_it_was():
        yield invoke


@contextlib.contextmanager
def process_left_as_it_was() -> Iterator[None]:
    """Take back what a server's command does to its process for good."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    signals = [(number, signal.getsignal(number)) for number in numbers]
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    root.setLevel(level)
    root.handlers[:] = handlers
    for number, handler in signals:
        signal.signal(number, handler)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@each_command
def test_options(command: list[str], log: Path) -> None:
    options = ["--port=0", "--policy=reference", "--no-notices", "--log-level=warning"]
    with spawn([*command, *options], log) as server:
        _check_options(server)


@each_command
def test_what_kubernetes_sets_is_ignored_with_a_warning(command: list[str], log: Path) -> None:
    variables = {"CHATPROTO_PORT": "tcp://10.0.0.1:3333", "CHATPROTO_METRICS_PORT": "tcp://[::1]:1"}
    options = [f"--unix={log.parent}/chat", "--log-format=text"]
    with spawn([*command, *options], log, **variables) as server:
        for name, value in variables.items():
            server.wait_for_log(f"WARNING ignoring {name}={value}: Kubernetes sets this")
        assert server.end(signal.SIGTERM) == 0


@each_command
def test_environment(command: list[str], log: Path) -> None:
    with spawn(
        command,
        log,
        CHATPROTO_HOST="127.0.0.1",
        CHATPROTO_PORT="0",
        CHATPROTO_POLICY="Reference",
        CHATPROTO_NO_NOTICES="1",
        CHATPROTO_LOG_LEVEL="WARNING",
    ) as server:
        _check_options(server)


def _check_options(server: Process) -> None:
    """No notices, the rules of the reference server, and nothing in the log."""
    with SocketClient(server.address) as alice, SocketClient(server.address) as bob:
        alice.write(b"nonsense\n")
        alice.login("alice")
        bob.login("bob")
        alice.write(b"CHAT/1.0 GROUP g alice\n")
        alice.flush("alice")
        bob.write(b"CHAT/1.0 BROADCAST g hi\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE bob hi\n"
    assert server.log == ""


@each_server
def test_port_in_use(invoke: Invoke, main: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke(main, "--port", str(port))
    error = f"Error: can't listen on 127.0.0.1:{port}: Address already in use\n"
    assert result == (1, "", error)


@each_server
@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70])
def test_hosts_that_servers_do_not_find(invoke: Invoke, main: str, host: str) -> None:
    result = invoke(main, "--host", host, "--port", "0")
    assert result.status == 1
    assert re.fullmatch(rf"Error: can't listen on {re.escape(host)}:0: .+\n", result.stderr)


@each_server
def test_impossible_paths_of_unix_sockets(invoke: Invoke, main: str, tmp_path: Path) -> None:
    for path in (str(tmp_path / "no" / "folder"), str(tmp_path), str(tmp_path / ("x" * 200))):
        result = invoke(main, "--unix", path)
        assert result.status == 1
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith(f"Error: can't listen on unix:{path}: ")


@each_server
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "http"),
        ("--port", "65536"),
        ("--port", "-1"),
        ("--policy", "none"),
        ("--unix-mode", "rw"),
        ("--unix-mode", "1000"),
        ("--max-line", "long"),
        ("--rate", "fast"),
        ("--host", ""),
        ("--unix", ""),
        ("--colour", "1"),
    ],
)
def test_bad_options_of_servers(invoke: Invoke, main: str, option: str, value: str) -> None:
    result = invoke(main, f"{option}={value}")
    assert (result.status, result.stdout) == (2, "")
    assert option in result.stderr.splitlines()[-1]


@each_server
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tls-key=key"], "--tls-key has no use without --tls-cert"),
        (["--tls-key-password-file=x"], "--tls-key-password-file has no use without --tls-cert"),
        (["--tls-client-ca=ca"], "--tls-client-ca has no use without --tls-cert"),
        (["--tls-cert=missing"], "can't use TLS: can't read the certificate missing: No such file"),
    ],
)
def test_bad_certificates_of_servers(
    invoke: Invoke, main: str, options: list[str], message: str
) -> None:
    result = invoke(main, *options)
    assert (result.status, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())


@each_server
def test_bad_environment_of_servers(invoke: Invoke, main: str) -> None:
    for variable, value in [("POLICY", "none"), ("PORT", "http"), ("NO_NOTICES", "maybe")]:
        result = invoke(main, **{f"CHATPROTO_{variable}": value})
        assert result.status == 2
        assert f"CHATPROTO_{variable}: {value!r}" in result.stderr.splitlines()[-1]


@each_server
def test_help_of_servers(invoke: Invoke, main: str) -> None:
    result = invoke(main, "--help")
    assert (result.status, result.stderr) == (0, "")
    for option in ("--host", "--port", "--unix", "--policy", "--no-notices", "--log-level"):
        assert option in result.stdout


@pytest.mark.parametrize("module", ["chatproto", "chatproto_sync"])
def test_version(module: str) -> None:
    result = run(sys.executable, "-m", module, "--version")
    assert result.returncode == 0
    assert result.stdout == f"chatproto {__version__}\n"


@each_client
def test_where_the_server_is(invoke: Invoke, arguments: list[str], tmp_path: Path) -> None:
    """The error names the place where they have found no server."""
    path = str(tmp_path / "nobody")
    for options, variables, place in [
        ([], {"CHATPROTO_PORT": "1"}, "127.0.0.1:1"),
        (["--host=127.0.0.2"], {"CHATPROTO_PORT": "1"}, "127.0.0.2:1"),
        (["--port=2"], {"CHATPROTO_PORT": "1", "CHATPROTO_HOST": "127.0.0.3"}, "127.0.0.3:2"),
        (["--host=chat://127.0.0.2:3"], {}, "127.0.0.2:3"),
        (["--port=4"], {"CHATPROTO_HOST": "chats://[::1]"}, "[::1]:4"),
        ([f"--unix={path}"], {"CHATPROTO_PORT": "1"}, f"unix:{path}"),
        ([], {"CHATPROTO_UNIX": path}, f"unix:{path}"),
    ]:
        result = invoke("chatproto", *arguments, *options, **variables)
        assert (result.status, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: can't connect to {place}: ")
        assert len(result.stderr.splitlines()) == 1


@each_client
def test_hosts_that_clients_do_not_find(invoke: Invoke, arguments: list[str]) -> None:
    for host in ("no.such.host.invalid", "a..b", "x" * 70, "\udcff"):
        result = invoke("chatproto", *arguments, "--host", host, "--port=1")
        assert (result.status, result.stdout) == (1, "")
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
def test_bad_options_of_clients(
    invoke: Invoke, arguments: list[str], option: str, value: str
) -> None:
    result = invoke("chatproto", *arguments, f"{option}={value}")
    assert (result.status, result.stdout) == (2, "")
    assert option in result.stderr.splitlines()[-1]


@each_client
def test_repeated_options_of_clients(invoke: Invoke, arguments: list[str]) -> None:
    for option, values in (("--host", "ab"), ("--as", "ab"), ("--port", "12")):
        result = invoke("chatproto", *arguments, *(f"{option}={each}" for each in values))
        count = arguments.count("--as=alice") + 2 if option == "--as" else 2
        assert (result.status, result.stdout) == (2, "")
        assert f"'{option}': takes one value, and has {count}" in result.stderr
    # A flag says the same twice; and behind -- there are no options.
    result = invoke("chatproto", *arguments, "--tls", "--tls", "--port=1")
    assert "takes one value" not in result.stderr
    assert result.status == 1
    result = invoke("chatproto", "send", "--as=alice", "--port=1", "--", "--host", "--host")
    assert result.status == 1


@each_client
def test_bad_environment_of_clients(invoke: Invoke, arguments: list[str]) -> None:
    for variable, value in [("PORT", "http"), ("TLS", "maybe"), ("TLS_CA", ".")]:
        result = invoke("chatproto", *arguments, **{f"CHATPROTO_{variable}": value})
        assert result.status == 2
        error = result.stderr.splitlines()[-1]
        assert error.startswith(f"Error: Invalid value for 'CHATPROTO_{variable}': ")
        assert value in error


@each_client
def test_the_environment_of_a_container(invoke: Invoke, arguments: list[str]) -> None:
    """Kubernetes makes a variable for a service that is called like the command."""
    variables = {"CHATPROTO_PORT": "tcp://10.0.0.1:3333", "CHATPROTO_HOST": "127.0.0.2"}
    result = invoke("chatproto", *arguments, "--unix=nobody", **variables)
    warning, error = result.stderr.splitlines()
    assert warning.startswith("Warning: ignoring CHATPROTO_PORT=tcp://10.0.0.1:3333: ")
    assert error.startswith("Error: can't connect to unix:")
    # The option needs no warning.
    result = invoke("chatproto", *arguments, "--port=1", **variables)
    [error] = result.stderr.splitlines()
    assert error.startswith("Error: can't connect to 127.0.0.2:1: ")


@each_client
def test_a_misspelt_variable_of_clients(invoke: Invoke, arguments: list[str]) -> None:
    variables = {"CHATPROTO_HOTS": "192.0.2.1", "CHATPROTO_MAX_LINE": "600"}
    result = invoke("chatproto", *arguments, "--port=1", **variables)
    warning, error = result.stderr.splitlines()
    assert warning == (
        "Warning: ignoring CHATPROTO_HOTS: there is no such option; is it CHATPROTO_HOST?"
    )
    assert error.startswith("Error: can't connect to 127.0.0.1:1: ")


@each_client
@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (["--unix=chat", "--port=2"], {}, "--port has no use with --unix"),
        (["--unix=chat", "--host=h"], {}, "--host has no use with --unix"),
        (["--unix=chat", "--tls", "--port=2"], {}, "--port has no use with --unix"),
        (["--port=2"], {"CHATPROTO_UNIX": "chat"}, "--port has no use with CHATPROTO_UNIX"),
        (
            ["--port=2"],
            {"CHATPROTO_HOST": "chat://h:1"},
            "CHATPROTO_HOST has a port already, so --port has no use",
        ),
        (
            ["--host=chat://h", "--tls"],
            {},
            "--host: chat:// is without TLS, so write chats://",
        ),
        (
            ["--host=http://h"],
            {},
            "--host: 'http://h' is not of the form chat://HOST:PORT, or chats://HOST:PORT for TLS",
        ),
        (
            ["--host=h:1"],
            {},
            (
                "--host: 'h:1' is neither a host name nor an IP address: a port and the path of a"
                " Unix socket stand apart"
            ),
        ),
    ],
)
def test_options_that_do_not_go_together(
    invoke: Invoke,
    arguments: list[str],
    options: list[str],
    variables: dict[str, str],
    message: str,
) -> None:
    result = invoke("chatproto", *arguments, *options, **variables)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == f"Error: {message}"


@each_client
def test_an_address_in_brackets(invoke: Invoke, arguments: list[str]) -> None:
    for host in ("[::1]", "::1"):
        result = invoke("chatproto", *arguments, "--host", host, "--port=1")
        assert result.stderr.startswith("Error: can't connect to [::1]:1: ")


@each_client
def test_help_of_clients(invoke: Invoke, arguments: list[str]) -> None:
    result = invoke("chatproto", arguments[0], "--help")
    assert (result.status, result.stderr) == (0, "")
    for words in ("--as", "--host", "--port", "--unix", "CHATPROTO_UNIX", "Exit status:"):
        assert words in result.stdout


def test_help_of_the_command(invoke: Invoke) -> None:
    result = invoke("chatproto", "--help")
    assert (result.status, result.stderr) == (0, "")
    # The purpose of each command fits into its line.
    for command in subcommands().values():
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
        (["anyio"], ["chat", "alice"]),
        (["anyio"], ["send", "--help"]),
        (["trio"], ["serve", "--backend", "trio", "--port", "0"]),
        (["prometheus_client"], ["serve", "--metrics-port", "0", "--port", "0"]),
    ],
)
def test_missing_extra(missing: list[str], arguments: list[str]) -> None:
    result = run(sys.executable, "-c", WITHOUT.format(missing=missing, arguments=arguments))
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert missing[0] in result.stderr
    assert "pip install 'chatproto-sansio[server]'" in result.stderr


def test_missing_extra_for_metrics(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "chatproto_sync.service.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    result = invoke("chatproto_sync", "--port=0", "--metrics-port=0")
    assert (result.status, result.stdout) == (2, "")
    assert "pip install 'chatproto-sansio[server]'" in " ".join(result.stderr.split())


def test_missing_extra_for_a_terminal() -> None:
    """The chat needs prompt_toolkit there, but not in a pipe."""
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


def test_works_without_packages_that_no_option_asks_for(log: Path) -> None:
    missing = ["trio", "prometheus_client", "prompt_toolkit"]
    code = WITHOUT.format(missing=missing, arguments=["serve", "--port", "0"])
    with spawn([sys.executable, "-c", code], log) as server:
        assert server.end(signal.SIGTERM) == 0


@each_client
def test_clients_work_without_packages_that_others_need(arguments: list[str]) -> None:
    missing = ["trio", "prometheus_client", "prompt_toolkit"]
    code = WITHOUT.format(missing=missing, arguments=[*arguments, "--port=1"])
    result = run(sys.executable, "-c", code)
    assert result.returncode == 1
    assert result.stderr == "Error: can't connect to 127.0.0.1:1: Connection refused\n"


@each_client
def test_clients_import_nothing_that_others_need(arguments: list[str]) -> None:
    """It takes time, which scripts that send single messages pay each time."""
    command = [sys.executable, "-X", "importtime", "-m", "chatproto", *arguments, "--port=1"]
    modules = {line.rpartition("|")[2].strip() for line in run(*command).stderr.splitlines()}
    assert "anyio" in modules
    others = {"prometheus_client", "prompt_toolkit", "trio", "chatproto_anyio.cli.serve"}
    assert not modules & others


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["serve", "--help"]])
def test_a_missing_extra_is_no_matter_before_it_is_needed(arguments: list[str]) -> None:
    missing = ["trio", "prometheus_client", "prompt_toolkit"]
    result = run(sys.executable, "-c", WITHOUT.format(missing=missing, arguments=arguments))
    assert (result.returncode, result.stderr) == (0, "")


def test_a_missing_module_of_our_own_is_not_taken_for_a_missing_extra() -> None:
    code = WITHOUT.format(missing=["chatproto.server.broker"], arguments=["serve"])
    result = run(sys.executable, "-c", code)
    assert "ModuleNotFoundError" in result.stderr
