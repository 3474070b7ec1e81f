"""chatproto.server.peers: what is queued for each connection, and how each ends."""

from collections.abc import Iterable

import pytest

from chatproto import CloseReason, Limits
from chatproto.server.peer import Link
from chatproto.server.peers import Links
from chatproto.server.send_queue import front

LIMITS = Limits(
    max_line=512,
    high_water=1000,
    queue_bytes=2000,
    total_queue_bytes=5000,
    linger=10.0,
    goodbye=2.0,
    rate=4.0,
)


def links_of(*cids: str, limits: Limits = LIMITS) -> Links:
    links = Links(limits)
    for cid in cids:
        links.add(Link(cid, "somewhere", "", limits))
    return links


def ids(links: Iterable[Link]) -> list[str]:
    return [link.cid for link in links]


def queue(links: Links, size: int, *to: str) -> list[tuple[str, CloseReason]]:
    slow = links.queue([links.by_id[cid] for cid in to], b"x" * size)
    return [(link.cid, reason) for link, reason in slow]


def close(links: Links, cid: str, last_words: bytes = b"") -> None:
    links.close(links.by_id[cid], CloseReason.LOGGED_OUT, last_words)


def test_connections_come_and_go() -> None:
    links = links_of("a", "b")
    assert list(links.by_id) == ["a", "b"]
    gone = links.by_id["a"]
    assert links.remove("a") is gone
    assert links.remove("a") is None
    with pytest.raises(KeyError):
        links.by_id["a"]


def test_nobody_is_added_twice() -> None:
    links = links_of("a")
    there = links.by_id["a"]
    with pytest.raises(ValueError, match="'a' is connected already"):
        links.add(Link("a", "other", "", LIMITS))
    assert links.by_id["a"] is there


def test_what_is_queued_is_ready_in_the_order_in_which_it_came() -> None:
    links = links_of("a", "b", "c")
    assert queue(links, 5, "c") == queue(links, 5, "a", "c") == []
    assert ids(links.ready) == ["c", "a"]
    assert front(links.by_id["c"].outbox) == b"x" * 10
    assert links.octets == 15


def test_a_queue_over_its_bound() -> None:
    links = links_of("a", "b")
    assert queue(links, 1999, "a") == []
    assert queue(links, 1, "a", "b") == []
    assert queue(links, 1, "a", "b") == [("a", CloseReason.FULL_QUEUE)]


def test_a_queue_is_full_over_the_high_water_mark() -> None:
    links = links_of("a", "b")
    queue(links, 1000, "a")
    assert not links.flow.blockers((links.by_id["a"], links.by_id["b"]), broadcast=False)
    queue(links, 1, "a")
    assert ids(links.flow.blockers((links.by_id["a"], links.by_id["b"]), broadcast=False)) == ["a"]


# All together


def test_over_the_bound_of_all_the_longest_goes() -> None:
    links = links_of("a", "b", "c", "d")
    for cid, size in (("a", 1400), ("b", 1800), ("c", 1700), ("d", 100)):
        assert queue(links, size, cid) == []
    assert ids(links.worst()) == []
    assert queue(links, 1, "d") == [("b", CloseReason.FULL_QUEUES)]


def test_as_many_go_as_have_to() -> None:
    links = links_of(*"abcdefghij")
    for cid in "abcdefghi":
        queue(links, 500, cid)
    # 9,500 octets are 4,500 too many.
    slow = [(cid, CloseReason.FULL_QUEUES) for cid in "abcde"]
    assert queue(links, 500, *"abcdefghij") == slow


def test_what_is_kept_from_a_sender_counts_too() -> None:
    links = links_of("a", "b")
    links.hold(links.by_id["a"], b"x" * 3000)
    assert queue(links, 2000, "b") == []
    assert ids(links.worst()) == []
    links.hold(links.by_id["a"], b"x")
    assert links.octets == 5001
    assert ids(links.worst()) == ["a"]


def test_the_only_one_may_be_one_too_many() -> None:
    links = links_of("a")
    links.hold(links.by_id["a"], b"x" * 5001)
    assert ids(links.worst()) == ["a"]


def test_what_is_kept_from_senders_counts_against_what_they_wait_for() -> None:
    """They have done nothing wrong, however much more they had to say than is queued there."""
    links = links_of("a", "b", "c", "d")
    queue(links, 1100, "d")
    queue(links, 1900, "c")
    for cid in "ab":
        links.flow.wait(links.by_id[cid], links.by_id["d"], broadcast=False)
        links.hold(links.by_id[cid], b"x" * 1500)
    assert ids(links.worst()) == ["d"]


# Writing


def test_what_is_sent_is_gone() -> None:
    links = links_of("a")
    queue(links, 10, "a")
    assert not links.sent(links.by_id["a"], 4)
    assert links.octets == len(front(links.by_id["a"].outbox)) == 6
    assert links.octets_out == 4
    assert links.sent(links.by_id["a"], 100)
    assert links.sent(links.by_id["a"], 1)
    assert links.octets == 0
    assert links.octets_out == 10


def test_what_is_sent_to_many_is_as_if_it_were_to_each() -> None:
    links = links_of("a", "b", "c", "d")
    queue(links, 10, "a", "b", "c")
    links.hold(links.by_id["d"], b"")
    assert links.sent_all([("a", 10), ("b", 4), ("c", 11), ("d", 0)]) == ["b", "d"]
    assert (links.octets, links.octets_out) == (6, 24)


