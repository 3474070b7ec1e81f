"""`lag`: times, counted by their length."""

from chatproto import ChatBroker, LagHistogram


def test_times_are_counted_by_their_length() -> None:
    lag = LagHistogram()
    # At a bound, just above it, and above all bounds.
    for seconds in (0.0, 0.001, 0.0011, 10.0, 11.0, 12.0):
        lag.add(seconds)
    assert lag.counts == [2, 1, *[0] * 10, 1, 2]
    assert len(lag.counts) == len(lag.BOUNDS) + 1
    assert lag.total == 33.0021


def test_bounds_rise() -> None:
    assert list(LagHistogram.BOUNDS) == sorted(set(LagHistogram.BOUNDS))


def test_a_snapshot_does_not_change_any_more() -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.note_lag(2.0)
    before = broker.snapshot().lag
    broker.note_lag(2.0)
    assert (sum(before.counts), before.total) == (1, 2.0)
    assert (sum(broker.snapshot().lag.counts), broker.snapshot().lag.total) == (2, 4.0)
