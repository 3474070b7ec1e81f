"""chatproto.server.buffers: what is kept for each connection, and the bound on all of it."""

from collections.abc import Iterable
from typing import Any

import pytest

from chatproto import CloseReason, Limits
from chatproto.server.buffers import POINTER, Buffers
from chatproto.server.flow_control import FlowControl
from chatproto.server.peer import Peer, Phase, Waiting
from chatproto.server.send_queue import front

LIMITS = Limits(max_line=512, high_water=1000, queue_bytes=2000, total_queue_bytes=5000)


class Kept:
    """Buffers, and all that they know."""

    def __init__(self, *cids: str) -> None:
        self.flow: FlowControl[Peer] = FlowControl(LIMITS)
        self.by_id: dict[Any, Peer] = {cid: Peer(cid, "somewhere", "", LIMITS) for cid in cids}
        self.buffers = Buffers(LIMITS, self.flow, self.by_id)

    def queue(self, size: int, *to: str) -> list[tuple[str, CloseReason]]:
        slow = self.buffers.queue([self.by_id[cid] for cid in to], b"x" * size)
        return [(peer.cid, reason) for peer, reason in slow]

    def largest(self) -> list[str]:
        return ids(self.buffers.largest())


def ids(peers: Iterable[Peer]) -> list[str]:
    return [peer.cid for peer in peers]


def test_what_is_queued_is_ready_in_the_order_in_which_it_came() -> None:
    kept = Kept("a", "b", "c")
    assert kept.queue(5, "c") == kept.queue(5, "a", "c") == []
    assert ids(kept.buffers.ready) == ["c", "a"]
    assert front(kept.by_id["c"].queue) == b"x" * 10
    assert kept.buffers.total == 15


def test_a_queue_over_its_bound() -> None:
    kept = Kept("a", "b")
    assert kept.queue(1999, "a") == []
    assert kept.queue(1, "a", "b") == []
    assert kept.queue(1, "a", "b") == [("a", CloseReason.FULL_QUEUE)]


def test_a_queue_is_full_over_the_high_water_mark() -> None:
    kept = Kept("a", "b")
    both = kept.by_id["a"], kept.by_id["b"]
    kept.queue(1000, "a")
    assert not kept.flow.blockers(both, broadcast=False)
    kept.queue(1, "a")
    assert ids(kept.flow.blockers(both, broadcast=False)) == ["a"]


def test_nothing_is_queued_for_anybody_where_that_fills_a_queue() -> None:
    kept = Kept("a", "b")
    both = kept.by_id["a"], kept.by_id["b"]
    assert kept.buffers.queue_unless_full(both, b"x" * 1000)
    assert not kept.buffers.queue_unless_full(both, b"x")
    assert not kept.buffers.queue_unless_full(both[1:], b"x" * 4000)
    kept.queue(1, "a")
    assert not kept.buffers.queue_unless_full(both, b"")
    assert kept.buffers.total == 2001


# All together


def test_over_the_bound_of_all_the_largest_goes() -> None:
    kept = Kept("a", "b", "c", "d")
    for cid, size in (("a", 1400), ("b", 1800), ("c", 1700), ("d", 100)):
        assert kept.queue(size, cid) == []
    assert kept.largest() == []
    assert kept.queue(1, "d") == [("b", CloseReason.FULL_QUEUES)]


def test_as_many_go_as_have_to() -> None:
    kept = Kept(*"abcdefghij")
    for cid in "abcdefghi":
        kept.queue(500, cid)
    # 9,500 bytes are 4,500 too many.
    slow = [(cid, CloseReason.FULL_QUEUES) for cid in "abcde"]
    assert kept.queue(500, *"abcdefghij") == slow


def test_what_a_waiting_connection_has_sent_counts_too() -> None:
    kept = Kept("a", "b")
    kept.buffers.keep(kept.by_id["a"], b"x" * 3000)
    assert kept.queue(2000, "b") == []
    assert kept.largest() == []
    kept.buffers.keep(kept.by_id["a"], b"x")
    assert kept.buffers.total == 5001
    assert kept.largest() == ["a"]


def test_one_that_reads_is_not_the_largest_because_it_waits_for_its_turn() -> None:
    kept = Kept("a", "b", "c", "d")
    kept.by_id["a"].waiting = Waiting.TURN
    kept.buffers.keep(kept.by_id["a"], b"x" * 1500)
    for cid, size in (("b", 1200), ("c", 1300)):
        assert kept.queue(size, cid) == []
    assert kept.queue(1100, "d") == [("c", CloseReason.FULL_QUEUES)]


def test_the_only_one_may_be_one_too_many() -> None:
    kept = Kept("a")
    kept.buffers.keep(kept.by_id["a"], b"x" * 5001)
    assert kept.largest() == ["a"]


