"""chatproto_sync.check.checking: each transcript over sockets; servers and clients that fail."""

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from chatproto.conformance import Check, Row, RowResult, Side, Status, Suite, load, parse_transcript
from chatproto_sync.check.checking import check_program, check_server
from chatproto_sync.sockets.addresses import Endpoint, make_endpoint

from ...conformance.worlds import SETTINGS
from ..server.test_tls_server import client_context, server_context
from ..servers import TIMEOUT, Start, run_sync

SUITE = load()
CLIENTS = load(Side.CLIENT)
EXAMPLES = Path(__file__).parents[3] / "examples"

PROBE = Suite(Side.SERVER, (Row("K", "r"),), (parse_transcript("t", "row: r\n\nalice + alice°"),))
"""As little as can be checked."""


def for_servers(*settings: str) -> Suite:
    """The transcripts that are for servers with one of these settings."""
    found = [each for each in SUITE.transcripts if each.server in settings]
    rows = {each.row for each in found}
    return Suite(SUITE.side, tuple(each for each in SUITE.rows if each.text in rows), tuple(found))


def at(address: str, **options: Any) -> Endpoint[Any]:
    """The endpoint of a server that runs."""
    kind, _, path = address.partition(":")
    if kind == "unix":
        return make_endpoint("", 3333, path, None, options.get("ssl", False), None)
    host, _, port = address.rpartition(":")
    return make_endpoint(host, int(port), None, None, options.get("ssl", False), None)


def ignore(_check: Check, _rows: list[RowResult]) -> None:
    """No report."""


def failures(check: Check) -> list[tuple[str, ...]]:
    return [each.reasons for each in check.rows if each.status is Status.FAILED]


DEFAULT = for_servers("", "default", "share")
"""What holds on a server with the default settings."""


def test_default_settings(start: Start) -> None:
    with start(port=0) as server:
        check = check_server(DEFAULT, at(server.addresses[0]), TIMEOUT, ignore)
    assert failures(check) == []
    # All rows but those that no client can see.
    assert len(check.rows) == len(SUITE.rows) - 2


@pytest.mark.parametrize(
    "setting", [each for each in SETTINGS if each not in ("", "default", "share")]
)
def test_other_settings(setting: str, start: Start) -> None:
    with start(port=0, **SETTINGS[setting]) as server:
        check = check_server(for_servers(setting), at(server.addresses[0]), TIMEOUT, ignore)
    assert failures(check) == []
    assert check.rows


def test_server_without_notices() -> None:
    """Where the others tell of errors, it does the same in silence."""
    rows = tuple(each for each in DEFAULT.rows if each.label != "P")
    with run_sync(port=0, notices=False) as server:
        suite = Suite(Side.SERVER, rows, DEFAULT.transcripts)
        check = check_server(suite, at(server.addresses[0]), TIMEOUT, ignore)
    assert not check.notices
    assert failures(check) == []


def test_unix_socket(start: Start, tmp_path: Path) -> None:
    suite = Suite(Side.SERVER, DEFAULT.rows[:14], DEFAULT.transcripts)
    with start(unix=tmp_path / "chat") as server:
        check = check_server(suite, at(server.addresses[0]), TIMEOUT, ignore)
    assert failures(check) == []


def test_tls(start: Start) -> None:
    """What a client can't read after its end of the stream, TLS leaves out."""
    with start(port=0, ssl=server_context()) as server:
        endpoint = at(server.addresses[0], ssl=client_context())
        check = check_server(DEFAULT, endpoint, TIMEOUT, ignore)
    assert failures(check) == []


def test_rows_are_reported_as_they_come(start: Start) -> None:
    reported: list[RowResult] = []
    suite = Suite(SUITE.side, SUITE.rows[:3], SUITE.transcripts)
    with start(port=0) as server:
        check = check_server(
            suite,
            at(server.addresses[0]),
            TIMEOUT,
            lambda _, rows: reported.extend(rows),
        )
    assert reported == check.rows
    assert len(reported) == 3


