"""chatproto.server.flow_control: which sender waits for which queue, and who is too slow."""

from collections.abc import Iterator

import pytest

from chatproto import Limits
from chatproto.server.flow_control import WINDOW, FlowControl

LIMITS = Limits(high_water=1000, drain_rate=1000)
SHARE = 1000 * WINDOW


def source_of(cid: str) -> str:
    return cid[0]


def flow_of(*full: str, limits: Limits = LIMITS) -> FlowControl[str]:
    flow: FlowControl[str] = FlowControl(limits, source_of)
    for cid in full:
        mark_full(flow, cid, 0.0)
    return flow


def mark_full(flow: FlowControl[str], cid: str, now: float) -> None:
    flow._now = now
    flow.mark_full(cid)


def sent(flow: FlowControl[str], cid: str, size: int, left: int, now: float) -> None:
    flow._now = now
    flow.sent(cid, size, left)


def each_released(flow: FlowControl[str]) -> Iterator[str]:
    """The senders that may resume, one after another."""
    while (sender := flow.next_released()) is not None:
        yield sender


def released(flow: FlowControl[str]) -> list[str]:
    """The senders that may resume if none of them fills a queue again."""
    return list(each_released(flow))


def slow(flow: FlowControl[str], now: float) -> list[str]:
    return list(flow.tick(now))


@pytest.mark.parametrize(
    ("high_water", "queue_bytes", "max_line", "expected"),
    [
        (1 << 16, 1 << 20, 4096, 1 << 16),
        (1 << 16, 1 << 16, 4096, 1 << 15),
        # A queue that is not full needs room for a line.
        (1 << 16, 5000, 4096, 904),
        (1 << 16, 4096, 4096, 0),
    ],
)
def test_the_high_water_mark(
    high_water: int, queue_bytes: int, max_line: int, expected: int
) -> None:
    limits = Limits(high_water=high_water, queue_bytes=queue_bytes, max_line=max_line)
    assert FlowControl[str](limits, source_of).high_water == expected


# Rule 2: senders wait


def test_a_message_is_blocked_by_full_queues() -> None:
    flow = flow_of("b", "d")
    assert not flow.blockers(("a", "c"))
    assert list(flow.blockers(("d", "c", "b", "a"))) == ["d", "b"]
    assert not flow_of().blockers(("a",))


def test_nobody_waits_at_first() -> None:
    flow = flow_of("b")
    assert flow.waiting == 0
    assert flow.blocked_by("a") is None
    assert released(flow) == []


def test_a_sender_is_released_when_half_is_left() -> None:
    flow = flow_of("b")
    flow.wait("a", "b")
    assert flow.blocked_by("a") == "b"
    sent(flow, "b", 500, 501, 0.0)
    assert released(flow) == []
    assert flow.waiting == 1
    sent(flow, "b", 1, 500, 0.0)
    assert not flow.blockers(("b",))
    assert released(flow) == ["a"]
    assert flow.waiting == 0
    assert released(flow) == []


def test_a_queue_is_full_until_half_is_left() -> None:
    flow = flow_of("b")
    sent(flow, "b", 400, 601, 0.0)
    assert flow.blockers(("b",))
    mark_full(flow, "b", 0.0)
    sent(flow, "b", 101, 500, 0.0)
    assert not flow.blockers(("b",))


def test_senders_are_released_in_the_order_in_which_they_came() -> None:
    flow = flow_of("q")
    for sender in "cab":
        flow.wait(sender, "q")
    sent(flow, "q", 1000, 0, 0.0)
    assert released(flow) == ["c", "a", "b"]


def test_the_next_sender_waits_when_the_first_fills_the_queue_again() -> None:
    flow = flow_of("q")
    for sender in "abc":
        flow.wait(sender, "q")
    sent(flow, "q", 1000, 0, 0.0)
    turns = each_released(flow)
    assert next(turns) == "a"
    mark_full(flow, "q", 0.0)
    flow.wait("a", "q")
    assert list(turns) == []
    # The first sender is the last one now.
    sent(flow, "q", 1000, 0, 0.0)
    assert released(flow) == ["b", "c", "a"]


def test_a_queue_that_is_full_again_releases_no_sender() -> None:
    flow = flow_of("q")
    flow.wait("a", "q")
    sent(flow, "q", 1000, 0, 0.0)
    mark_full(flow, "q", 0.0)
    assert released(flow) == []
    sent(flow, "q", 1000, 0, 0.0)
    assert released(flow) == ["a"]


