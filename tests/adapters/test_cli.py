"""The commands, as processes."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatproto import __version__

from .processes import COMMANDS, Process, run, spawn
from .servers import TIMEOUT, SocketClient

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


class Netcat:
    """Somebody at a terminal with `nc`."""

    def __init__(self, program: str, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.popen = subprocess.Popen(
            [program, host, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def type(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def read(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().removesuffix("\n")

    def leave(self) -> None:
        """Ctrl-D. `nc` then waits for the server to close, and ends."""
        rest, _ = self.popen.communicate(timeout=TIMEOUT)
        assert rest == ""

    def login(self, name: str) -> None:
        self.type(f"CHAT/1.0 LOGIN {name}")
        self.flush(name)

    def flush(self, name: str) -> None:
        self.type(f"CHAT/1.0 SEND {name} are you there?")
        assert self.read() == f"CHAT/1.0 RECEIVE {name} are you there?"


@each_command
def test_published_session_with_netcat(command: list[str], log: Path) -> None:
    program = shutil.which("nc")
    if program is None:
        pytest.skip("nc is not installed")
    names = ["zhangsan", "lisi", "wangwu", "zhaoliu"]
    with spawn([*command, "--port", "0"], log) as server, ExitStack() as stack:
        people = [Netcat(program, server.address) for _ in names]
        for person in people:
            stack.enter_context(person.popen)
        for person, name in zip(people, names, strict=True):
            person.login(name)
        zhangsan, lisi, wangwu, zhaoliu = people

        zhangsan.type("CHAT/1.0 SEND lisi hello lisi")
        assert lisi.read() == "CHAT/1.0 RECEIVE zhangsan hello lisi"
        zhangsan.type("CHAT/1.0 GROUP g1 zhangsan lisi wangwu")
        zhangsan.type("CHAT/1.0 BROADCAST g1 hello all")
        assert lisi.read() == "CHAT/1.0 RECEIVE zhangsan hello all"
        assert wangwu.read() == "CHAT/1.0 RECEIVE zhangsan hello all"
        wangwu.type("CHAT/1.0 LEAVE g1")
        wangwu.flush("wangwu")
        lisi.type("CHAT/1.0 BROADCAST g1 hello again")
        assert zhangsan.read() == "CHAT/1.0 RECEIVE lisi hello again"
        wangwu.flush("wangwu")
        zhaoliu.flush("zhaoliu")
        for person in people:
            person.type("CHAT/1.0 LOGOUT")
            person.leave()
        assert server.end(signal.SIGTERM) == 0

    lines = [line.split(maxsplit=3)[3] for line in server.log.splitlines()]
    assert lines[0] == f"listening on {server.address}"
    assert sum(line.startswith("accepted from 127.0.0.1:") for line in lines) == 4
    told = [re.sub(r" \(.*\)", "", line) for line in lines if not line.startswith("accepted")]
    assert told[1:5] == [f"logged in {name}" for name in names]
    assert told[5:7] == ["group made g1 by zhangsan", "left g1: wangwu"]
    # How many have closed by then is the kernel's affair.
    ends = [line for line in told[7:] if not line.startswith("ending, with ")]
    assert len(ends) == len(told) - 8
    assert sorted(ends) == sorted(
        [f"logged out {name}" for name in names] + [f"closed {name}: logged out" for name in names]
    )


@each_command
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(command: list[str], log: Path, number: int) -> None:
    with spawn([*command, "--port", "0"], log) as server, SocketClient(server.address) as alice:
        alice.login("alice")
        server.popen.send_signal(number)
        assert alice.read_line().startswith(b"CHAT/1.0 RECEIVE *server* ERR SHUTTING_DOWN ")
        assert alice.read_line() == b""
        alice.close()
        assert server.popen.wait(TIMEOUT) == 0
    assert "Traceback" not in server.log
    assert "closed alice" in server.log


@each_command
def test_a_signal_right_after_the_greeting(command: list[str], log: Path) -> None:
    with spawn([*command, "--port", "0"], log) as server:
        assert server.end(signal.SIGTERM) == 0


@each_command
def test_a_signal_as_soon_as_the_log_says_that_it_listens(
    command: list[str], tmp_path: Path
) -> None:
    socket_path = tmp_path / "chat"
    with subprocess.Popen(
        [*command, "--unix", str(socket_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as popen:
        assert popen.stderr is not None
        assert "listening on" in popen.stderr.readline()
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(TIMEOUT) == 0
    assert not socket_path.exists()


@each_command
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(command: list[str], log: Path, number: int) -> None:
    """Although alice has not closed her half, for which it would wait otherwise."""
    with (
        spawn([*command, "--port", "0"], log) as server,
        SocketClient(server.address) as alice,
    ):
        alice.login("alice")
        server.popen.send_signal(number)
        assert b"SHUTTING_DOWN" in alice.read_line()
        assert alice.read_line() == b""
        assert server.end(number) == 0
        # It is cut, not closed: she has said nothing that could be lost.
        assert "closed alice" in server.log
    assert "Traceback" not in server.log
    assert "Aborted" not in server.log


@each_command
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_greeting_that_nobody_reads_stops_no_server(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(
            [*command, "--unix", str(path)], stdout=full, stderr=subprocess.PIPE, text=True
        ) as popen,
    ):
        assert popen.stderr is not None
        assert "listening on" in popen.stderr.readline()
        with SocketClient(f"unix:{path}") as alice:
            alice.login("alice")
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(TIMEOUT) == 0
        assert "Traceback" not in popen.stderr.read()


@each_command
def test_greeting_can_be_followed(command: list[str], log: Path) -> None:
    with spawn([*command, "--port", "0"], log) as server:
        host, _, port = server.address.rpartition(":")
        assert server.greeting[1].endswith(f" nc {host} {port}\n")
        assert server.greeting[2].endswith(" CHAT/1.0 LOGIN alice\n")
        with SocketClient(server.address) as client:
            client.write(b"CHAT/1.0 LOGIN alice\n")
            client.flush("alice")


@each_command
def test_unix_socket(command: list[str], tmp_path: Path, log: Path) -> None:
    path = tmp_path / "chat"
    with spawn([*command, "--unix", str(path)], log) as server:
        assert server.address == f"unix:{path}"
        with SocketClient(server.address) as alice:
            alice.login("alice")
        assert server.end(signal.SIGTERM) == 0
    assert not path.exists()


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


def test_works_without_trio(log: Path) -> None:
    code = WITHOUT.format(missing=["trio"], arguments=["serve", "--port", "0"])
    with spawn([sys.executable, "-c", code], log) as server:
        assert server.end(signal.SIGTERM) == 0


def test_a_bug_is_not_taken_for_a_missing_extra() -> None:
    code = WITHOUT.format(missing=["chatproto._broker"], arguments=["serve"])
    result = run(sys.executable, "-c", code)
    assert "ModuleNotFoundError" in result.stderr


@each_command
def test_out_of_descriptors(command: list[str], log: Path) -> None:
    """Connections that can't be accepted wait, and have their turn when others go."""
    limited = ["sh", "-c", 'ulimit -n 50 && exec "$@"', "sh", *command, "--port", "0"]
    with spawn(limited, log) as server, ExitStack() as stack:
        early = [stack.enter_context(SocketClient(server.address)) for _ in range(60)]
        early[0].login("alice")
        for client in early[:30]:
            client.close()
        early[-1].login("zoe")
        stack.close()
        assert server.end(signal.SIGTERM) == 0
    warnings = [line for line in server.log.splitlines() if " WARNING " in line]
    # One for each time that it began to fail, not one for each try.
    assert 1 <= len(warnings) <= 3
    assert "Too many open files" in warnings[0]
