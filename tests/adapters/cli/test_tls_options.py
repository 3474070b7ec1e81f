"""The TLS options of the client commands: `--tls`, `--tls-ca`, `--tls-cert` and `--tls-key`.

The commands share them, so most tests use one command, in the test's own process.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatproto_anyio.cli.main import cli

from ..server.test_tls_server import (
    AUTHORITY,
    TlsClient,
    asking_context,
    client_context,
    server_context,
)
from ..servers import Running, run_sync
from .commands import Listener, PlayedServer, at, finish, run, start


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of a CA, of alice and of bob."""
    folder = tmp_path_factory.mktemp("certificates")
    AUTHORITY().cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("alice", "bob"):
        certificate = AUTHORITY().issue_cert(name)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / f"{name}.crt"))
        certificate.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    (folder / "text").write_text("nonsense")
    return folder


@pytest.fixture
def ca(files: Path) -> str:
    return f"--tls-ca={files / 'ca.pem'}"


@pytest.fixture
def server() -> Iterator[Running]:
    with run_sync(port=0, ssl=server_context()) as server:
        yield server


@pytest.fixture
def asking() -> Iterator[Running]:
    """A server that accepts a login only with a certificate for that name."""
    with run_sync(port=0, ssl=asking_context()) as server:
        yield server


def send(*options: str, to: str = "alice", **environment: str) -> tuple[int, list[str]]:
    """Run `chatproto send` as alice; the exit status, and the lines that it writes."""
    arguments = ["send", "--as=alice", *options, to, "hi"]
    result = CliRunner().invoke(cli, arguments, env=environment)
    return result.exit_code, result.output.splitlines()


def error_of(*options: str, **environment: str) -> str:
    """The error of `chatproto send`, which can't connect or log in."""
    status, lines = send(*options, **environment)
    assert status == 1
    [line] = lines
    return line


# Which servers they trust


def test_each_command_trusts_a_ca(server: Running, ca: str) -> None:
    with TlsClient(server.addresses[0], client_context()) as bob:
        bob.login("bob")
        for arguments in (["chat", "alice", "--to=bob"], ["send", "--as=alice", "bob"]):
            assert run(*arguments, *at(server), ca, stdin=b"hi\n")[0] == 0
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        with start("listen", "--as=alice", "--json", *at(server), ca) as popen:
            alice = Listener(popen)
            assert alice.read() == {"type": "listening", "name": "alice"}
            bob.write(b"CHAT/1.0 SEND alice hi\n")
            assert alice.read() == {"type": "message", "sender": "bob", "text": "hi"}


def test_the_environment_may_name_the_ca(server: Running, files: Path) -> None:
    assert send(*at(server), CHATPROTO_TLS_CA=str(files / "ca.pem")) == (0, [])


def test_they_trust_what_the_system_trusts(server: Running, files: Path) -> None:
    system = str(files / "ca.pem")
    assert send(*at(server), "--tls", SSL_CERT_FILE=system) == (0, [])
    assert send(*at(server), CHATPROTO_TLS="1", SSL_CERT_FILE=system) == (0, [])


def test_they_trust_a_ca_instead_of_the_systems(server: Running, files: Path) -> None:
    other = f"--tls-ca={files / 'alice.crt'}"
    assert "certificate verify failed" in error_of(
        *at(server), other, SSL_CERT_FILE=str(files / "ca.pem")
    )


def test_a_certificate_from_another_ca(server: Running) -> None:
    error = error_of(*at(server), "--tls")
    assert error.startswith(f"Error: can't connect to {server.addresses[0]}: ")
    assert "certificate verify failed" in error
    assert error.endswith(" from a CA that is trusted (--tls-ca)")


def test_a_certificate_for_another_host(server: Running, ca: str) -> None:
    error = error_of(*at(server), "--host=localhost", ca)
    assert "not valid for 'localhost'" in error
    assert "the certificate must be for --host" in error


