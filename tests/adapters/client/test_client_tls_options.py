"""The commands that are clients over TLS: `--tls`, `--tls-ca`, `--tls-cert`, `--tls-key`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..cli.commands import Listener, PlayedServer, at, finish, run, start
from ..server.test_tls_server import (
    AUTHORITY,
    TlsClient,
    asking_context,
    client_context,
    server_context,
)
from ..servers import Running, run_sync

COMMANDS = {
    "chat": ["chat", "alice", "--to=bob"],
    "send": ["send", "--as=alice", "bob"],
    "listen": ["listen", "--as=alice"],
}

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
"""They say what their input says, or hear it."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of alice and of a CA."""
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
    """A server that lets in whom a certificate is for."""
    with run_sync(port=0, ssl=asking_context()) as server:
        yield server


def check_talk(command: list[str], server: Running, *options: str, **environment: str) -> None:
    """Somebody called bob and the command, which is alice, hear each other."""
    context = client_context(AUTHORITY().issue_cert("bob"))
    with TlsClient(server.addresses[0], context) as bob:
        bob.login("bob")
        if command[0] == "listen":
            arguments = [*command, "--json", *at(server), *options]
            with start(*arguments, environment=environment) as popen:
                alice = Listener(popen)
                assert alice.read() == {"type": "listening", "name": "alice"}
                bob.write(b"CHAT/1.0 SEND alice hi\n")
                assert alice.read() == {"type": "message", "sender": "bob", "text": "hi"}
            return
        status, _, errors = run(*command, *at(server), *options, stdin=b"hi\n", **environment)
        assert (status, errors) == (0, "")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


def check_refusal(command: list[str], *options: str, **environment: str) -> str:
    """The command ends with status 1 and one line of error, which is returned."""
    status, _, errors = run(*command, *options, stdin=b"hi\n", **environment)
    assert status == 1
    [line] = errors.splitlines()
    return line


# Whom the commands trust


@each_command
def test_a_ca(command: list[str], server: Running, ca: str) -> None:
    check_talk(command, server, ca)
    check_talk(command, server, "--tls", ca)


@each_command
def test_the_environment(command: list[str], server: Running, files: Path) -> None:
    check_talk(command, server, CHATPROTO_TLS_CA=str(files / "ca.pem"))


@each_command
def test_what_the_system_trusts(command: list[str], server: Running, files: Path) -> None:
    check_talk(command, server, "--tls", SSL_CERT_FILE=str(files / "ca.pem"))
    check_talk(command, server, CHATPROTO_TLS="1", SSL_CERT_FILE=str(files / "ca.pem"))


@each_command
def test_a_ca_is_trusted_instead_of_the_systems(
    command: list[str], server: Running, files: Path
) -> None:
    other = f"--tls-ca={files / 'alice.crt'}"
    check_refusal(command, *at(server), other, SSL_CERT_FILE=str(files / "ca.pem"))


@each_command
def test_a_certificate_that_is_not_trusted(command: list[str], server: Running) -> None:
    error = check_refusal(command, *at(server), "--tls")
    assert error.startswith(f"Error: can't connect to {server.addresses[0]}: ")
    assert "certificate verify failed" in error
    assert error.endswith(" from a CA that is trusted (--tls-ca)")


@each_command
def test_a_certificate_for_another_host(command: list[str], server: Running, ca: str) -> None:
    error = check_refusal(command, *at(server), "--host=localhost", ca)
    assert "not valid for 'localhost'" in error
    assert "the certificate has to be for the --host" in error


@each_command
def test_a_server_without_tls(command: list[str], ca: str) -> None:
    with run_sync(port=0) as server:
        error = check_refusal(command, *at(server), ca)
    assert error.startswith(f"Error: can't connect to {server.addresses[0]}: ")
    assert "trusted" not in error


@each_command
def test_a_server_that_wants_tls(command: list[str], server: Running) -> None:
    check_refusal(command, *at(server))


@each_command
def test_nothing_is_said_in_the_clear(command: list[str], ca: str) -> None:
    with (
        PlayedServer() as server,
        start(*command, *at(server), ca) as popen,
        server.accept() as peer,
    ):
        # A handshake's record (RFC 8446, section 5.1).
        assert peer.socket.recv(1) == b"\x16"
        peer.close()
        assert finish(popen)[0] == 1


# Unix sockets


def test_on_a_unix_socket_the_host_is_the_certificates(tmp_path: Path, ca: str) -> None:
    command = COMMANDS["send"]
    with run_sync(unix=tmp_path / "chat", ssl=server_context()) as server:
        arguments = [*command[:-1], *at(server), ca, "alice", "hi"]
        assert run(*arguments) == (0, "", "")
        assert "not valid for 'else.example'" in check_refusal(arguments, "--host=else.example")


@pytest.mark.parametrize("host", ["", ".example"])
def test_a_host_that_no_certificate_can_be_for(tmp_path: Path, ca: str, host: str) -> None:
    with run_sync(unix=tmp_path / "chat", ssl=server_context()) as server:
        arguments = ["send", "--as=alice", *at(server), ca, f"--host={host}", "alice", "hi"]
        assert check_refusal(arguments).startswith("Error: can't connect to unix:")


# Who they are


@each_command
@pytest.mark.parametrize("with_key", [False, True])
def test_a_clients_certificate(
    command: list[str], asking: Running, files: Path, ca: str, with_key: bool
) -> None:
    if with_key:
        options = [f"--tls-cert={files / 'alice.crt'}", f"--tls-key={files / 'alice.key'}"]
    else:
        options = [f"--tls-cert={files / 'alice.pem'}"]
    check_talk(command, asking, ca, *options)


@each_command
def test_it_may_come_from_the_environment(command: list[str], asking: Running, files: Path) -> None:
    check_talk(
        command,
        asking,
        SSL_CERT_FILE=str(files / "ca.pem"),
        CHATPROTO_TLS_CERT=str(files / "alice.crt"),
        CHATPROTO_TLS_KEY=str(files / "alice.key"),
    )


@each_command
def test_somebody_elses_certificate(
    command: list[str], asking: Running, files: Path, ca: str
) -> None:
    error = check_refusal(command, *at(asking), ca, f"--tls-cert={files / 'bob.pem'}")
    assert error == "Error: AUTH_FAILED: your certificate is for somebody else"


@each_command
def test_no_certificate_where_one_is_wanted(command: list[str], asking: Running, ca: str) -> None:
    check_refusal(command, *at(asking), ca)


# What makes no sense


@each_command
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
def test_files_of_no_use(
    command: list[str], files: Path, options: dict[str, str], words: str
) -> None:
    paths = [f"--{name}={files / value if value else value}" for name, value in options.items()]
    status, out, errors = run(*command, "--port=1", *paths)
    assert (status, out) == (2, "")
    usage, *_, line = errors.splitlines()
    assert usage.startswith("Usage: ")
    assert line.startswith("Error: ")
    assert words in line
    assert "Traceback" not in errors