def test_each_queue_has_its_own_waiters() -> None:
    flow = flow_of("p", "q")
    flow.wait("a", "p")
    flow.wait("b", "q")
    sent(flow, "q", 1000, 0, 0.0)
    assert released(flow) == ["b"]
    sent(flow, "p", 1000, 0, 0.0)
    assert released(flow) == ["a"]


def test_a_sender_may_wait_for_its_own_queue() -> None:
    flow = flow_of("a")
    flow.wait("a", "a")
    sent(flow, "a", 1000, 0, 0.0)
    assert released(flow) == ["a"]


def test_a_queue_that_is_gone_releases_all_senders() -> None:
    flow = flow_of("q")
    for sender in "ab":
        flow.wait(sender, "q")
    flow.forget("q")
    assert not flow.blockers(("q",))
    assert flow.waiting == 0
    assert released(flow) == ["a", "b"]


def test_a_sender_that_is_gone_does_not_wait() -> None:
    flow = flow_of("q")
    for sender in "abc":
        flow.wait(sender, "q")
    flow.forget("b")
    assert flow.waiting == 2
    flow.forget("q")
    flow.forget("c")
    assert released(flow) == ["a"]


def test_a_queue_may_go_while_its_senders_resume() -> None:
    flow = flow_of("q")
    for sender in "abc":
        flow.wait(sender, "q")
    sent(flow, "q", 1000, 0, 0.0)
    turns = each_released(flow)
    assert next(turns) == "a"
    flow.forget("q")
    assert list(turns) == ["b", "c"]


def test_a_queue_that_is_gone_has_nobody_to_release() -> None:
    flow = flow_of("q")
    flow.wait("a", "q")
    sent(flow, "q", 1000, 0, 0.0)
    flow.forget("a")
    assert flow.has_released
    flow.forget("q")
    assert not flow.has_released


def test_a_sender_that_waits_for_its_own_queue_may_go() -> None:
    flow = flow_of("a")
    flow.wait("a", "a")
    flow.forget("a")
    assert released(flow) == []
    assert flow.waiting == 0


# Rule 3: nobody waits for queues that do not drain


def test_a_message_waits_for_one_window_at_first() -> None:
    flow = flow_of("q")
    assert flow.blockers(("q",))
    assert slow(flow, WINDOW - 0.01) == []
    assert flow.blockers(("q",))
    slow(flow, WINDOW)
    assert not flow.blockers(("q",))


def test_senders_are_released_when_a_queue_does_not_drain() -> None:
    flow = flow_of("q")
    for sender in "abcd":
        flow.wait(sender, "q")
    slow(flow, WINDOW)
    assert released(flow) == ["a", "b", "c", "d"]
    assert flow.waiting == 0
    # Once only.
    slow(flow, 2 * WINDOW)
    assert released(flow) == []


@pytest.mark.parametrize(("size", "waits"), [(SHARE, True), (SHARE - 1, False)])
def test_the_bytes_written_in_a_window_decide(size: float, waits: bool) -> None:
    flow = flow_of("q")
    sent(flow, "q", int(size) - 100, 2000, 0.1)
    sent(flow, "q", 100, 2000, 0.2)
    slow(flow, WINDOW)
    assert bool(flow.blockers(("q",))) is waits
    # Each window counts for itself.
    sent(flow, "q", int(SHARE) - 1, 2000, WINDOW + 0.1)
    slow(flow, 2 * WINDOW)
    assert not flow.blockers(("q",))


def test_a_message_waits_again_for_a_queue_that_drains_again() -> None:
    flow = flow_of("q")
    slow(flow, WINDOW)
    for number in range(1, 3):
        assert not flow.blockers(("q",))
        sent(flow, "q", int(SHARE), 2000, number * WINDOW + 0.01)
        slow(flow, (number + 1) * WINDOW + 0.01 * (number + 1))
    assert flow.blockers(("q",))


def test_a_queue_that_is_full_again_has_a_new_window() -> None:
    flow = flow_of("q")
    slow(flow, WINDOW)
    sent(flow, "q", 1000, 0, WINDOW)
    slow(flow, 20.0)
    mark_full(flow, "q", 20.0)
    slow(flow, 20.0 + WINDOW / 2)
    assert flow.blockers(("q",))
    slow(flow, 20.0 + WINDOW)
    assert not flow.blockers(("q",))


