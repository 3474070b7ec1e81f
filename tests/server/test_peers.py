"""chatproto.server.peers: adding and removing connections, their next step, and how each ends."""

from typing import Any

import pytest

from chatproto import CloseReason, Limits, Step
from chatproto.server.buffers import Buffers
from chatproto.server.flow_control import FlowControl
from chatproto.server.peer import Peer, Phase, Waiting
from chatproto.server.peers import Peers

LIMITS = Limits(linger=10.0, close_timeout=2.0)


class Setup:
    """Peers, and what they depend on."""

    def __init__(self, *cids: str) -> None:
        self.by_id: dict[Any, Peer] = {}
        self.buffers = Buffers(LIMITS, FlowControl(LIMITS, lambda peer: peer.cid), self.by_id)
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
    """The phase, in a way that a type checker does not narrow."""
    return peer.phase


READ = Step(b"", read=True, half_close=False, close=False)
CLOSE = Step(b"", read=False, half_close=False, close=True)


def test_connections_are_added_and_removed() -> None:
    setup = Setup("a", "b")
    assert list(setup.by_id) == ["a", "b"]
    peer = setup.by_id["a"]
    assert setup.peers.remove("a") is peer
    assert setup.peers.remove("a") is None
    assert list(setup.by_id) == ["b"]


def test_an_id_is_not_added_twice() -> None:
    setup = Setup("a")
    peer = setup.by_id["a"]
    with pytest.raises(ValueError, match="'a' is connected already"):
        setup.peers.add(Peer("a", "other", "", LIMITS))
    assert setup.by_id["a"] is peer


def test_an_open_connection_is_read_from_and_written_to() -> None:
    setup = Setup("a")
    assert setup.step("a") == READ
    setup.buffers.queue([setup.by_id["a"]], b"hi\n")
    assert setup.step("a") == READ._replace(write=b"hi\n")


def test_a_connection_that_waits_or_has_ended_its_stream_is_not_read_from() -> None:
    setup = Setup("a", "b")
    setup.by_id["a"].waiting = Waiting.TURN
    setup.peers.receive_eof(setup.by_id["b"])
    assert setup.step("a") == setup.step("b") == READ._replace(read=False)
    assert [peer.cid for peer in setup.buffers.ready] == ["b"]


def test_close_writes_the_queue_then_ends_our_half_then_closes_the_transport() -> None:
    setup = Setup("a")
    peer = setup.close("a", b"bye")
    assert (peer.phase, peer.close_reason) == (Phase.CLOSING, CloseReason.LOGGED_OUT)
    assert setup.step("a") == READ._replace(write=b"bye")
    setup.buffers.sent(peer, 3)
    assert setup.step("a") == READ._replace(half_close=True)
    setup.peers.half_closed(peer)
    assert setup.step("a") == READ
    setup.peers.receive_eof(peer)
    assert setup.step("a") == CLOSE


def test_close_skips_our_half_when_the_peers_half_has_ended() -> None:
    setup = Setup("a")
    setup.peers.receive_eof(setup.by_id["a"])
    setup.close("a")
    assert setup.step("a") == CLOSE


def test_a_queue_that_is_not_written_within_linger_is_aborted() -> None:
    setup = Setup("a")
    assert list(setup.peers.tick(100.0)) == []
    peer = setup.close("a", b"bye")
    setup.buffers.ready.clear()
    assert list(setup.peers.tick(109.9)) == []
    assert list(setup.peers.tick(110.0)) == [peer]
    setup.peers.abort(peer)
    assert phase(peer) is Phase.ABORTED
    assert setup.step("a") == CLOSE
    assert setup.buffers.total == 0
    assert peer in setup.buffers.ready


def test_a_peer_that_does_not_end_its_half_in_time_is_aborted() -> None:
    setup = Setup("a")
    peer = setup.close("a")
    assert list(setup.peers.tick(9.0)) == []
    setup.peers.half_closed(peer)
    assert phase(peer) is Phase.HALF_CLOSED
    assert list(setup.peers.tick(10.9)) == []
    assert list(setup.peers.tick(11.0)) == [peer]


def test_a_half_close_after_an_abort_changes_nothing() -> None:
    setup = Setup("a")
    peer = setup.close("a")
    setup.peers.abort(peer)
    setup.peers.half_closed(peer)
    assert setup.step("a") == CLOSE


def test_remove_leaves_nothing() -> None:
    setup = Setup("a", "b")
    setup.buffers.queue([setup.by_id["a"]], b"hi\n")
    setup.close("a")
    setup.peers.half_closed(setup.close("b"))
    setup.peers.remove("a")
    setup.peers.remove("b")
    assert (setup.buffers.total, list(setup.buffers.ready)) == (0, [])
    assert list(setup.peers.tick(1000.0)) == []