def test_a_server_without_tls(ca: str) -> None:
    with run_sync(port=0) as server:
        error = error_of(*at(server), ca)
    assert error.startswith(f"Error: can't connect to {server.addresses[0]}: ")
    assert "trusted" not in error


def test_a_server_with_tls_and_a_command_without(server: Running) -> None:
    error_of(*at(server))


def test_nothing_is_sent_without_encryption(ca: str) -> None:
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), ca, "bob", "hi") as popen,
        server.accept() as peer,
    ):
        # The type of a handshake's record (RFC 8446, section 5.1).
        assert peer.socket.recv(1) == b"\x16"
        peer.close()
        assert finish(popen)[0] == 1


def test_on_a_unix_socket_the_certificate_is_for_the_host(tmp_path: Path, ca: str) -> None:
    with run_sync(unix=tmp_path / "chat", ssl=server_context()) as server:
        assert send(*at(server), ca) == (0, [])
        for host in ("else.example", "", ".example"):
            error = error_of(*at(server), ca, f"--host={host}")
            assert error.startswith("Error: can't connect to unix:")


# Who they are


@pytest.mark.parametrize(
    "options", [("cert", "alice.pem"), ("cert", "alice.crt", "key", "alice.key")]
)
def test_a_certificate_of_the_client(
    asking: Running, files: Path, ca: str, options: tuple[str, ...]
) -> None:
    names, paths = options[::2], options[1::2]
    given = [f"--tls-{name}={files / path}" for name, path in zip(names, paths, strict=True)]
    assert send(*at(asking), ca, *given) == (0, [])


def test_the_environment_may_name_the_certificate(asking: Running, files: Path) -> None:
    assert send(
        *at(asking),
        SSL_CERT_FILE=str(files / "ca.pem"),
        CHATPROTO_TLS_CERT=str(files / "alice.crt"),
        CHATPROTO_TLS_KEY=str(files / "alice.key"),
    ) == (0, [])


def test_a_certificate_for_another_name(asking: Running, files: Path, ca: str) -> None:
    error = error_of(*at(asking), ca, f"--tls-cert={files / 'bob.pem'}")
    assert error == "Error: AUTH_FAILED: your certificate is for somebody else"


def test_no_certificate_for_a_server_that_needs_one(asking: Running, ca: str) -> None:
    error_of(*at(asking), ca)


# Files that can't be used


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tls-ca": "nobody"}, "'--tls-ca'"),
        ({"tls-ca": ""}, "'--tls-ca'"),
        ({"tls-ca": "."}, "'--tls-ca'"),
        ({"tls-ca": "text"}, "'--tls-ca': no CA's certificate in PEM: "),
        ({"tls-ca": "alice.key"}, "'--tls-ca': no CA's certificate in PEM: "),
        ({"tls-cert": "nobody"}, "'--tls-cert'"),
        ({"tls-cert": "."}, "'--tls-cert'"),
        ({"tls-cert": "text"}, "'--tls-cert': no certificate with its key in PEM: "),
        ({"tls-cert": "alice.crt"}, "'--tls-cert': no certificate with its key in PEM: "),
        ({"tls-cert": "alice.crt", "tls-key": "nobody"}, "'--tls-key'"),
        ({"tls-cert": "alice.crt", "tls-key": "text"}, "'--tls-cert' / '--tls-key': "),
        ({"tls-cert": "alice.crt", "tls-key": "bob.key"}, "'--tls-cert' / '--tls-key': "),
        ({"tls-key": "alice.key"}, "--tls-key has no use without --tls-cert"),
    ],
)
def test_files_of_no_use(files: Path, options: dict[str, str], words: str) -> None:
    paths = [f"--{name}={files / value if value else value}" for name, value in options.items()]
    status, lines = send("--port=1", *paths)
    assert status == 2
    assert lines[0].startswith("Usage: ")
    assert lines[-1].startswith("Error: ")
    assert words in lines[-1]