def distrustful_flow() -> FlowControl[str]:
    """q1 has stopped a short time ago."""
    limits = Limits(high_water=1000, drain_rate=1000, queue_age=5.0)
    flow = flow_of("q1", limits=limits)
    flow.wait("sender", "q1")
    slow(flow, WINDOW)
    assert released(flow) == ["sender"]
    return flow


def test_others_from_there_get_no_benefit_of_the_doubt() -> None:
    flow = distrustful_flow()
    mark_full(flow, "q2", 1.0)
    mark_full(flow, "p1", 1.0)
    assert list(flow.blockers(("q1", "q2", "p1"))) == ["p1"]


def test_one_from_there_whose_queue_drains_does_not_need_it() -> None:
    flow = distrustful_flow()
    for cid in ("q2", "q3"):
        mark_full(flow, cid, 1.0)
    sent(flow, "q2", int(SHARE), 2000, 1.1)
    slow(flow, 1.0 + WINDOW)
    # The system may have taken as much.
    assert not flow.blockers(("q2", "q3"))
    sent(flow, "q2", int(SHARE), 2000, 1.1 + WINDOW)
    slow(flow, 1.0 + 2 * WINDOW + 0.01)
    assert list(flow.blockers(("q2", "q3"))) == ["q2"]


def test_nor_does_one_whose_queue_has_drained_before() -> None:
    flow = flow_of("q1", "q2")
    for number in range(1, 3):
        sent(flow, "q2", int(SHARE), 2000, number * WINDOW - 0.1)
        slow(flow, number * WINDOW + number / 100)
    sent(flow, "q2", 2000, 0, 1.0)
    slow(flow, 2.0)
    mark_full(flow, "q2", 2.0)
    mark_full(flow, "q3", 2.0)
    assert list(flow.blockers(("q1", "q2", "q3"))) == ["q2"]


def test_trust_comes_back_after_a_while_without_such_queues() -> None:
    flow = distrustful_flow()
    slow(flow, 4.0)
    mark_full(flow, "q2", 4.0)
    assert not flow.blockers(("q2",))
    flow.forget("q2")
    # From then on it takes as long again.
    slow(flow, 8.9)
    assert "q" in flow._distrusted
    slow(flow, 9.0)
    mark_full(flow, "q2", 9.0)
    assert flow.blockers(("q2",))


def test_trust_comes_back_after_the_time_that_is_in_force() -> None:
    flow = distrustful_flow()
    flow.reconfigure(Limits(high_water=1000, drain_rate=1000, queue_age=2.0))
    slow(flow, WINDOW + 2.0)
    mark_full(flow, "q2", WINDOW + 2.0)
    assert flow.blockers(("q2",))


def test_a_queue_that_has_stopped_is_watched_again_when_some_of_it_is_written() -> None:
    flow = flow_of("q")
    slow(flow, WINDOW)
    slow(flow, 100.0)
    assert "q" not in flow._windows
    sent(flow, "q", 1, 2000, 100.0)
    assert "q" in flow._windows


# Excuses


def test_one_that_waits_for_a_queue_that_drains_has_an_excuse() -> None:
    flow = flow_of("bot", "slow")
    flow.wait("bot", "slow")
    for number in range(1, 5):
        sent(flow, "slow", int(SHARE), 2000, number * WINDOW - 0.1)
        slow(flow, number * WINDOW)
        assert list(flow.blockers(("bot", "slow"))) == ["bot", "slow"]
    # It has one no longer when that one has stopped.
    slow(flow, 5 * WINDOW)
    assert released(flow) == ["bot"]
    # From then on it has a window of its own.
    assert flow.blockers(("bot",))
    sent(flow, "bot", int(SHARE) - 1, 2000, 6 * WINDOW)
    slow(flow, 6 * WINDOW + 0.01)
    assert not flow.blockers(("bot",))


def test_those_that_wait_for_each_other_have_none() -> None:
    flow = flow_of("a", "b")
    flow.wait("a", "b")
    flow.wait("b", "a")
    slow(flow, WINDOW)
    slow(flow, 2 * WINDOW + 0.01)
    assert sorted(released(flow)) == ["a", "b"]
    assert not flow.blockers(("a", "b"))


def test_a_row_of_those_that_wait_ends_at_one_that_drains() -> None:
    flow = flow_of("a", "b", "c")
    flow.wait("a", "b")
    flow.wait("b", "c")
    sent(flow, "c", int(SHARE), 2000, 0.1)
    slow(flow, WINDOW)
    assert list(flow.blockers(("a", "b", "c"))) == ["a", "b", "c"]


