"""`metrics`, `logs`, `systemd`: what operators see of the commands that run a server."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ..processes import COMMANDS, PROGRAMS, run, spawn
from ..servers import TIMEOUT, SocketClient, reserved_port

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
each_program = pytest.mark.parametrize("command", PROGRAMS.values(), ids=PROGRAMS.keys())

ACTIVATE = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a command as systemd does, with a listening socket."""


@each_command
def test_metrics(command: list[str], tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    port = reserved_port()
    options = ["--port", "0", "--metrics-port", str(port)]
    with (
        spawn([*command, *options], tmp_path / "log") as process,
        SocketClient(process.address) as alice,
    ):
        alice.login("alice")
        alice.write(b"CHAT/1.0 SEND nobody hi\n")
        assert b"NO_SUCH_USER" in alice.read_line()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT) as page:
            lines = page.read().decode().splitlines()
        # Otherwise the server waits for her to close.
        alice.close()
        assert process.end(signal.SIGTERM) == 0
    assert {
        "chatproto_connections 1.0",
        "chatproto_users 1.0",
        "chatproto_groups 0.0",
        "chatproto_accepted_total 1.0",
        "chatproto_logins_total 1.0",
        "chatproto_messages_total 0.0",
        "chatproto_deliveries_total 1.0",
        'chatproto_refusals_total{code="NO_SUCH_USER"} 1.0',
    } <= set(lines)
    # What these say depends on the moment.
    for name in ("lag_seconds_sum", "queued_bytes", "received_bytes_total", "sent_bytes_total"):
        assert any(line.startswith(f"chatproto_{name} ") for line in lines)


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a command that may have 100 descriptors."""


@each_command
def test_half_requests_for_metrics_take_nothing_from_the_chat(
    command: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("prometheus_client")
    port = reserved_port()
    options = ["--port", "0", "--metrics-port", str(port)]
    with (
        spawn([sys.executable, "-c", LIMITED, *command, *options], tmp_path / "log") as process,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(100):
            sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
            stack.enter_context(sock).sendall(b"GET /metrics HTTP/1.1\r\n")
        for number in range(20):
            client = stack.enter_context(SocketClient(process.address))
            client.login(f"user{number}")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT) as page:
            text = page.read()
        assert b"chatproto_users 20.0" in text
        assert b"process_open_fds " in text
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=TIMEOUT) as page:
            health = json.load(page)
        assert health.pop("late") >= 0.0
        assert health == {"status": "ok", "listening": True, "draining": False}


@each_command
def test_metrics_have_descriptors_of_their_own(command: list[str], tmp_path: Path) -> None:
    """However many connections the chat has to turn away."""
    pytest.importorskip("prometheus_client")
    port = reserved_port()
    options = ["--port", "0", "--metrics-port", str(port)]
    with (
        spawn([sys.executable, "-c", LIMITED, *command, *options], tmp_path / "log") as process,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(150):
            stack.enter_context(SocketClient(process.address))
        process.wait_for_log("can't accept connections")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT) as page:
            assert b"chatproto_connections " in page.read()


@each_command
def test_metrics_stay_on_this_machine(command: list[str], tmp_path: Path) -> None:
    """Wherever the chat listens."""
    pytest.importorskip("prometheus_client")
    options = ["--host", "0.0.0.0", "--port", "0", "--metrics-port", "0"]
    with spawn([*command, *options], tmp_path / "log") as process:
        assert process.address.startswith("0.0.0.0:")
        assert process.end(signal.SIGTERM) == 0
        assert re.search(r"INFO serving metrics on 127\.0\.0\.1:[1-9]\d*\n", process.log)


@each_command
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_metrics_port_that_is_taken(command: list[str], host: str) -> None:
    """The error names the option, also if it is the server itself that listens there."""
    pytest.importorskip("prometheus_client")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listener:
        port = listener.getsockname()[1]
        options = ["--port", "0", "--metrics-host", host, "--metrics-port", str(port)]
        result = run(*command, *options)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: can't serve metrics on {where} (--metrics-host, --metrics-port):"
        " Address already in use\n"
    )


@each_command
def test_a_metrics_port_that_is_the_chats(command: list[str]) -> None:
    pytest.importorskip("prometheus_client")
    port = str(reserved_port())
    result = run(*command, "--port", port, "--metrics-port", port)
    assert result.returncode == 2
    assert "--metrics-port: the chat has that port (--port)" in result.stderr
    # The system knows better whether other addresses are the same.
    options = ["--host", "localhost", "--port", port, "--metrics-port", port]
    result = run(*command, *options)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: can't serve metrics on 127.0.0.1:{port} (")


@each_command
def test_log_of_json_lines(command: list[str], tmp_path: Path) -> None:
    options = ["--port", "0", "--log-format", "json", "--log-level", "debug"]
    with spawn([*command, *options], tmp_path / "log") as process:
        with SocketClient(process.address) as alice:
            alice.login("alice")
        process.wait_for_log('"closed alice ')
        assert process.end(signal.SIGTERM) == 0
        assert process.popen.stdout is not None
        assert process.popen.stdout.read() == ""
        entries = [json.loads(line) for line in process.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
    ours = [entry for entry in entries if entry["logger"] == "chatproto.server"]
    assert ours[0]["message"] == f"listening on {process.address}"
    assert ours[0]["level"] == "info"
    events = [entry for entry in ours if "event" in entry]
    assert [(each["event"], each.get("connection"), each.get("name")) for each in events] == [
        ("accepted", 1, None),
        ("logged in", 1, "alice"),
        ("closed", 1, "alice"),
        ("shutting down", None, None),
        ("shut down", None, None),
    ]
    assert events[2]["reason"] in ("end of stream", "connection lost")
    assert events[-1]["count"] == 0
    assert events[-1]["seconds"] >= 0.0


@each_program
@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--port", "x", "--log-format", "json"], 2, "--port: 'x' is not in the range 0 to 65535"),
        (["--log-format=json", "--port"], 2, ""),
        (["--no-such-option", "--log-format", "JSON"], 2, ""),
        (["--log-format", "json", "stray"], 2, ""),
        (
            ["--log-format", "json", "--host", "192.0.2.1", "--port", "1"],
            1,
            "can't listen on 192.0.2.1:1: ",
        ),
    ],
)
def test_an_error_in_a_log_of_json_lines(
    command: list[str], options: list[str], status: int, words: str
) -> None:
    """Whoever reads the log can read it. Some words are those of the parsers."""
    result = run(*command, *options)
    assert (result.returncode, result.stdout) == (status, "")
    [line] = result.stderr.splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["logger"]) == ("error", "chatproto.server")
    assert words in entry["message"]


@each_program
def test_a_wrong_variable_in_a_log_of_json_lines(command: list[str]) -> None:
    result = run(*command, CHATPROTO_LOG_FORMAT="json", CHATPROTO_PORT="x")
    assert (result.returncode, result.stdout) == (2, "")
    assert json.loads(result.stderr)["message"].startswith("CHATPROTO_PORT: ")


@each_command
def test_systemd_is_told_that_the_server_listens(command: list[str], tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.settimeout(TIMEOUT)
        notified.bind(path)
        with spawn([*command, "--port", "0"], tmp_path / "log", NOTIFY_SOCKET=path) as process:
            assert notified.recv(100) == b"READY=1"
            with SocketClient(process.address) as alice:
                alice.login("alice")
            process.popen.send_signal(signal.SIGHUP)
            assert notified.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert notified.recv(100) == b"READY=1"
            process.popen.send_signal(signal.SIGTERM)
            assert notified.recv(100) == b"STOPPING=1"
            assert process.popen.wait(TIMEOUT) == 0


@each_command
def test_the_loop_that_serves_tells_the_watchdog(command: list[str], tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.settimeout(TIMEOUT)
        notified.bind(path)
        with spawn([*command, "--port", "0"], tmp_path / "log", **environment) as process:
            assert notified.recv(100) == b"READY=1"
            for _ in range(3):
                assert notified.recv(100) == b"WATCHDOG=1"
            assert process.end(signal.SIGTERM) == 0


@each_command
def test_a_server_serves_if_systemd_cannot_be_told(command: list[str], tmp_path: Path) -> None:
    path = str(tmp_path / "nobody")
    with spawn([*command, "--port", "0"], tmp_path / "log", NOTIFY_SOCKET=path) as process:
        with SocketClient(process.address) as alice:
            alice.login("alice")
        assert process.end(signal.SIGTERM) == 0
        assert "Traceback" not in process.log
        assert f"WARNING can't tell systemd READY=1: NOTIFY_SOCKET={path}: No such" in process.log


@each_program
@pytest.mark.parametrize(
    ("name", "value"),
    [("LISTEN_PID", "me"), ("WATCHDOG_USEC", "soon")],
)
def test_a_wrong_variable_of_systemd(command: list[str], name: str, value: str) -> None:
    environment = {"NOTIFY_SOCKET": "/nobody", name: value}
    result = run(*command, "--port", "0", **environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"Error: {name}: {value!r} is not a whole number\n"


@each_program
def test_a_socket_of_systemd_that_does_not_listen(command: list[str]) -> None:
    starter = ACTIVATE.replace('socket.create_server(("127.0.0.1", 0))', "socket.socket()")
    result = run(sys.executable, "-c", starter, *command)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "Error: can't use descriptor 3 of systemd (LISTEN_FDS=1): it does not listen"
    )


@each_program
def test_sockets_that_systemd_has_not_passed(command: list[str]) -> None:
    """What the command has opened itself under these numbers is not taken for one."""
    starter = ACTIVATE.replace('LISTEN_FDS="1"', 'LISTEN_FDS="9"')
    result = run(sys.executable, "-c", starter, *command)
    assert (result.returncode, result.stdout) == (1, "")
    words = "Error: can't use descriptor 4 of systemd (LISTEN_FDS=9): systemd has not passed it\n"
    assert result.stderr == words


ALL_SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@each_command
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_until_an_idle_server_is_gone(
    command: list[str], number: int, tmp_path: Path
) -> None:
    """They come at each moment of the end, and none of them makes it a failure."""
    with spawn([*command, "--port", "0"], tmp_path / "log") as process:
        process.popen.send_signal(number)
        while process.popen.poll() is None:
            for each in ALL_SIGNALS:
                process.popen.send_signal(each)
            # Without a break, a process on a busy machine does nothing but handle signals.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(0.001)
        assert process.popen.returncode == 0
        assert [line for line in process.log.splitlines() if " INFO " not in line] == []


CLOSING = """
import runpy, signal, socket, sys
close = socket.socket.close
def close_and_raise(sock):
    close(sock)
    signal.raise_signal(signal.SIGHUP)
