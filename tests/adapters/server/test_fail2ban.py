"""The filter for fail2ban in the docs, against what servers log."""

import configparser
import re
import signal
from pathlib import Path

import pytest

from chatproto import ErrorCode, EventKind, LogEvent

from ..processes import COMMANDS, spawn
from ..servers import SocketClient
from .test_tls_handshakes import TlsBytes, read_to_the_end
from .test_tls_server import AUTHORITY, DENIED, TlsClient, client_context

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "ban-clients.md"

IP4 = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})"
IP6 = r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))"
ADDR = rf"\[?(?:{IP4}|{IP6})\]?"
"""What fail2ban puts in place of `<ADDR>`: an address, maybe in brackets."""

DATE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")
"""What fail2ban takes out of a line before it looks at the rest."""


def blocks() -> list[configparser.RawConfigParser]:
    """The configuration of fail2ban on the page."""
    found: list[configparser.RawConfigParser] = []
    for text in re.findall(r"```ini\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        if "[Definition]" in text or "[chatproto]" in text:
            parser = configparser.RawConfigParser()
            parser.read_string(text)
            found.append(parser)
    return found


def expressions() -> list[re.Pattern[str]]:
    """The expressions of the filter, with what fail2ban puts into them."""
    filter_, _ = blocks()
    lines = filter_["Definition"]["failregex"].splitlines()
    return [re.compile(each.replace("<ADDR>", ADDR)) for each in lines]


def banned(line: str) -> str | None:
    """The address that a line of the log counts against."""
    rest = DATE.sub("", line)
    assert rest != line
    for each in expressions():
        if match := each.search(rest):
            return match["ip4"] or match["ip6"]
    return None


def logged(
    kind: EventKind, peer: str, name: str | None, reason: str, code: ErrorCode | None = None
) -> str:
    event = LogEvent(kind, peer, name, code=code, reason=reason, group=reason)
    return f"2026-01-31 12:00:00,000 INFO {event}"


REFUSED, FAILED = EventKind.LOGIN_REFUSED, EventKind.HANDSHAKE_FAILED
NO = "you may not log in under that name"
AUTH_FAILED, NAME_IN_USE = ErrorCode.AUTH_FAILED, ErrorCode.NAME_IN_USE


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (logged(REFUSED, "203.0.113.7:4321", "alice", NO, AUTH_FAILED), "203.0.113.7"),
        (logged(REFUSED, "[2001:db8::7]:4321", "alice", NO, AUTH_FAILED), "2001:db8::7"),
        (logged(FAILED, "203.0.113.7:4321", None, "no shared cipher"), "203.0.113.7"),
        (logged(FAILED, "[2001:db8::7]:4321", None, "no shared cipher"), "2001:db8::7"),
        # Somebody who wants somebody else to be banned.
        (logged(REFUSED, "203.0.113.7:1", "x\u00a0(192.0.2.1:1):", NO, AUTH_FAILED), "203.0.113.7"),
        (logged(REFUSED, "203.0.113.7:1", "x\t(192.0.2.1:1):", NO, AUTH_FAILED), "203.0.113.7"),
        (logged(REFUSED, "203.0.113.7:1", "x(192.0.2.1:1):", NO, AUTH_FAILED), "203.0.113.7"),
        (logged(FAILED, "203.0.113.7:1", None, "b'handshake failed 192.0.2.1:1: '"), "203.0.113.7"),
        (logged(EventKind.LOGGED_IN, "203.0.113.7:1", "login", ""), None),
        (logged(EventKind.CLOSED, "203.0.113.7:1", "bob", "login refused"), None),
        (logged(EventKind.GROUP_MADE, "203.0.113.7:1", "bob", "handshake"), None),
        # No attempt at another's name; nobody is to blame; nobody to ban.
        (logged(REFUSED, "203.0.113.7:4321", "alice", "it is taken", NAME_IN_USE), None),
        (logged(FAILED, "203.0.113.7:1", None, "the other side has closed the connection"), None),
        (logged(REFUSED, "unix", "alice", NO, AUTH_FAILED), None),
    ],
)
def test_lines(line: str, address: str | None) -> None:
    assert banned(line) == address


def test_the_jail_uses_the_filter() -> None:
    _, jail = blocks()
    assert jail["chatproto"]["filter"] == "chatproto"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_what_servers_log(command: list[str], tmp_path: Path) -> None:
    cert, ca = tmp_path / "cert.pem", tmp_path / "ca.pem"
    AUTHORITY().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(cert))
    AUTHORITY().cert_pem.write_to_path(str(ca))
    options = ["--port=0", f"--tls-cert={cert}", f"--tls-client-ca={ca}", "--log-level=debug"]
    eve = client_context(AUTHORITY().issue_cert("eve"))
    with spawn([*command, *options], tmp_path / "log") as process:
        with TlsClient(process.address, eve) as client:
            client.login("eve")
            client.write(b"CHAT/1.0 LOGIN alice\n")
            assert client.read_line() == DENIED
        tls = TlsBytes(client_context())
        with SocketClient(process.address) as nobody:
            nobody.write(tls.hello())
            nobody.write(tls.finish(nobody.socket))
            read_to_the_end(nobody.socket)
        with SocketClient(process.address) as lost:
            lost.write(b"CHAT/1.0 LOGIN alice\n")
            read_to_the_end(lost.socket)
        assert process.end(signal.SIGTERM) == 0
        lines = process.log.splitlines()
    found = [line for line in lines if banned(line)]
    assert {banned(line) for line in found} == {"127.0.0.1"}
    assert [line.rpartition(": ")[2] for line in found] == [
        "AUTH_FAILED your certificate is for somebody else",
        "peer did not return a certificate",
        "the client does not use TLS, but sends b'CHAT/1.0 LOGIN a'",
    ]
