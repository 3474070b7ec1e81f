"""chatproto.server.broker: what comes before the first line, and goes wrong there."""

import pytest

from chatproto import ChatBroker, CloseReason, Limits

from .brokers import close_reason, half_close, received, send, wants_close

LIMITS = Limits(
    max_connections=3,
    max_connections_per_address=1,
    handshake_timeout=10.0,
    max_memberships_per_address=2,
)


def proxied(broker: ChatBroker[int], cid: int, address: str | None = None) -> None:
    """Connect through a balancer, and let the header arrive if there is an address."""
    broker.connect(cid, "balancer", address="10.0.0.1", proxied=True)
    if address is not None:
        broker.identify(cid, f"client-{cid}", address)


def log_of(broker: ChatBroker[int]) -> list[str]:
    return [str(each) for each in broker.take_log_events()]


def test_the_address_in_the_header_counts() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=LIMITS)
    proxied(broker, 1, "192.0.2.1")
    proxied(broker, 2, "192.0.2.2")
    proxied(broker, 3, "192.0.2.1")
    send(broker, 1, "LOGIN alice")
    send(broker, 2, "LOGIN bob")
    assert received(broker, 3) == ["*server* ERR TOO_MANY - too many connections from your address"]
    assert half_close(broker, 3)
    broker.disconnect(3)
    assert log_of(broker) == [
        "turned away client-3: too many connections from one address",
        "accepted from client-1",
        "logged in alice (client-1)",
        "accepted from client-2",
        "logged in bob (client-2)",
        "probed client-3: too many connections from one address",
    ]
    broker.disconnect(1)
    proxied(broker, 4, "192.0.2.1")
    send(broker, 4, "LOGIN carol", "SEND carol hi")
    assert received(broker, 4) == ["carol hi"]


def test_groups_count_with_the_address_in_the_header() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=LIMITS)
    proxied(broker, 1, "192.0.2.1")
    send(broker, 1, "LOGIN alice", "GROUP a alice", "GROUP b alice")
    assert received(broker, 1) == [
        "*server* ERR TOO_MANY GROUP there are too many groups from your address"
    ]


def test_without_a_header_only_all_connections_together_are_bounded() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=LIMITS)
    for cid in (1, 2, 3, 4):
        proxied(broker, cid)
    assert received(broker, 4) == ["*server* ERR TOO_MANY - too many connections"]
    # That it was above the bound is no reason to refuse those below it.
    broker.identify(1, "client", "192.0.2.1")
    send(broker, 1, "LOGIN alice", "SEND alice hi")
    assert received(broker, 1) == ["alice hi"]
    log_of(broker)
    # It is too late for this one.
    broker.identify(4, "late", "192.0.2.1")
    broker.disconnect(4)
    assert log_of(broker) == ["probed balancer: too many connections"]
    for cid in (1, 2, 3):
        broker.disconnect(cid)
    proxied(broker, 5, "192.0.2.1")
    assert broker.next_step(5).read


def test_the_header_has_a_deadline() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=LIMITS)
    broker.connect(1, "balancer", secured=False, proxied=True)
    proxied(broker, 2, "192.0.2.1")
    proxied(broker, 3)
    broker.tick(9.9)
    assert broker.take_ready() == []
    broker.tick(10.0)
    assert sorted(broker.take_ready()) == [1, 3]
    for cid in (1, 3):
        assert bytes(broker.next_step(cid).write) == b""
        assert wants_close(broker, cid)
        assert close_reason(broker, cid) is CloseReason.PROXY_HEADER_TIMEOUT
    assert broker.next_step(2).read


def test_no_address() -> None:
    broker: ChatBroker[int] = ChatBroker()
    proxied(broker, 1)
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        broker.identify(1, "client", "example.org")
    broker.identify(1, "client", "")
    send(broker, 1, "LOGIN alice")
    assert log_of(broker) == ["accepted from client", "logged in alice (client)"]


def test_a_bad_header_is_logged_once() -> None:
    broker: ChatBroker[int] = ChatBroker()
    proxied(broker, 1)
    broker.bad_proxy_header(1, "it is\nwrong")
    broker.bad_proxy_header(1, "again")
    broker.receive(1, b"CHAT/1.0 LOGIN alice\n")
    assert bytes(broker.next_step(1).write) == b""
    assert half_close(broker, 1)
    broker.disconnect(1)
    assert log_of(broker) == ["bad PROXY header balancer: it is\\nwrong"]
    assert broker.snapshot().closes == {"bad PROXY header": 1}


@pytest.mark.parametrize(
    ("data", "answers", "reason"),
    [
        (
            b"CHAT/1.0 LOGIN b",
            ["*server* ERR NOT_LOGGED_IN - this server wants TLS here"],
            "CHAT/1.0 without TLS, on a port with TLS",
        ),
        (b"GET / HTTP/1.1\r\n", [], "TLS handshake failed"),
    ],
)
def test_a_connection_without_tls(data: bytes, answers: list[str], reason: str) -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "peer", secured=False)
    broker.plaintext_received(1, data)
    broker.plaintext_received(1, b"again")
    broker.receive(1, b"CHAT/1.0 LOGIN alice\n")
    assert received(broker, 1) == answers
    assert half_close(broker, 1)
    broker.disconnect(1)
    assert log_of(broker) == [
        f"handshake failed peer: the client does not use TLS, but sends {data!r}"
    ]
    assert broker.snapshot().closes == {reason: 1}