socket.socket.close = close_and_raise
sys.argv = sys.argv[1:]
runpy.run_module("chatproto", run_name="__main__", alter_sys=True)
"""
"""Runs the command with a signal after each close of a socket."""


def test_signals_while_an_event_loop_closes(tmp_path: Path) -> None:
    """Trio closes the socket that signals wake it by, and only then takes it from the signals."""
    starter = [sys.executable, "-c", CLOSING, *COMMANDS["trio"][2:], "--port=0"]
    with spawn(starter, tmp_path / "log") as process:
        assert process.end(signal.SIGTERM) == 0
        assert [line for line in process.log.splitlines() if " INFO " not in line] == []


@each_command
def test_the_sockets_of_systemd_are_used(command: list[str], tmp_path: Path) -> None:
    # An address that no machine has, so the server can listen only on the inherited socket.
    options = ["--host", "192.0.2.1", "--port", "1"]
    starter = [sys.executable, "-c", ACTIVATE, *command, *options]
    with (
        spawn(starter, tmp_path / "log") as process,
        SocketClient(process.address) as alice,
    ):
        assert process.address.startswith("127.0.0.1:")
        alice.login("alice")
        for option in ("--host", "--port"):
            process.wait_for_log(f"{option} has no use: systemd has passed the sockets")
