"""chatproto.server.buffers: the bytes kept for connections, and their common bound."""

from collections.abc import Iterable
from typing import Any

import pytest

from chatproto import CloseReason, Limits
from chatproto.server.buffers import BATCH, POINTER, Buffers
from chatproto.server.flow_control import FlowControl
from chatproto.server.peer import Peer, Phase, Waiting
from chatproto.server.send_queue import PACKED, front
from chatproto.server.work import FEW

LIMITS = Limits(max_line=512, high_water=1000, queue_bytes=2000, total_queue_bytes=5000)


class Setup:
    """Buffers, and what they depend on."""

    def __init__(self, *cids: str) -> None:
        self.flow: FlowControl[Peer] = FlowControl(LIMITS, lambda peer: peer.cid)
        self.by_id: dict[Any, Peer] = {cid: Peer(cid, "somewhere", "", LIMITS) for cid in cids}
        self.buffers = Buffers(LIMITS, self.flow, self.by_id)

    def queue(self, size: int, *to: str) -> list[tuple[str, CloseReason]]:
        slow = self.buffers.queue([self.by_id[cid] for cid in to], b"x" * size)
        return [(peer.cid, reason) for peer, reason in slow]

    def largest(self) -> list[str]:
        return ids(self.buffers.largest())


def ids(peers: Iterable[Peer]) -> list[str]:
    return [peer.cid for peer in peers]


def test_connections_are_ready_in_the_order_of_their_first_line() -> None:
    setup = Setup("a", "b", "c")
    assert setup.queue(5, "c") == setup.queue(5, "a", "c") == []
    assert ids(setup.buffers.ready) == ["c", "a"]
    assert front(setup.by_id["c"].queue) == b"x" * 10
    assert setup.buffers.total == 15


def test_a_queue_above_its_bound_is_reported() -> None:
    setup = Setup("a", "b")
    assert setup.queue(1999, "a") == []
    assert setup.queue(1, "a", "b") == []
    assert setup.queue(1, "a", "b") == [("a", CloseReason.FULL_QUEUE)]


def test_a_queue_above_the_high_water_mark_is_full() -> None:
    setup = Setup("a", "b")
    both = setup.by_id["a"], setup.by_id["b"]
    setup.queue(1000, "a")
    assert not setup.flow.blockers(both)
    setup.queue(1, "a")
    assert ids(setup.flow.blockers(both)) == ["a"]


def test_queue_unless_full_adds_to_all_queues_or_to_none() -> None:
    setup = Setup("a", "b")
    both = setup.by_id["a"], setup.by_id["b"]
    assert setup.buffers.queue_unless_full(both, b"x" * 1000)
    assert not setup.buffers.queue_unless_full(both, b"x")
    assert not setup.buffers.queue_unless_full(both[1:], b"x" * 4000)
    setup.queue(1, "a")
    assert not setup.buffers.queue_unless_full(both, b"")
    assert setup.buffers.total == 2001


@pytest.mark.parametrize(
    ("kept", "size", "other_size", "added"),
    [
        ({}, 1000, 999, True),
        # The first of them has no room, the second has none, and one of them is full.
        ({"a": 1}, 1000, 10, False),
        ({"b": 1}, 10, 1000, False),
        ({"a": 1, "b": 1}, 999, 999, True),
        ({"b": 1001}, 10, 0, False),
        # All queues together would hold 5,000 bytes, or 5,001.
        ({"c": 1500, "d": 2000}, 500, 500, True),
        ({"c": 1501, "d": 2000}, 500, 500, False),
    ],
)
def test_two_kinds_of_lines_are_added_to_all_queues_or_to_none(
    kept: dict[str, int], size: int, other_size: int, added: bool
) -> None:
    setup = Setup("a", "b", "c", "d", "e")
    for cid, bytes_kept in kept.items():
        setup.queue(bytes_kept, cid)
    before = setup.buffers.total
    to, others = [setup.by_id["a"]], [setup.by_id["b"], setup.by_id["e"]]
    lines, other_lines = b"x" * size, b"y" * other_size
    assert setup.buffers.queue_both_unless_full(to, lines, others, other_lines) is added
    assert setup.buffers.total == before + (size + 2 * other_size) * added
    assert [peer.queue[-1:] == [lines] for peer in to] == [added]
    assert [peer.queue[-1:] == [other_lines] for peer in others] == [added] * 2


# The common bound


def test_above_the_common_bound_the_largest_is_reported() -> None:
    setup = Setup("a", "b", "c", "d")
    for cid, size in (("a", 1400), ("b", 1800), ("c", 1700), ("d", 100)):
        assert setup.queue(size, cid) == []
    assert setup.largest() == []
    assert setup.queue(1, "d") == [("b", CloseReason.FULL_QUEUES)]


@pytest.mark.parametrize(("size", "gone"), [(188, "abcd"), (189, "abcde")])
def test_above_the_common_bound_as_many_are_reported_as_make_room(size: int, gone: str) -> None:
    setup = Setup(*"abcdefghi")
    for cid in "abcdefgh":
        setup.queue(500, cid)
    setup.queue(size, "i")
    # 8,688 bytes are 3,688 too many. With a sixteenth of the bound that is 4,000.
    slow = [(cid, CloseReason.FULL_QUEUES) for cid in gone]
    assert setup.queue(500, *"abcdefghi") == slow


