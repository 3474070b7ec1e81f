"""chatproto.server.peers: which connections there are, and how each ends."""

from typing import Any

import pytest

from chatproto import CloseReason, Limits, Step
from chatproto.server.buffers import Buffers
from chatproto.server.flow_control import FlowControl
from chatproto.server.peer import Peer, Phase, Waiting
from chatproto.server.peers import Peers

LIMITS = Limits(linger=10.0, close_timeout=2.0)


class Connections:
    """Peers, and all that they know."""

    def __init__(self, *cids: str) -> None:
        self.by_id: dict[Any, Peer] = {}
        self.buffers = Buffers(LIMITS, FlowControl(LIMITS), self.by_id)
        self.peers = Peers(LIMITS, self.buffers, self.by_id)
        for cid in cids:
            self.peers.add(Peer(cid, "somewhere", "", LIMITS))

    def step(self, cid: str) -> Step:
        return self.peers.next_step(self.by_id[cid])

    def close(self, cid: str, notice: bytes = b"") -> Peer:
        peer = self.by_id[cid]
        self.peers.close(peer, CloseReason.LOGGED_OUT, notice)
        return peer


def phase(peer: Peer) -> Phase:
    """Unlike the attribute, nothing that a type checker takes for settled."""
    return peer.phase


READ = Step(b"", read=True, half_close=False, close=False)
CLOSE = Step(b"", read=False, half_close=False, close=True)


def test_connections_come_and_go() -> None:
    connections = Connections("a", "b")
    assert list(connections.by_id) == ["a", "b"]
    gone = connections.by_id["a"]
    assert connections.peers.remove("a") is gone
    assert connections.peers.remove("a") is None
    assert list(connections.by_id) == ["b"]


def test_an_id_is_not_added_twice() -> None:
    connections = Connections("a")
    there = connections.by_id["a"]
    with pytest.raises(ValueError, match="'a' is connected already"):
        connections.peers.add(Peer("a", "other", "", LIMITS))
    assert connections.by_id["a"] is there


def test_an_open_connection_is_read_from_and_written_to() -> None:
    connections = Connections("a")
    assert connections.step("a") == READ
    connections.buffers.queue([connections.by_id["a"]], b"hi\n")
    assert connections.step("a") == READ._replace(write=b"hi\n")


def test_one_that_waits_or_has_ended_its_stream_is_not_read_from() -> None:
    connections = Connections("a", "b")
    connections.by_id["a"].waiting = Waiting.TURN
    connections.peers.receive_eof(connections.by_id["b"])
    assert connections.step("a") == connections.step("b") == READ._replace(read=False)
    assert [peer.cid for peer in connections.buffers.ready] == ["b"]


def test_closing_writes_the_queue_then_our_half_ends_then_the_transport_closes() -> None:
    connections = Connections("a")
    peer = connections.close("a", b"bye")
    assert (peer.phase, peer.close_reason) == (Phase.CLOSING, CloseReason.LOGGED_OUT)
    assert connections.step("a") == READ._replace(write=b"bye")
    connections.buffers.sent(peer, 3)
    assert connections.step("a") == READ._replace(half_close=True)
    connections.peers.half_closed(peer)
    assert connections.step("a") == READ
    connections.peers.receive_eof(peer)
    assert connections.step("a") == CLOSE


def test_our_half_need_not_end_when_the_peers_has_ended() -> None:
    connections = Connections("a")
    connections.peers.receive_eof(connections.by_id["a"])
    connections.close("a")
    assert connections.step("a") == CLOSE


def test_one_that_does_not_take_its_queue_in_time_is_aborted() -> None:
    connections = Connections("a")
    connections.peers.tick(100.0)
    peer = connections.close("a", b"bye")
    connections.buffers.ready.clear()
    connections.peers.tick(109.9)
    assert phase(peer) is Phase.CLOSING
    assert not connections.buffers.ready
    connections.peers.tick(110.0)
    assert phase(peer) is Phase.ABORTED
    assert connections.step("a") == CLOSE
    assert connections.buffers.total == 0
    assert peer in connections.buffers.ready


def test_one_that_does_not_close_its_half_in_time_is_aborted() -> None:
    connections = Connections("a")
    peer = connections.close("a")
    connections.peers.tick(9.0)
    connections.peers.half_closed(peer)
    connections.peers.tick(10.9)
    assert phase(peer) is Phase.HALF_CLOSED
    connections.peers.tick(11.0)
    assert phase(peer) is Phase.ABORTED


def test_a_half_that_ends_late_changes_nothing() -> None:
    connections = Connections("a")
    peer = connections.close("a")
    connections.peers.abort(peer)
    connections.peers.half_closed(peer)
    assert connections.step("a") == CLOSE


def test_nothing_is_left_of_a_connection_that_is_gone() -> None:
    connections = Connections("a", "b")
    connections.buffers.queue([connections.by_id["a"]], b"hi\n")
    connections.close("a")
    connections.peers.half_closed(connections.close("b"))
    connections.peers.remove("a")
    connections.peers.remove("b")
    assert (connections.buffers.total, list(connections.buffers.ready)) == (0, [])
    connections.peers.tick(1000.0)
