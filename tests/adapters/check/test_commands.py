"""`chatproto check` and `python -m chatproto_sync.check`: options, reports, exit status."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import chatproto_sync.check.__main__
from chatproto.conformance import Side
from chatproto_anyio.cli.main import cli
from chatproto_sync.check.command import parse_target

from ..server.test_tls_server import AUTHORITY, server_context
from ..servers import TIMEOUT, run_sync
from .test_checking import ONE, PROBE

SMALL = {Side.SERVER: PROBE, Side.CLIENT: ONE}
"""As little as possible to check."""

PATIENTLY = f"--timeout={TIMEOUT:g}"
"""Has a check wait for a server on a machine that is busy."""


class Result(NamedTuple):
    status: object
    stdout: str
    stderr: str


Run = Callable[..., Result]


def check_sync(arguments: list[str]) -> int:
    return chatproto_sync.check.__main__.main(arguments)


def check_click(arguments: list[str]) -> int:
    cli(["check", *arguments], prog_name="chatproto")
    raise AssertionError("click always exits")


@pytest.fixture(params=[check_sync, check_click], ids=["chatproto_sync.check", "chatproto check"])
def run(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs one of the commands in this process."""
    monkeypatch.setattr("chatproto_sync.check.command.load", SMALL.__getitem__)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Result:
        try:
            status = request.param(list(arguments))
        except SystemExit as exit_:
            status = exit_.code
        out, err = capsys.readouterr()
        return Result(status, out, err)

    return run


@pytest.mark.parametrize(
    ("target", "parsed"),
    [
        ("localhost", ("localhost", 3333, None)),
        ("localhost:1", ("localhost", 1, None)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535, None)),
        ("[::1]", ("[::1]", 3333, None)),
        ("[::1]:1", ("[::1]", 1, None)),
        ("unix:/run/chat:1", ("", 3333, "/run/chat:1")),
        ("chats://localhost:1", ("chats://localhost:1", 3333, None)),
    ],
)
def test_targets(target: str, parsed: object) -> None:
    assert parse_target(target) == parsed


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("::1", "in brackets"),
        ("localhost:", "a port is 1 to 65535"),
        ("localhost:0", "a port is 1 to 65535"),
        ("localhost:65536", "a port is 1 to 65535"),
        ("localhost:chat", "a port is 1 to 65535"),
        (":1", "the host is missing"),
        ("unix:", "is not empty"),
    ],
)
def test_wrong_targets(target: str, words: str, run: Run) -> None:
    with pytest.raises(ValueError, match=words):
        parse_target(target)
    result = run(target)
    assert result.status == 2
    assert words in result.stderr


def test_table(run: Run) -> None:
    with run_sync(port=0) as server:
        result = run(server.addresses[0], PATIENTLY)
    assert result.status == 0
    *lines, last = result.stdout.splitlines()
    assert lines == [f"checking {server.addresses[0]}, which sends notices", "  K  pass  r"]
    assert last.startswith("passed: K 1 of 1, in ")
    assert result.stderr == ""


def test_url(run: Run, files: dict[str, str]) -> None:
    with run_sync(port=0, ssl=server_context()) as server:
        url = f"chats://{server.addresses[0]}"
        assert run(url, "--tls-ca", files["ca"], PATIENTLY).status == 0
        assert "is not accepted" in run(url).stdout
        result = run(f"chat://{server.addresses[0]}", "--tls-ca", files["ca"])
    assert result.status == 2
    assert "write chats://" in result.stderr


def test_unix_socket(run: Run, tmp_path: Path) -> None:
    with run_sync(unix=tmp_path / "chat"):
        result = run(f"unix:{tmp_path}/chat", "--format=json", PATIENTLY)
    assert result.status == 0
    assert json.loads(result.stdout)["target"] == f"unix:{tmp_path}/chat"


def test_junit(run: Run) -> None:
    with run_sync(port=0) as server:
        result = run(server.addresses[0], "--format=junit", PATIENTLY)
    assert result.status == 0
    assert '<testcase classname="K" name="r"/>' in result.stdout