@contextlib.contextmanager
def strange_server(answer: Callable[[socket.socket], object]) -> Iterator[Endpoint[Any]]:
    """A server that does something else with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as sock:
                        answer(sock)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield at("{}:{}".format(*listener.getsockname()))
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(TIMEOUT)


def speak(words: bytes, sock: socket.socket) -> None:
    sock.sendall(words)
    with contextlib.suppress(OSError):
        while sock.recv(4096):
            pass


@pytest.mark.parametrize(
    ("answer", "timeout", "reason"),
    [
        (lambda _: None, TIMEOUT, "the server closes the connection of alice"),
        (
            partial(speak, b""),
            0.2,
            "sends a LOGIN and a message to itself, and receives nothing within 0.2",
        ),
        # The check waits for the answer to its LOGIN all that time.
        (
            partial(speak, b"SSH-2.0-OpenSSH\r\n\xff\n"),
            2.0,
            'alice has received "SSH-2.0-OpenSSH\\r"',
        ),
        (
            partial(speak, bytes(1 << 21)),
            TIMEOUT,
            "receives more than 1048576 bytes without an end of line",
        ),
    ],
    ids=["closes", "hangs", "nonsense", "floods"],
)
def test_strange_servers(
    answer: Callable[[socket.socket], object], timeout: float, reason: str
) -> None:
    with strange_server(answer) as endpoint:
        check = check_server(PROBE, endpoint, timeout, ignore)
    assert check.nothing_played
    [[words]] = failures(check)
    assert reason in words


def test_a_server_that_does_not_answer_the_tls_handshake() -> None:
    with strange_server(partial(speak, b"")) as plain:
        endpoint: Endpoint[Any] = make_endpoint(
            plain.host, plain.port, None, None, client_context(), "localhost"
        )
        check = check_server(PROBE, endpoint, 0.2, ignore)
    [[words]] = failures(check)
    assert words.endswith("answer the TLS handshake; if the server has no TLS, connect without TLS")


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = "{}:{}".format(*listener.getsockname())
    check = check_server(PROBE, at(address), TIMEOUT, ignore)
    assert failures(check) == [
        (
            (
                "not played, because the server does not answer:"
                f" can't connect to {address}: Connection refused"
            ),
        )
    ]


@pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "*" * 70])
def test_no_such_host(host: str) -> None:
    for ssl in (False, client_context()):
        endpoint: Endpoint[Any] = make_endpoint(host, 3333, None, None, ssl, None)
        check = check_server(PROBE, endpoint, TIMEOUT, ignore)
        assert f"can't connect to {host}:3333: " in failures(check)[0][0]


def test_certificates_that_are_not_accepted() -> None:
    with run_sync(port=0, ssl=server_context()) as server:
        stranger = trustme.CA()
        context = client_context()
        context.load_verify_locations(cadata=stranger.cert_pem.bytes().decode())
        endpoint: Endpoint[Any] = make_endpoint(
            "localhost", int(server.addresses[0].rpartition(":")[2]), None, None, context, None
        )
        check = check_server(PROBE, endpoint, TIMEOUT, ignore)
    assert "certificate is not accepted" in failures(check)[0][0]


def test_tls_host_that_no_certificate_can_be_for() -> None:
    with run_sync(port=0, ssl=server_context()) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        endpoint: Endpoint[Any] = make_endpoint(
            "127.0.0.1", port, None, None, client_context(), "a..b"
        )
        check = check_server(PROBE, endpoint, TIMEOUT, ignore)
    assert "'a..b' is not a host name" in failures(check)[0][0]


def test_a_client_program() -> None:
    program = EXAMPLES / "checked_client.py"
    rows = (CLIENTS.rows[3], CLIENTS.rows[10], CLIENTS.rows[12], CLIENTS.rows[13])
    check = check_program(
        Suite(Side.CLIENT, rows, CLIENTS.transcripts),
        f"'{sys.executable}' '{program}' {{host}} {{port}}",
        # The client goes on after a line that is too long. The other transcript waits this long.
        TIMEOUT,
        ignore,
    )
    assert failures(check) == []
    assert check.rows[1].follows == "goes on"


ONE = Suite(Side.CLIENT, CLIENTS.rows[:1], CLIENTS.transcripts)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit('what is wrong')", "and the program ends (what is wrong)"),
        # Two connections: only the first one counts. It is reset.
        (
            (
                "import os, socket, struct; a = ('127.0.0.1', int(os.environ['CHATPROTO_PORT']));"
                " s = socket.create_connection(a); socket.create_connection(a).recv(1);"
                " s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0));"
                " s.close(); input(); input()"
            ),
            "and the connection ends",
        ),
    ],
)
def test_programs_that_end(code: str, reason: str) -> None:
    check = check_program(ONE, f'"{sys.executable}" -c "{code}"', TIMEOUT, ignore)
    [[words]] = failures(check)
    assert words.startswith('login: server should receive "LOGIN alice", ')
    assert reason in words


def test_a_program_that_can_not_be_started(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("neither a script nor a binary")
    program.chmod(0o700)
    check = check_program(ONE, str(program), TIMEOUT, ignore)
    assert failures(check) == [(f"login: can't start {program}: Exec format error",)]


@pytest.mark.parametrize("command", ["", "'", "/nowhere/program {host}", "/"])
def test_a_command_line_that_is_wrong(command: str) -> None:
    with pytest.raises(ValueError, match=r"empty|quotation|there is no program"):
        check_program(ONE, command, TIMEOUT, ignore)
