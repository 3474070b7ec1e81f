"""The TLS options of the client commands: `--tls`, `--tls-ca`, `--tls-cert` and `--tls-key`.

The commands share them, so most tests use one command, in the test's own process.
"""

import socket
from collections.abc import Iterator
from pathlib import Path
from ssl import SSLCertVerificationError, SSLError

import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from chatproto import ConnectionLostError
from chatproto_anyio.cli.main import cli
from chatproto_anyio.cli.options import ConnectArguments, ServerOptions
from chatproto_anyio.cli.running import advice

from ..server.test_tls_server import (
    AUTHORITY,
    TlsClient,
    asking_context,
    client_context,
    server_context,
)
from ..servers import Running, run_sync
from .commands import Listener, PlayedServer, at, finish, run, start

OR_CERTIFICATE = ", or with --tls-cert"


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
    stranger = trustme.CA().issue_cert("alice")
    stranger.private_key_and_cert_chain_pem.write_to_path(str(folder / "stranger.pem"))
    key = load_pem_private_key((folder / "alice.key").read_bytes(), None)
    phrase = BestAvailableEncryption(b"open sesame")
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, phrase)
    (folder / "locked.key").write_bytes(locked)
    (folder / "phrase").write_text("open sesame\n")
    damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    (folder / "damaged").write_text(damaged)
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


def alert(reason: str) -> SSLError:
    """OpenSSL's error for an alert."""
    error = SSLError(1, reason)
    error.reason = reason
    return error


def expired() -> SSLCertVerificationError:
    """OpenSSL's error for a certificate that has expired."""
    error = SSLCertVerificationError(1, "certificate has expired")
    error.reason, error.verify_code = "CERTIFICATE_VERIFY_FAILED", 10
    return error


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
            assert alice.read() == {"type": "listening", "name": "alice", "labels": True}
            bob.write(b"CHAT/1.0 SEND alice hi\n")
            assert alice.read() == {"type": "message", "sender": "bob", "text": "hi"}


def test_the_environment_may_name_the_ca(server: Running, files: Path) -> None:
    assert send(*at(server), CHATPROTO_TLS_CA=str(files / "ca.pem")) == (0, [])


def test_they_trust_what_the_system_trusts(server: Running, files: Path) -> None:
    system = str(files / "ca.pem")
    assert send(*at(server), "--tls", SSL_CERT_FILE=system) == (0, [])
    assert send(*at(server), CHATPROTO_TLS="1", SSL_CERT_FILE=system) == (0, [])
    url = f"chats://{server.addresses[0]}"
    assert send("--host", url, SSL_CERT_FILE=system) == (0, [])


def test_they_trust_a_ca_instead_of_the_systems(server: Running, files: Path) -> None:
    other = f"--tls-ca={files / 'alice.crt'}"
    assert "certificate is not accepted" in error_of(
        *at(server), other, SSL_CERT_FILE=str(files / "ca.pem")
    )


def test_a_certificate_from_another_ca(server: Running) -> None:
    error = error_of(*at(server), "--tls")
    assert error.startswith(f"Error: can't connect to {server.addresses[0]}: ")
    assert error.endswith("; if you trust the CA that it is from, name that with --tls-ca")


def test_a_certificate_for_another_host(server: Running, ca: str) -> None:
    _, port = at(server)
    error = error_of("--host=localhost", port, ca)
    assert error.endswith("; try the name or address that it is for, with --host")


def test_a_server_without_tls(ca: str) -> None:
    with run_sync(port=0) as server:
        error = error_of(*at(server), ca)
    assert error.startswith(f"Error: can't connect to {server.addresses[0]}: ")
    assert error.endswith("; try without --tls-ca" + OR_CERTIFICATE)


def test_the_environment_turns_tls_on_and_the_server_has_none() -> None:
    with run_sync(port=0) as server:
        error = error_of(*at(server), CHATPROTO_TLS="1")
    assert error.endswith("; try without CHATPROTO_TLS" + OR_CERTIFICATE)


def test_a_server_with_tls_and_a_command_without(server: Running) -> None:
    assert error_of(*at(server)).endswith(": this server wants TLS here; try --tls")
    url = f"chat://{server.addresses[0]}"
    assert error_of("--host", url).endswith(": this server wants TLS here; try chats://")


@pytest.mark.parametrize("answer", [b"", b"\x15\x03\x01\x00\x02\x02\x46"], ids=["end", "alert"])
def test_other_servers_with_tls_and_a_command_without(answer: bytes) -> None:
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", "hi") as popen,
        server.accept() as peer,
    ):
        peer.socket.sendall(answer)
        peer.socket.shutdown(socket.SHUT_WR)
        status, _, errors = finish(popen)
    assert status == 1
    assert errors.endswith("; try --tls\n")


def test_nothing_to_try_when_the_server_says_why() -> None:
    with (
        PlayedServer() as server,
        start("send", "--as=alice", *at(server), "bob", "hi") as popen,
        server.accept() as peer,
    ):
        peer.say("*server*", b"ERR TOO_MANY - too many connections")
        peer.socket.shutdown(socket.SHUT_WR)
        status, _, errors = finish(popen)
    assert status == 1
    assert errors.endswith("too many connections\n")