def test_no_server(run: Run, tmp_path: Path) -> None:
    result = run(f"unix:{tmp_path}/chat")
    assert result.status == 3
    assert result.stdout.splitlines()[:2] == [
        f"checking unix:{tmp_path}/chat",
        f"  nothing was played: can't connect to unix:{tmp_path}/chat: No such file or directory",
    ]
    assert len(result.stdout.splitlines()) == 3


def test_client_program(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Variables may be set for all commands.
    monkeypatch.setenv("CHATPROTO_TLS", "yes")
    result = run("--client", "false")
    assert result.status == 1
    assert result.stdout.startswith("checking the client false\n")
    assert run("--client", "'").status == 2
    assert run("--client", "").status == 2


def test_wrong_usage(run: Run) -> None:
    for arguments in (
        ["--client", "nc", "localhost"],
        ["--client", "nc", "--host", "localhost"],
        ["--client", "nc", "--tls"],
        ["--timeout", "0"],
        ["--timeout", "x"],
        ["--format", "xml"],
        ["--tls-key", "nowhere", "localhost"],
        ["--tls-ca", "nowhere", "localhost"],
    ):
        result = run(*arguments)
        assert result.status == 2
        assert result.stdout == ""
        assert "rror: " in result.stderr
        assert "_seconds" not in result.stderr


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A CA, a certificate of it for clients, something damaged."""
    AUTHORITY().cert_pem.write_to_path(tmp_path / "ca")
    certificate = AUTHORITY().issue_cert("client")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pair")
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (tmp_path / "damaged").write_text(damaged, encoding="ascii")
    return {each: str(tmp_path / each) for each in ("ca", "pair", "damaged")}


def test_tls(run: Run, files: dict[str, str]) -> None:
    with run_sync(port=0, ssl=server_context()) as server:
        address = server.addresses[0]
        trusting = ["--tls-ca", files["ca"], PATIENTLY]
        assert run(address, *trusting).status == 0
        assert run(address, *trusting, "--tls-cert", files["pair"]).status == 0
        # The certificate is for 127.0.0.1.
        name = address.replace("127.0.0.1", "localhost")
        assert run(name, *trusting, "--host", "127.0.0.1").status == 0
        assert "is not accepted" in run(name, *trusting).stdout
        assert "is not accepted" in run(address, "--tls").stdout
        assert "this server wants TLS here" in run(address).stdout
        assert "is damaged" in run(address, "--tls-ca", files["damaged"]).stderr


def test_tls_over_a_unix_socket(run: Run, files: dict[str, str], tmp_path: Path) -> None:
    with run_sync(unix=tmp_path / "chat", ssl=server_context()):
        arguments = [f"unix:{tmp_path}/chat", "--tls-ca", files["ca"], PATIENTLY]
        assert run(*arguments, "--host", "127.0.0.1").status == 0
        # That is the default, too.
        assert run(*arguments).status == 0
        assert "is not accepted" in run(*arguments, "--host", "localhost").stdout


def test_host_has_no_use_without_tls(run: Run) -> None:
    result = run("localhost", "--host", "localhost")
    assert result.status == 2
    assert "--host has no use" in result.stderr


def test_options_of_the_other_client_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument stands for --host and --port, which `chatproto check` has too."""
    monkeypatch.setattr("chatproto_sync.check.command.load", SMALL.__getitem__)
    # An address in the environment gives way to the argument.
    monkeypatch.setenv("CHATPROTO_PORT", "1")
    with run_sync(port=0) as server:
        host, _, port = server.addresses[0].rpartition(":")
        for options in ([f"--host={host}", f"--port={port}"], [server.addresses[0]]):
            with pytest.raises(SystemExit) as caught:
                check_click([*options, PATIENTLY])
            assert caught.value.code == 0
    with pytest.raises(SystemExit) as caught:
        check_click(["localhost", "--port=1"])
    assert caught.value.code == 2
    assert "--port has no use beside localhost" in capsys.readouterr().err


def test_nobody_reads_the_report() -> None:
    with (
        run_sync(port=0) as server,
        subprocess.Popen(
            [sys.executable, "-m", "chatproto_sync.check", server.addresses[0]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as popen,
    ):
        assert popen.stdout is not None
        popen.stdout.close()
        assert popen.wait(2 * TIMEOUT) == 1
        assert popen.stderr is not None
        assert popen.stderr.read() == b""
