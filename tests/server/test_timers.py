"""chatproto.server.timers: when timers expire, and in which order."""

from chatproto.server.timers import Timers


def test_timers_expire_in_the_order_in_which_they_started() -> None:
    timers: Timers[str] = Timers(2.0)
    timers.start("a", 10.0)
    timers.start("b", 11.0)
    assert list(timers.take_expired(11.9)) == []
    assert list(timers.take_expired(12.0)) == ["a"]
    assert list(timers.take_expired(100.0)) == ["b"]
    assert list(timers.take_expired(100.0)) == []


def test_a_timer_can_be_started_anew() -> None:
    timers: Timers[str] = Timers(2.0)
    timers.start("a", 10.0)
    timers.start("b", 11.0)
    timers.start("a", 12.0)
    assert list(timers.take_expired(13.0)) == ["b"]
    assert list(timers.take_expired(14.0)) == ["a"]


def test_a_stopped_timer_does_not_expire() -> None:
    timers: Timers[str] = Timers(2.0)
    timers.start("a", 10.0)
    timers.stop("a")
    timers.stop("a")
    assert list(timers.take_expired(100.0)) == []


def test_another_span_holds_for_timers_that_run() -> None:
    timers: Timers[str] = Timers(2.0)
    timers.start("a", 10.0)
    timers.start("b", 11.0)
    timers.span = 5.0
    assert timers.left("a", 12.0) == 3.0
    assert list(timers.take_expired(15.0)) == ["a"]
    timers.span = 1.0
    assert list(timers.take_expired(15.0)) == ["b"]


def test_a_timer_may_run_for_less_than_the_others_and_not_for_more() -> None:
    timers: Timers[str] = Timers(2.0)
    timers.start("a", 10.0, 0.5)
    timers.start("b", 10.0, 9.0)
    assert timers.left("a", 10.0) == 0.5
    assert list(timers.take_expired(10.5)) == ["a"]
    assert list(timers.take_expired(12.0)) == ["b"]