def test_unparsed_bytes_of_a_waiting_connection_count() -> None:
    setup = Setup("a", "b")
    setup.buffers.keep(setup.by_id["a"], b"x" * 3000)
    assert setup.queue(2000, "b") == []
    assert setup.largest() == []
    setup.buffers.keep(setup.by_id["a"], b"x")
    assert setup.buffers.total == 5001
    assert setup.largest() == ["a"]


def test_unparsed_bytes_do_not_count_where_queues_are_more() -> None:
    setup = Setup("a", "b", "c", "d")
    setup.by_id["a"].waiting = Waiting.TURN
    setup.buffers.keep(setup.by_id["a"], b"x" * 1500)
    for cid, size in (("b", 1200), ("c", 1300)):
        assert setup.queue(size, cid) == []
    assert setup.queue(1100, "d") == [("c", CloseReason.FULL_QUEUES)]


def test_the_largest_may_be_the_only_connection() -> None:
    setup = Setup("a")
    setup.buffers.keep(setup.by_id["a"], b"x" * 5001)
    assert setup.largest() == ["a"]


def test_unparsed_bytes_of_senders_count_for_the_queue_they_wait_for() -> None:
    """A sender is not reported, however much more it has sent than is queued there."""
    setup = Setup("a", "b", "c", "d")
    setup.queue(700, "d")
    setup.queue(1950, "c")
    for cid in "ab":
        setup.by_id[cid].waiting = Waiting.QUEUE
        setup.flow.wait(setup.by_id[cid], setup.by_id["d"])
        setup.buffers.keep(setup.by_id[cid], b"x" * 1200)
    assert setup.largest() == ["d"]
    # Once they may resume, they count for themselves.
    setup.flow.forget(setup.by_id["d"])
    assert setup.largest() == ["c"]


def test_those_that_keep_nothing_are_never_among_the_largest() -> None:
    """However much there is, and whoever it is of."""
    setup = Setup(*"abcd")
    for cid in "ab":
        setup.by_id[cid].waiting = Waiting.QUEUE
        setup.buffers.keep(setup.by_id[cid], b"x" * 3000)
    assert setup.largest() == ["a"]
    setup.buffers.total += 10_000
    assert setup.largest() == ["a", "b"]


# Writing


def test_sent_removes_from_the_queue() -> None:
    setup = Setup("a")
    peer = setup.by_id["a"]
    setup.queue(10, "a")
    assert not setup.buffers.sent(peer, 4)
    assert setup.buffers.total == len(front(peer.queue)) == 6
    assert setup.buffers.bytes_sent == 4
    assert setup.buffers.sent(peer, 100)
    assert setup.buffers.sent(peer, 1)
    assert setup.buffers.total == 0
    assert setup.buffers.bytes_sent == 10


def test_sent_all_does_the_same_for_each_connection() -> None:
    setup = Setup("a", "b", "c", "d")
    setup.queue(10, "a", "b", "c")
    setup.by_id["d"].waiting = Waiting.TURN
    assert setup.buffers.sent_all([("a", 10), ("b", 4), ("c", 11), ("d", 0)]) == ["b", "d"]
    assert (setup.buffers.total, setup.buffers.bytes_sent) == (6, 24)


def test_sent_all_empties_queues_without_a_closer_look() -> None:
    setup = Setup("a", "b", "c")
    setup.queue(10, "a", "b", "c")
    setup.by_id["c"].phase = Phase.CLOSING
    assert setup.buffers.sent_all([("a", 10), ("b", 10), ("c", 10)]) == ["c"]
    assert [peer.queued_bytes for peer in setup.by_id.values()] == [0, 0, 0]
    assert (setup.buffers.total, setup.buffers.bytes_sent) == (0, 30)


def test_sent_all_tells_flow_control_of_queues_that_it_watches() -> None:
    setup = Setup("a", "b")
    setup.queue(1100, "a")
    assert setup.buffers.sent_all([("a", 1100)]) == []
    assert not setup.flow.full
    setup.queue(10, "b")
    assert setup.buffers.sent_all([("b", 4)]) == ["b"]
    assert setup.buffers.sent_all([("b", 6)]) == []
    assert not setup.flow.late


def test_a_negative_size_raises() -> None:
    setup = Setup("a", "b")
    setup.queue(10, "a", "b")
    with pytest.raises(ValueError, match="-5 bytes"):
        setup.buffers.sent_all([("a", 10), ("b", -5)])
    assert (setup.buffers.total, setup.buffers.bytes_sent) == (10, 10)


def test_sent_is_not_all_while_a_connection_waits_or_closes() -> None:
    setup = Setup("a")
    peer = setup.by_id["a"]
    peer.waiting = Waiting.TURN
    assert not setup.buffers.sent(peer, 0)
    peer.waiting = Waiting.NOTHING
    assert setup.buffers.sent(peer, 0)
    peer.phase = Phase.CLOSING
    assert not setup.buffers.sent(peer, 0)