def test_nothing_to_try_when_nobody_listens() -> None:
    with PlayedServer() as server:
        place = at(server)
    assert error_of(*place).endswith(": Connection refused")


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
    # Its reason may be lost, because it ends the connection at once.
    assert error_of(*at(asking), ca).endswith("--tls-cert")


def test_a_certificate_that_the_server_does_not_trust(
    asking: Running, ca: str, files: Path
) -> None:
    error = error_of(*at(asking), ca, f"--tls-cert={files / 'stranger.pem'}")
    assert error.endswith("; try another one with --tls-cert")


def test_a_key_with_a_pass_phrase(asking: Running, files: Path, ca: str) -> None:
    options = [f"--tls-cert={files / 'alice.crt'}", f"--tls-key={files / 'locked.key'}"]
    phrase = f"--tls-key-password-file={files / 'phrase'}"
    assert send(*at(asking), ca, *options, phrase) == (0, [])
    # It does not ask.
    status, lines = send(*at(asking), ca, *options)
    assert status == 2
    assert lines[-1].startswith("Error: --tls-cert: the key needs a pass phrase ")
    assert lines[-1].endswith(" --tls-key-password-file")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("whatever"), ""),
        (
            ConnectionResetError(),
            "try without --tls and --tls-ca" + OR_CERTIFICATE,
        ),
        (
            alert("WRONG_VERSION_NUMBER"),
            "try without --tls and --tls-ca",
        ),
        (
            alert("SSLV3_ALERT_HANDSHAKE_FAILURE"),
            "try --tls-cert",
        ),
        (
            alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"),
            "try another one with --tls-cert",
        ),
        (alert("TLSV1_ALERT_INTERNAL_ERROR"), ""),
        (expired(), ""),
    ],
)
def test_what_to_try(error: Exception, words: str) -> None:
    lost = ConnectionLostError("it is lost")
    lost.__cause__ = error
    arguments = ConnectArguments(host="", port=1, unix=None, ssl=True, server_hostname=None)
    assert advice(lost, ServerOptions(arguments, ["--tls", "--tls-ca"], False, "")) == words


# Files that can't be used


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tls-ca": "nobody"}, "'--tls-ca'"),
        ({"tls-ca": ""}, "'--tls-ca'"),
        ({"tls-ca": "."}, "'--tls-ca'"),
        ({"tls-ca": "text"}, "--tls-ca: {files}/text has no certificate in PEM"),
        ({"tls-ca": "alice.key"}, "--tls-ca: {files}/alice.key has no certificate in PEM"),
        ({"tls-ca": "damaged"}, "--tls-ca: the CA {files}/damaged is damaged: "),
        ({"tls-cert": "nobody"}, "'--tls-cert'"),
        ({"tls-cert": "."}, "'--tls-cert'"),
        ({"tls-cert": "text"}, "--tls-cert: {files}/text has no certificate in PEM"),
        (
            {"tls-cert": "alice.crt"},
            "--tls-cert: {files}/alice.crt has no private key in PEM; --tls-key",
        ),
        ({"tls-cert": "alice.crt", "tls-key": "nobody"}, "'--tls-key'"),
        (
            {"tls-cert": "alice.crt", "tls-key": "text"},
            "--tls-cert: {files}/text has no private key in PEM",
        ),
        (
            {"tls-cert": "alice.crt", "tls-key": "bob.key"},
            "--tls-cert: the key {files}/bob.key does not belong to the first certificate in ",
        ),
        ({"tls-key": "alice.key"}, "--tls-key has no use without --tls-cert"),
        (
            {"tls-key-password-file": "phrase"},
            "--tls-key-password-file has no use without --tls-cert",
        ),
    ],
)
def test_files_of_no_use(files: Path, options: dict[str, str], words: str) -> None:
    paths = [f"--{name}={files / value if value else value}" for name, value in options.items()]
    status, lines = send("--port=1", *paths)
    assert status == 2
    assert lines[0].startswith("Usage: ")
    assert lines[-1].startswith("Error: ")
    assert words.format(files=files) in lines[-1]


def test_files_of_no_use_that_variables_name(files: Path) -> None:
    text, key = str(files / "text"), str(files / "alice.key")
    for variables, words in [
        ({"CHATPROTO_TLS_CA": text}, f"CHATPROTO_TLS_CA: {text} has no certificate in PEM"),
        ({"CHATPROTO_TLS_CERT": key}, f"CHATPROTO_TLS_CERT: {key} has no certificate in PEM"),
        (
            {"CHATPROTO_TLS_CERT": "nobody"},
            "Invalid value for 'CHATPROTO_TLS_CERT': File 'nobody' ",
        ),
        ({"CHATPROTO_TLS_KEY": key}, "CHATPROTO_TLS_KEY has no use without --tls-cert"),
    ]:
        status, lines = send("--port=1", **variables)
        assert status == 2
        assert words in lines[-1]