def test_what_senders_wait_with_counts_against_what_they_wait_for() -> None:
    """They have done nothing wrong, however much more they have sent than is queued there."""
    kept = Kept("a", "b", "c", "d")
    kept.queue(1100, "d")
    kept.queue(1900, "c")
    for cid in "ab":
        kept.by_id[cid].waiting = Waiting.QUEUE
        kept.flow.wait(kept.by_id[cid], kept.by_id["d"], broadcast=False)
        kept.buffers.keep(kept.by_id[cid], b"x" * 1500)
    assert kept.largest() == ["d"]
    kept.flow.forget(kept.by_id["d"])
    assert kept.largest() == ["c"]


# Writing


def test_what_is_sent_is_gone() -> None:
    kept = Kept("a")
    peer = kept.by_id["a"]
    kept.queue(10, "a")
    assert not kept.buffers.sent(peer, 4)
    assert kept.buffers.total == len(front(peer.queue)) == 6
    assert kept.buffers.bytes_sent == 4
    assert kept.buffers.sent(peer, 100)
    assert kept.buffers.sent(peer, 1)
    assert kept.buffers.total == 0
    assert kept.buffers.bytes_sent == 10


def test_what_is_sent_to_many_is_as_if_it_were_to_each() -> None:
    kept = Kept("a", "b", "c", "d")
    kept.queue(10, "a", "b", "c")
    kept.by_id["d"].waiting = Waiting.TURN
    assert kept.buffers.sent_all([("a", 10), ("b", 4), ("c", 11), ("d", 0)]) == ["b", "d"]
    assert (kept.buffers.total, kept.buffers.bytes_sent) == (6, 24)


def test_nothing_can_be_unsent() -> None:
    kept = Kept("a", "b")
    kept.queue(10, "a", "b")
    with pytest.raises(ValueError, match="-5 bytes"):
        kept.buffers.sent_all([("a", 10), ("b", -5)])
    assert (kept.buffers.total, kept.buffers.bytes_sent) == (10, 10)


def test_a_write_is_not_all_while_a_connection_waits_or_ends() -> None:
    kept = Kept("a")
    peer = kept.by_id["a"]
    peer.waiting = Waiting.TURN
    assert not kept.buffers.sent(peer, 0)
    peer.waiting = Waiting.NOTHING
    assert kept.buffers.sent(peer, 0)
    peer.phase = Phase.CLOSING
    assert not kept.buffers.sent(peer, 0)


def test_what_is_written_opens_a_queue() -> None:
    kept = Kept("a", "b")
    kept.queue(1100, "a")
    kept.flow.wait(kept.by_id["b"], kept.by_id["a"], broadcast=False)
    kept.buffers.sent(kept.by_id["a"], 599)
    assert kept.flow.next_released() is None
    kept.buffers.sent(kept.by_id["a"], 1)
    assert kept.flow.next_released() is kept.by_id["b"]


def test_the_age_of_a_queue_begins_with_the_first_write_that_leaves_something() -> None:
    kept = Kept("a", "b")
    list(kept.flow.tick(100.0))
    kept.queue(10, "a", "b")
    kept.buffers.sent(kept.by_id["a"], 10)
    kept.buffers.sent(kept.by_id["b"], 9)
    assert ids(kept.flow.tick(109.9)) == []
    assert ids(kept.flow.tick(110.0)) == ["b"]


# What waiting connections have sent


def test_what_is_kept_is_ready_so_that_it_is_not_read_from() -> None:
    kept = Kept("a", "b")
    peer, other = kept.by_id["a"], kept.by_id["b"]
    kept.buffers.keep(peer, b"one", (other,))
    kept.buffers.keep(peer, b"two")
    assert ids(kept.buffers.ready) == ["a"]
    assert kept.buffers.total == 6 + POINTER
    kept.buffers.ready.clear()
    assert kept.buffers.take_kept(peer) == (b"onetwo", (other,))
    assert ids(kept.buffers.ready) == ["a"]
    assert kept.buffers.total == 0
    assert kept.buffers.take_kept(peer) == (b"", ())


def test_a_dropped_queue_counts_no_more() -> None:
    kept = Kept("a")
    kept.queue(10, "a")
    kept.buffers.ready.clear()
    kept.buffers.drop_queue(kept.by_id["a"])
    assert (kept.buffers.total, kept.by_id["a"].queue) == (0, [])
    assert ids(kept.buffers.ready) == ["a"]


def test_nothing_is_left_of_a_connection_that_is_gone() -> None:
    kept = Kept("a")
    kept.queue(10, "a")
    kept.buffers.keep(kept.by_id["a"], b"sent")
    kept.buffers.forget(kept.by_id["a"])
    assert (kept.buffers.total, ids(kept.buffers.ready)) == (0, [])
