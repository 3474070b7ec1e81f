"""`--config` and `--check` of the commands that run a server, and what SIGHUP does to them."""

import json
import signal
from pathlib import Path

import pytest

from ..processes import COMMANDS, PROGRAMS, run, spawn
from ..servers import SocketClient

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
each_program = pytest.mark.parametrize("command", PROGRAMS.values(), ids=PROGRAMS.keys())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.toml"


@each_command
def test_sighup_reads_the_file_again(command: list[str], path: Path, tmp_path: Path) -> None:
    path.write_text('port = 0\nduplicate-login = "reject"\n', encoding="utf-8")
    with (
        spawn([*command, f"--config={path}"], tmp_path / "log") as server,
        SocketClient(server.address) as alice,
        SocketClient(server.address) as other,
    ):
        alice.login("alice")
        other.write(b"CHAT/1.0 LOGIN alice\n")
        assert b" ERR NAME_IN_USE " in other.read_line()

        path.write_text('port = 1\nmax-line = 512\nlog-level = "debug"\n', encoding="utf-8")
        server.popen.send_signal(signal.SIGHUP)
        server.wait_for_log("these options change only with a restart: port")
        changes = "duplicate-login, max-line, log-level"
        assert f"the configuration was read again, changes: {changes}\n" in server.log
        other.login("alice")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE alice flush\n"
        alice.write(b"CHAT/1.0 SEND bob ".ljust(600, b"x") + b"\n")
        assert b" ERR LINE_TOO_LONG " in alice.read_line()

        path.write_text("max-line = 5\n", encoding="utf-8")
        server.popen.send_signal(signal.SIGHUP)
        server.wait_for_log(f"stays in use: max-line in {path} is at least 512 bytes\n")
        alice.flush("alice")
        alice.close()
        other.close()
        assert server.end(signal.SIGTERM) == 0


@each_program
def test_check(command: list[str], path: Path) -> None:
    path.write_text("port = 1", encoding="utf-8")
    result = run(*command, "--config", str(path), "--check", CHATPROTO_QUEUE_BYTES="2048k")
    assert (result.returncode, result.stderr) == (0, "")
    first, empty, *rows = result.stdout.splitlines()
    assert (first, empty) == ("The configuration is good. It uses:", "")
    cells = {row.split()[0]: row.split(maxsplit=2)[1:] for row in rows}
    assert cells["port"] == ["1", f"port in {path}"]
    assert cells["queue-bytes"] == ["2M", "CHATPROTO_QUEUE_BYTES"]
    assert cells["grace"] == ["10s", "default"]
    result = run(*command, "--check", CHATPROTO_CONFIG=str(path), CHATPROTO_LOG_FORMAT="JSON")
    assert (result.returncode, result.stdout) == (0, "")
    entry = json.loads(result.stderr)
    assert entry["message"] == "the configuration is good"
    assert entry["options"]["port"] == {"value": "1", "from": f"port in {path}"}


@each_program
@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("prot = 1", [], "prot in {}: there is no such option; is it port?"),
        ("max-line = 5", [], "max-line in {} is at least 512 bytes"),
        ("", ["--rate=0"], "--rate is more than 0"),
        ('tls-cert = "missing"', [], "can't use TLS: can't read the certificate missing: No such"),
        ("", ["--port=1", "--port=2"], "--port takes one value, and has 2"),
        ("", ["--unix=/x", "--port=2"], "--port has no use: with --unix and without --host"),
    ],
)
def test_check_finds_errors(
    command: list[str], path: Path, text: str, options: list[str], message: str
) -> None:
    path.write_text(text, encoding="utf-8")
    result = run(*command, f"--config={path}", "--check", *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert message.format(path) in " ".join(result.stderr.splitlines()[-1].split())
