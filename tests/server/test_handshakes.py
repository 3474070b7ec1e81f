"""chatproto.server.handshakes: the order of TLS handshakes, and who gives way."""

from chatproto import ChatBroker, Limits
from chatproto.server.handshakes import Handshakes
from chatproto.server.peer import Peer


def peers(network: str, *numbers: int) -> list[Peer]:
    return [Peer(f"{network}-{number}", "", network, Limits()) for number in numbers]


def request(handshakes: Handshakes, *waiting: Peer) -> None:
    for peer in waiting:
        handshakes.request(peer)


def begin(handshakes: Handshakes) -> tuple[object, object]:
    """Begin the next handshake.

    Returns:
        The id of its connection, and of the one to be closed for it.
    """
    peer, oldest = handshakes.begin_next()
    return peer and peer.cid, oldest and oldest.cid


def test_networks_take_turns_and_the_newest_of_each_is_first() -> None:
    handshakes = Handshakes(Limits())
    request(handshakes, *peers("a", 1, 2, 3), *peers("b", 1), *peers("c", 1, 2))
    order = [begin(handshakes)[0] for _ in range(7)]
    assert order == ["a-3", "b-1", "c-2", "a-2", "c-1", "a-1", None]


def test_the_oldest_of_the_network_with_the_most_gives_way() -> None:
    handshakes = Handshakes(Limits(max_handshakes=3))
    [a1, a2], [b1, b2] = peers("a", 1, 2), peers("b", 1, 2)
    for peer in (b1, a1, a2):
        request(handshakes, peer)
        assert begin(handshakes) == (peer.cid, None)
    request(handshakes, b2)
    assert begin(handshakes) == ("b-2", "b-1")
    handshakes.end(b1)
    # The connection itself counts: now a and b have two each, and with one more a has three.
    [a3] = peers("a", 3)
    request(handshakes, a3)
    assert begin(handshakes) == ("a-3", "a-1")
    handshakes.end(a1)
    [c1] = peers("c", 1)
    request(handshakes, c1)
    assert begin(handshakes) == ("c-1", "a-2")


def test_a_handshake_that_has_ended_leaves_room() -> None:
    handshakes = Handshakes(Limits(max_handshakes=1))
    first, second, third = peers("a", 1, 2, 3)
    request(handshakes, first)
    begin(handshakes)
    handshakes.end(first)
    request(handshakes, second, third)
    handshakes.end(third)
    handshakes.end(third)
    assert begin(handshakes) == ("a-2", None)
    handshakes.end(second)
    assert begin(handshakes) == (None, None)


def test_nothing_is_kept_of_connections_that_are_gone() -> None:
    handshakes = Handshakes(Limits(max_handshakes=2))
    for number in range(100):
        for peer in peers(f"network {number}", 1, 2):
            request(handshakes, peer)
            if number % 2:
                begin(handshakes)
            handshakes.end(peer)
    assert not handshakes._waiting
    assert not handshakes._begun
    assert not handshakes._counts


def test_a_network_cannot_keep_another_one_out() -> None:
    """However many handshakes it begins and leaves unfinished."""
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_handshakes=10))
    for cid in range(100):
        broker.connect(cid, "", address="192.0.2.1", secured=False)
        broker.request_handshake(cid)
    for _ in range(20):
        assert broker.next_handshake() is not None
    broker.connect(1000, "", address="198.51.100.1", secured=False)
    broker.request_handshake(1000)
    # One of the others may be before it.
    assert 1000 in [broker.next_handshake() for _ in range(2)]
    while broker.next_handshake() is not None:
        pass
    assert not broker.next_step(1000).close
    broker.secure(1000, None)
    assert broker.next_step(1000).read


def test_a_connection_that_is_being_closed_begins_no_handshake() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_connections=1))
    for cid in (1, 2):
        broker.connect(cid, "", secured=False)
        broker.request_handshake(cid)
    assert broker.take_ready() == [2]
    assert broker.next_handshake() == 1
    assert broker.next_handshake() is None


def test_a_connection_that_is_gone_begins_no_handshake() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "", secured=False)
    broker.request_handshake(1)
    broker.disconnect(1)
    assert broker.next_handshake() is None


def test_a_failed_handshake_ends_the_connection_once_the_alert_is_read() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "peer", secured=False)
    broker.handshake_failed(1, "no shared cipher")
    assert broker.next_step(1).half_close
    broker.half_closed(1)
    broker.handshake_failed(1, "again")
    broker.receive_eof(1)
    assert broker.next_step(1).close
    broker.disconnect(1)
    assert [str(each) for each in broker.take_log_events()] == [
        "handshake failed peer: no shared cipher"
    ]
    assert broker.snapshot().closes == {"TLS handshake failed": 1}
