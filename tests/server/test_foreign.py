"""chatproto.server.foreign: lines of other protocols, and what becomes of the connection."""

import pytest

from chatproto import ChatBroker, CloseReason, Limits
from chatproto.server.foreign import foreign_protocol

from .brokers import close_reason, received, send, wants_close

FORM = (
    b"POST / HTTP/1.1\r\nHost: localhost:3333\r\nContent-Type: text/plain\r\n\r\n"
    b"\nCHAT/1.0 LOGIN alice\nCHAT/1.0 SEND bob hi\n"
)

BEGINNINGS = [
    (b"GET / HTTP/1.1", CloseReason.HTTP),
    (b"GET /", CloseReason.HTTP),
    (b"OPTIONS * HTTP/1.1", CloseReason.HTTP),
    (b"PRI * HTTP/2.0", CloseReason.HTTP),
    (b"BREW pot HTTP/1.1", CloseReason.HTTP),
    (b"Host: localhost", CloseReason.HTTP),
    (b"x-y_z:1", CloseReason.HTTP),
    (b"\x16\x03\x01\x02\x00\x01", CloseReason.TLS),
    (b"\x16\x03", CloseReason.TLS),
    (b"SSH-2.0-OpenSSH_9.2p1", CloseReason.SSH),
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2", CloseReason.PROXY),
    (b"PROXY UNKNOWN", CloseReason.PROXY),
    (b"\x00\n", CloseReason.PROXY),
    (b"DESCRIBE rtsp://localhost/ RTSP/1.0", CloseReason.FOREIGN),
    (b"INVITE sip:bob@localhost SIP/2.0", CloseReason.FOREIGN),
    (b"\x00\x03\x00\x24\x21\x12\xa4\x42", CloseReason.FOREIGN),
    (b"*3\n", CloseReason.FOREIGN),
    (b"$4\n", CloseReason.FOREIGN),
    (b"set key 0 0 20", CloseReason.FOREIGN),
    (b"\x10\x10\x00\x04MQTT", CloseReason.FOREIGN),
    (b"AMQP\x00\x00\x09\x01", CloseReason.FOREIGN),
    # The same request to TURN with a length in front, as ICE over TCP sends it.
    (b"\x00\x5c\x00\x01\x00\x58\x21\x12\xa4\x42", CloseReason.FOREIGN),
    (b"\x01\x13\x01\x24\x21\x12\xa4\x42", CloseReason.FOREIGN),
    # PostgreSQL, MongoDB, SMB, Kafka, AJP, a Java RMI call, RTMP, a query to DNS.
    (b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00", CloseReason.FOREIGN),
    (b"\x3a\x01\x01\x01\x01\x01\x01\x01\xff\xff\xff\xff\xd4\x07\x00\x00", CloseReason.FOREIGN),
    (b"\x00\x00\x00\x85\xffSMBr", CloseReason.FOREIGN),
    (b"\x12\x34\x01\x0f\x02\x02\x00\x08HTTP/1.1", CloseReason.FOREIGN),
    (b"JRMI\x00\x02K", CloseReason.FOREIGN),
    # LDAP: a bind under a name.
    (b"0\x2e\x02\x01\x01\x60\x29\x02\x01\x03\x04\x1ccn=x", CloseReason.FOREIGN),
    (b"003agit-upload-pack /x", CloseReason.FOREIGN),
    (b"CLIENT libcurl 8.5.0", CloseReason.FOREIGN),
]


@pytest.mark.parametrize(("line", "reason"), BEGINNINGS)
def test_lines_of_other_protocols(line: bytes, reason: CloseReason) -> None:
    assert foreign_protocol(line) is reason


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello world",
        b"HTTP/1.0 SEND hello",
        b"LOGIN alice",
        b"SEND bob hi: there",
        b"chat/1.0 LOGIN a:b",
        b"CHAT/1.1 SEND bob CHAT/1.0",
        b" CHAT/1.0 LOGIN alice",
        b"CHAT/1.0 STAR HTTP/1.1",
        b"get up",
        b"set it",
        b"*server* 3",
        b"\xff\xfe",
        b"\x16",
        b"\x00",
        b"*3",
        # A terminal that speaks Telnet, and lines that begin well.
        b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfd\x01",
        b"CHAT/1.0 SEND  bob \x00\x00\x00",
        b"CHAT/1.0 SEND bob \x00\x00",
        b"CHAT/1.0\x00 LOGIN bob",
    ],
)
def test_mistakes_of_people_and_programs(line: bytes) -> None:
    assert foreign_protocol(line) is None


@pytest.mark.parametrize("size", [1, 7, len(FORM)])
def test_a_web_page_reaches_nobody_and_reads_nothing(size: int) -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "bob")
    send(broker, 1, "LOGIN bob")
    broker.connect(2, "page")
    for at in range(0, len(FORM), size):
        broker.receive(2, FORM[at : at + size])
    assert received(broker, 1) == []
    assert received(broker, 2) == []
    assert wants_close(broker, 2)
    assert close_reason(broker, 2) == CloseReason.HTTP


def test_what_was_queued_before_is_not_written() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "x")
    broker.receive(1, b"hello world\nHost: localhost\n")
    assert broker.next_step(1) == (b"", False, False, True)


@pytest.mark.parametrize(
    ("line", "reason"), [each for each in BEGINNINGS if each[1] is not CloseReason.PROXY]
)
def test_a_line_that_never_ends_ends_the_connection_too(line: bytes, reason: CloseReason) -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "x")
    for at in range(len(line)):
        if not wants_close(broker, 1):
            broker.receive(1, line[at : at + 1])
    broker.receive(1, b"\nCHAT/1.0 LOGIN alice\n")
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) == reason


def test_after_a_login_such_lines_are_bad_lines() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "x")
    send(broker, 1, "LOGIN alice")
    broker.receive(1, b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    assert (
        received(broker, 1)
        == ["*server* ERR MALFORMED - this line does not follow the grammar of CHAT/1.0"] * 2
    )


def test_a_connection_that_is_closing_keeps_its_reason() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(bad_lines=1))
    broker.connect(1, "x")
    broker.receive(1, b"oops\nGET")
    broker.receive(1, b" / HTTP/1.1\n")
    assert "too many bad lines" in received(broker, 1)[-1]
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) == CloseReason.BAD_LINES
