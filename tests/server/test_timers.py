"""chatproto.server.timers: who has how long."""

from chatproto.server.timers import Timers


def test_first_come_first_over() -> None:
    deadlines: Timers[str] = Timers(2.0)
    deadlines.start("a", 10.0)
    deadlines.start("b", 11.0)
    assert list(deadlines.take_expired(11.9)) == []
    assert list(deadlines.take_expired(12.0)) == ["a"]
    assert list(deadlines.take_expired(100.0)) == ["b"]
    assert list(deadlines.take_expired(100.0)) == []


def test_a_new_start_is_a_new_deadline_in_its_place() -> None:
    deadlines: Timers[str] = Timers(2.0)
    deadlines.start("a", 10.0)
    deadlines.start("b", 11.0)
    deadlines.start("a", 12.0)
    assert list(deadlines.take_expired(13.0)) == ["b"]
    assert list(deadlines.take_expired(14.0)) == ["a"]


def test_who_is_stopped_is_never_over() -> None:
    deadlines: Timers[str] = Timers(2.0)
    deadlines.start("a", 10.0)
    deadlines.stop("a")
    deadlines.stop("a")
    assert list(deadlines.take_expired(100.0)) == []
