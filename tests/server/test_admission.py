"""chatproto.server.admission: how many connections there may be, in total and from one network."""

import pytest

from chatproto import ChatBroker, CloseReason, Limits
from chatproto.server.admission import Admission, network_of

from ..remains import remains
from .brokers import close_reason, half_close, received, send, wants_close


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::6", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("2001::1:2:3:4:5", "2001:0:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::2", "::/64"),
        ("1::", "1::/64"),
        # An IPv4 address in the form of an IPv6 address.
        ("::ffff:192.0.2.1", "192.0.2.1"),
        # The machine's own addresses are not counted, nor are connections without an address.
        ("", ""),
        ("127.0.0.1", ""),
        ("127.9.9.9", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
    ],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_bound_on_connections_from_one_address() -> None:
    admission = Admission(Limits(max_connections_per_address=2))
    assert [admission.enter("a") for _ in range(3)] == [
        None,
        None,
        CloseReason.TOO_MANY_FROM_ADDRESS,
    ]
    assert admission.enter("b") is None
    # One that is turned away counts too, until it has left.
    admission.leave("a")
    assert admission.enter("a") is CloseReason.TOO_MANY_FROM_ADDRESS
    admission.leave("a")
    admission.leave("a")
    assert admission.enter("a") is None


def test_connections_without_an_address_are_not_counted_together() -> None:
    admission = Admission(Limits(max_connections_per_address=1))
    assert [admission.enter("") for _ in range(3)] == [None] * 3
    admission.leave("")
    assert admission.enter("") is None


def test_the_bound_on_all_connections() -> None:
    admission = Admission(Limits(max_connections=2))
    assert [admission.enter(each) for each in ("a", "", "b")] == [
        None,
        None,
        CloseReason.TOO_MANY_CONNECTIONS,
    ]
    admission.leave("b")
    admission.leave("a")
    assert admission.enter("c") is None


def test_by_default_all_connections_have_no_bound() -> None:
    admission = Admission(Limits())
    assert {admission.enter(str(number)) for number in range(5000)} == {None}


def test_the_broker_keeps_nothing_of_addresses_whose_connections_are_gone() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for cid, address in enumerate(("192.0.2.1", "2001:db8::1", "127.0.0.1", "")):
        broker.connect(cid, "peer", address=address)
    for cid in range(4):
        broker.disconnect(cid)
    assert remains(broker) == []


# With a broker


def broker_with(limits: Limits, *addresses: str) -> ChatBroker[int]:
    broker: ChatBroker[int] = ChatBroker(limits=limits)
    for cid, address in enumerate(addresses, 1):
        broker.connect(cid, f"peer-{cid}", address=address)
    return broker


def test_a_connection_above_the_bound_gets_a_notice_and_is_closed() -> None:
    broker = broker_with(Limits(max_connections=2), "", "", "")
    assert broker.take_ready() == [3]
    assert received(broker, 3) == ["*server* ERR TOO_MANY - too many connections"]
    send(broker, 3, "LOGIN alice")
    assert wants_close(broker, 3)
    assert close_reason(broker, 3) is CloseReason.TOO_MANY_CONNECTIONS
    assert broker.snapshot().users == 0
    assert broker.snapshot().accepted == 3
    broker.disconnect(1)
    broker.connect(4, "peer-4")
    send(broker, 4, "LOGIN bob")
    assert broker.snapshot().users == 1


def test_a_connection_above_the_bound_for_its_address() -> None:
    one = "::ffff:192.0.2.1"
    broker = broker_with(Limits(max_connections_per_address=2), "192.0.2.1", "192.0.2.2", one, one)
    assert broker.take_ready() == [4]
    assert received(broker, 4) == ["*server* ERR TOO_MANY - too many connections from your address"]
    assert wants_close(broker, 4)
    assert close_reason(broker, 4) is CloseReason.TOO_MANY_FROM_ADDRESS


def test_a_connection_above_the_bound_for_its_network() -> None:
    limits = Limits(max_connections_per_address=2)
    broker = broker_with(limits, "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8::3")
    assert broker.take_ready() == [4]
    broker.disconnect(1)
    broker.disconnect(4)
    broker.connect(5, "peer-5", address="2001:db8::ffff:1")
    assert broker.take_ready() == []


def test_the_machines_own_connections_have_no_bound() -> None:
    own = ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""] * 3
    assert broker_with(Limits(max_connections_per_address=1), *own).take_ready() == []


def test_a_connection_that_is_turned_away_has_deadlines_too() -> None:
    broker = broker_with(Limits(max_connections=1, linger=10.0, close_timeout=2.0), "", "", "")
    received(broker, 2)
    assert half_close(broker, 2)
    broker.tick(2.0)
    assert broker.next_step(2).close
    broker.tick(9.9)
    assert not broker.next_step(3).close
    broker.tick(10.0)
    assert broker.next_step(3).close
