"""The servers' commands as processes: `chatproto serve` on both event loops, and `chatproto_sync`.

Sessions as people have them, signals, standard output, Unix sockets and few descriptors.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..processes import COMMANDS, spawn
from ..servers import TIMEOUT, SocketClient

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


class Netcat:
    """A user with `nc` in a terminal."""

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
        """End the input. `nc` then waits for the server to close the connection, and ends."""
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
    events = [re.sub(r" \(.*\)", "", line) for line in lines if not line.startswith("accepted")]
    assert events[1:5] == [f"logged in {name}" for name in names]
    assert events[5:7] == ["group made g1 by zhangsan", "left g1: wangwu"]
    # The signal may arrive before the server has seen that all connections are closed.
    ends = [line for line in events[7:] if not line.startswith("shut")]
    assert len(ends) == len(events) - 9
    assert sorted(ends) == sorted(
        [f"logged out {name}" for name in names] + [f"closed {name}: logged out" for name in names]
    )


@each_command
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_shuts_it_down(command: list[str], log: Path, number: int) -> None:
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
    """It does not wait for alice to close her half of the connection."""
    with (
        spawn([*command, "--port", "0"], log) as server,
        SocketClient(server.address) as alice,
    ):
        alice.login("alice")
        server.popen.send_signal(number)
        assert b"SHUTTING_DOWN" in alice.read_line()
        assert alice.read_line() == b""
        assert server.end(number) == 0
        assert "closed alice" in server.log
    assert "Traceback" not in server.log
    assert "Aborted" not in server.log


@each_command
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_it_runs_when_its_greeting_cannot_be_printed(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(
            [*command, "--unix", str(path)], stdout=full, stderr=subprocess.PIPE, text=True
        ) as popen,
    ):
        assert popen.stderr is not None
        assert "can't print the greeting: No space left" in popen.stderr.readline()
        assert "listening on" in popen.stderr.readline()
        with SocketClient(f"unix:{path}") as alice:
            alice.login("alice")
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(TIMEOUT) == 0
        assert "Traceback" not in popen.stderr.read()


@each_command
def test_it_runs_without_standard_output(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "chat"
    code = "import os, sys; os.close(1); os.execv(sys.argv[1], sys.argv[1:])"
    closing = [sys.executable, "-c", code]
    arguments = [*closing, *command, "--unix", str(path)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as popen:
        assert popen.stderr is not None
        assert "listening on" in popen.stderr.readline()
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(TIMEOUT) == 0
        assert "Traceback" not in popen.stderr.read()


@each_command
def test_it_runs_with_a_path_that_does_not_print(command: list[str], tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\x1b[31m\xc3\xbc"
    arguments: list[str | bytes] = [*command, "--unix", path]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    ) as popen:
        assert popen.stdout is not None
        assert popen.stderr is not None
        shown = rf"unix:{tmp_path}/\udcff\x1b[31m\xfc"
        assert popen.stdout.readline() == f"Listening on {shown}.\n"
        assert popen.stderr.readline().endswith(f"listening on {shown}\n")
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(TIMEOUT) == 0


@each_command
def test_it_listens_on_several_hosts_and_unix_sockets(command: list[str], tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("one", "two")]
    options = [
        "--port=0",
        "--host=127.0.0.1",
        "--host=[::1]",
        *(f"--unix={path}" for path in paths),
    ]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        match = re.fullmatch(r"Listening on (.+)\.\n", popen.stdout.readline())
        assert match
        addresses = match[1].split(", ")
        assert addresses[2:] == [f"unix:{path}" for path in paths]
        with ExitStack() as stack:
            for address in addresses:
                stack.enter_context(SocketClient(address)).login("alice")
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(TIMEOUT) == 0
    assert list(tmp_path.iterdir()) == []


@each_command
def test_the_greeting_says_how_to_connect(command: list[str], log: Path) -> None:
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


FEW = ["sh", "-c", 'ulimit -n 50 && exec "$@"', "sh"]
"""Runs a command that may open 50 descriptors."""


@each_command
def test_no_more_connections_than_there_are_descriptors_for(command: list[str], log: Path) -> None:
    """The server turns the others away at once: nobody would accept them from the queue."""
    with spawn([*FEW, *command, "--port=0"], log) as server, ExitStack() as stack:
        people = [stack.enter_context(SocketClient(server.address)) for _ in range(30)]
        notice = b"CHAT/1.0 RECEIVE *server* ERR TOO_MANY - too many connections\n"
        assert [person.read_line() for person in people[25:]] == [notice] * 5
        people[0].login("alice")
        people[24].login("zoe")
        stack.close()
        assert server.end(signal.SIGTERM) == 0
    assert "Too many open files" not in server.log
    assert len([line for line in server.log.splitlines() if " turned away " in line]) == 1


@each_command
def test_out_of_descriptors(command: list[str], log: Path) -> None:
    """Connections that can't be accepted wait until others are closed."""
    with (
        spawn([*FEW, *command, "--port=0", "--max-connections=99"], log) as server,
        ExitStack() as stack,
    ):
        early = [stack.enter_context(SocketClient(server.address)) for _ in range(60)]
        early[0].login("alice")
        for client in early[:30]:
            client.close()
        early[-1].login("zoe")
        stack.close()
        assert server.end(signal.SIGTERM) == 0
    warnings = [line for line in server.log.splitlines() if " WARNING " in line]
    # One each time that accepting begins to fail, and not one for each try.
    assert 1 <= len(warnings) <= 3
    assert "Too many open files" in warnings[0]