def test_nothing_can_be_unsent() -> None:
    links = links_of("a", "b")
    queue(links, 10, "a", "b")
    with pytest.raises(ValueError, match="-5 octets"):
        links.sent_all([("a", 10), ("b", -5)])
    assert (links.octets, links.octets_out) == (10, 10)


def test_writing_is_not_all_while_somebody_waits_or_ends() -> None:
    links = links_of("a", "b")
    links.hold(links.by_id["a"], b"")
    assert not links.sent(links.by_id["a"], 0)
    links.let_go(links.by_id["a"])
    assert links.sent(links.by_id["a"], 0)
    close(links, "b")
    assert not links.sent(links.by_id["b"], 0)


def test_what_is_written_opens_a_queue() -> None:
    links = links_of("a", "b")
    queue(links, 1100, "a")
    links.flow.wait(links.by_id["b"], links.by_id["a"], broadcast=False)
    links.sent(links.by_id["a"], 599)
    assert ids(links.flow.take_released()) == []
    links.sent(links.by_id["a"], 1)
    assert ids(links.flow.take_released()) == ["b"]


def test_the_time_of_a_queue_begins_with_the_first_write_that_leaves_something() -> None:
    links = links_of("a", "b")
    list(links.tick(100.0))
    queue(links, 10, "a", "b")
    links.sent(links.by_id["a"], 10)
    links.sent(links.by_id["b"], 9)
    assert ids(links.tick(109.9)) == []
    assert ids(links.tick(110.0)) == ["b"]


# Waiting


def test_who_waits_is_ready_so_that_it_is_not_read_from() -> None:
    links = links_of("a")
    links.hold(links.by_id["a"], b"one")
    links.hold(links.by_id["a"], b"two")
    assert links.by_id["a"].held
    assert ids(links.ready) == ["a"]
    assert links.octets == 6
    links.ready.clear()
    assert links.let_go(links.by_id["a"]) == b"onetwo"
    assert not links.by_id["a"].held
    assert ids(links.ready) == ["a"]
    assert links.octets == 0


def test_a_pause_takes_as_long_as_a_line() -> None:
    links = links_of("a")
    list(links.tick(100.0))
    links.pause(links.by_id["a"])
    list(links.tick(100.2))
    assert ids(links.take_rested()) == []
    list(links.tick(100.25))
    assert ids(links.take_rested()) == ["a"]
    assert ids(links.take_rested()) == []


# Ending


def test_closing() -> None:
    links = links_of("a", "b")
    queue(links, 1100, "a")
    links.hold(links.by_id["a"], b"said")
    links.pause(links.by_id["a"])
    links.flow.wait(links.by_id["b"], links.by_id["a"], broadcast=False)
    links.ready.clear()
    close(links, "a", b"bye")
    assert links.by_id["a"].closing is CloseReason.LOGGED_OUT
    assert front(links.by_id["a"].outbox).endswith(b"xbye")
    assert not links.by_id["a"].held
    assert links.octets == 1103
    assert ids(links.ready) == ["a"]
    assert ids(links.flow.take_released()) == ["b"]
    list(links.tick(9.9))
    assert ids(links.take_rested()) == []


def test_our_half_is_closed_once_and_when_all_is_written() -> None:
    links = links_of("a")
    assert not links.take_half_close(links.by_id["a"])
    close(links, "a", b"bye")
    assert not links.take_half_close(links.by_id["a"])
    links.sent(links.by_id["a"], 3)
    assert links.take_half_close(links.by_id["a"])
    assert not links.take_half_close(links.by_id["a"])


def test_not_when_the_peer_is_done() -> None:
    links = links_of("a")
    close(links, "a")
    links.by_id["a"].done = True
    assert not links.take_half_close(links.by_id["a"])


def test_who_does_not_take_its_queue_in_time_is_given_up() -> None:
    links = links_of("a")
    list(links.tick(100.0))
    close(links, "a", b"bye")
    links.ready.clear()
    list(links.tick(109.9))
    assert ids(links.ready) == []
    list(links.tick(110.0))
    assert links.by_id["a"].done
    assert (front(links.by_id["a"].outbox), links.octets) == (b"", 0)
    assert ids(links.ready) == ["a"]


def test_who_does_not_close_in_time_is_given_up() -> None:
    links = links_of("a")
    close(links, "a")
    list(links.tick(9.0))
    assert links.take_half_close(links.by_id["a"])
    list(links.tick(10.9))
    assert not links.by_id["a"].done
    list(links.tick(11.0))
    assert links.by_id["a"].done


def test_removing_leaves_nothing() -> None:
    links = links_of("a", "b")
    queue(links, 1100, "a")
    links.sent(links.by_id["a"], 0)
    links.hold(links.by_id["a"], b"said")
    links.flow.wait(links.by_id["a"], links.by_id["b"], broadcast=False)
    links.pause(links.by_id["a"])
    close(links, "b", b"bye")
    for cid in "ab":
        links.remove(cid)
    assert (links.octets, links.flow.waiting, ids(links.ready)) == (0, 0, [])
    assert list(links.tick(1000.0)) == list(links.take_rested()) == []