def test_one_that_has_drained_and_then_stops_holds_nobody_any_more() -> None:
    flow = flow_of("q")
    for number in range(1, 3):
        sent(flow, "q", int(SHARE), 2000, number * WINDOW - 0.1)
        slow(flow, number * WINDOW + number / 100)
    slow(flow, 3 * WINDOW + 0.1)
    assert not flow.blockers(("q",))
    # Nor when it is full again, until it has drained in two windows in a row once more.
    sent(flow, "q", 2000, 0, 2.0)
    mark_full(flow, "q", 2.0)
    for number in range(1, 3):
        assert not flow.blockers(("q",))
        sent(flow, "q", int(SHARE), 2000, 1.9 + number * WINDOW)
        slow(flow, 2.0 + number * WINDOW + number / 100)
    assert flow.blockers(("q",))


def test_a_queue_that_has_stopped_holds_nobody_even_when_there_is_trust_again() -> None:
    flow = distrustful_flow()
    slow(flow, 100.0)
    assert not flow._distrusted
    assert not flow.blockers(("q1",))


def test_nothing_is_left_of_one_whose_queue_has_drained() -> None:
    flow = flow_of("q")
    for number in range(1, 3):
        sent(flow, "q", int(SHARE), 2000, number * WINDOW - 0.1)
        slow(flow, number * WINDOW + number / 100)
    assert "q" in flow._good & flow._proven
    flow.forget("q")
    assert not any([flow._good, flow._proven, flow._draining, flow.full])


# Rule 4: age


def test_the_age_stands_still_while_a_connection_is_kept_waiting() -> None:
    flow = flow_of()
    sent(flow, "q", 0, 10, 0.0)
    slow(flow, 9.0)
    flow.stop_age("q")
    sent(flow, "q", 0, 20, 9.5)
    assert slow(flow, 100.0) == []
    flow.start_age("q")
    # It had one second left.
    assert slow(flow, 100.9) == []
    assert slow(flow, 101.0) == ["q"]


def test_what_is_written_meanwhile_makes_it_begin_anew() -> None:
    flow = flow_of()
    sent(flow, "q", 0, 10, 0.0)
    slow(flow, 9.0)
    flow.stop_age("q")
    sent(flow, "q", 10, 5, 9.5)
    slow(flow, 100.0)
    flow.start_age("q")
    assert slow(flow, 109.9) == []
    assert slow(flow, 110.0) == ["q"]


def test_a_queue_that_could_be_written_has_no_age_to_begin_again() -> None:
    flow = flow_of()
    flow.stop_age("q")
    flow.start_age("q")
    assert slow(flow, 100.0) == []


def test_a_queue_of_which_nothing_is_written_is_too_old() -> None:
    flow = flow_of()
    sent(flow, "q", 0, 10, 5.0)
    assert "q" in flow.late
    assert slow(flow, 14.9) == []
    assert slow(flow, 15.0) == ["q"]
    assert slow(flow, 100.0) == []


def test_only_what_was_queued_when_the_timer_started_has_an_age() -> None:
    flow = flow_of()
    sent(flow, "q", 0, 10, 0.0)
    sent(flow, "q", 9, 500, 9.0)
    assert slow(flow, 9.9) == []
    sent(flow, "q", 1, 600, 9.9)
    assert slow(flow, 19.8) == []
    assert slow(flow, 19.9) == ["q"]


def test_an_empty_queue_has_no_age() -> None:
    flow = flow_of()
    sent(flow, "q", 0, 10, 0.0)
    sent(flow, "q", 10, 0, 9.9)
    assert "q" not in flow.late | flow.full
    assert slow(flow, 100.0) == []
    sent(flow, "q", 5, 0, 100.0)
    assert slow(flow, 200.0) == []


def test_a_large_queue_that_trickles_is_too_old() -> None:
    flow = flow_of("q")
    for second in range(10):
        assert slow(flow, second) == []
        sent(flow, "q", 10, 2000, second)
    assert slow(flow, 10) == ["q"]


def test_a_queue_that_is_gone_has_no_age() -> None:
    flow = flow_of("q")
    sent(flow, "q", 0, 10, 0.0)
    flow.forget("q")
    flow.forget("never seen")
    assert "q" not in flow.late | flow.full
    assert slow(flow, 100.0) == []