def test_a_queue_opens_when_half_is_left() -> None:
    setup = Setup("a", "b")
    setup.queue(1100, "a")
    setup.flow.wait(setup.by_id["b"], setup.by_id["a"])
    setup.buffers.sent(setup.by_id["a"], 599)
    assert setup.flow.next_released() is None
    setup.buffers.sent(setup.by_id["a"], 1)
    assert setup.flow.next_released() is setup.by_id["b"]


def test_a_queue_ages_from_the_first_write_that_leaves_something() -> None:
    setup = Setup("a", "b")
    list(setup.flow.tick(100.0))
    setup.queue(10, "a", "b")
    setup.buffers.sent(setup.by_id["a"], 10)
    setup.buffers.sent(setup.by_id["b"], 9)
    assert ids(setup.flow.tick(109.9)) == []
    assert ids(setup.flow.tick(110.0)) == ["b"]


# Unparsed bytes


def test_keep_and_take_kept_make_a_connection_ready() -> None:
    setup = Setup("a", "b")
    peer, other = setup.by_id["a"], setup.by_id["b"]
    setup.buffers.keep(peer, b"one", (other,))
    setup.buffers.keep(peer, b"two")
    assert ids(setup.buffers.ready) == ["a"]
    assert setup.buffers.total == 6 + POINTER
    setup.buffers.ready.clear()
    assert setup.buffers.take_kept(peer) == (b"onetwo", (other,))
    assert ids(setup.buffers.ready) == ["a"]
    assert setup.buffers.total == 0
    assert setup.buffers.take_kept(peer) == (b"", ())


def test_connections_are_given_out_in_batches_those_of_a_line_to_many_last() -> None:
    setup = Setup(*map(str, range(2 * BATCH + 2)))
    for peer in list(setup.by_id.values())[: BATCH + 1]:
        assert setup.buffers.queue_unless_full([peer], b"x")
    setup.buffers.queue(list(setup.by_id.values())[BATCH + 1 :], b"x")
    few, many = range(BATCH + 1), range(BATCH + 1, 2 * BATCH + 2)
    assert setup.buffers.take_ready() == [*map(str, few[:BATCH]), *map(str, many[:BATCH])]
    setup.buffers.forget(setup.by_id[str(many[BATCH])])
    assert setup.buffers.take_outgoing() == [(str(BATCH), b"x")]
    assert setup.buffers.take_ready() == []


def test_what_goes_out_is_all_of_a_short_queue() -> None:
    setup = Setup("a", "b", "c")
    setup.queue(3, "b", "c")
    setup.queue(4, "c", "a")
    assert setup.buffers.take_outgoing() == [("b", b"xxx"), ("c", b"xxxxxxx"), ("a", b"xxxx")]


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("number", [FEW, FEW + 1])
def test_lines_to_many_come_last_on_both_paths(number: int, fast: bool) -> None:
    setup = Setup(*map(str, range(number + 1)))
    *first, last = setup.by_id.values()
    queue = setup.buffers.queue_unless_full if fast else setup.buffers.queue
    for to in (first, [last]):
        queue(to, b"x")
    # The first batch has some of both kinds.
    assert len(setup.buffers.ready) == (1 if number > FEW else number + 1)
    assert len(setup.buffers.take_ready()) == number + 1


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("kept", [900, 1001])
def test_small_lines_are_joined_where_much_is_kept(kept: int, fast: bool) -> None:
    setup = Setup("a", "b")
    setup.queue(kept, "b")
    queue = setup.buffers.queue_unless_full if fast else setup.buffers.queue
    peer = setup.by_id["a"]
    for _ in range(PACKED + 1):
        queue([peer], b"x")
    assert peer.queue == ([b"x" * PACKED, b"x"] if kept > 1000 else [b"x"] * (PACKED + 1))


def test_a_queue_above_its_bound_is_reported_with_those_above_the_common_bound() -> None:
    setup = Setup("a", "b", "c")
    for cid, size in (("a", 1000), ("b", 1900), ("c", 1900)):
        assert setup.queue(size, cid) == []
    assert setup.queue(1001, "a") == [
        ("a", CloseReason.FULL_QUEUE),
        ("a", CloseReason.FULL_QUEUES),
    ]


def test_a_dropped_queue_is_not_counted() -> None:
    setup = Setup("a")
    setup.queue(10, "a")
    setup.buffers.ready.clear()
    setup.buffers.drop_queue(setup.by_id["a"])
    assert (setup.buffers.total, setup.by_id["a"].queue) == (0, [])
    assert ids(setup.buffers.ready) == ["a"]


def test_forget_leaves_nothing() -> None:
    setup = Setup("a")
    setup.queue(10, "a")
    setup.buffers.keep(setup.by_id["a"], b"sent")
    setup.buffers.forget(setup.by_id["a"])
    assert (setup.buffers.total, ids(setup.buffers.ready)) == (0, [])
