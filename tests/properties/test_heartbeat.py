"""chatproto.client.heartbeat, whatever happens when: no server is lost too soon, none too late."""

import math

from hypothesis import given
from hypothesis import strategies as st

from chatproto.client.heartbeat import Heartbeat

# Sums of these are exact.
INTERVALS = st.sampled_from([0.5, 1.0, 30.0])
PAUSES = st.integers(0, 40).map(lambda quarters: quarters / 4)
HAPPENINGS = st.lists(st.tuples(PAUSES, st.sampled_from(["silence", "data", "written"])))


@given(INTERVALS, HAPPENINGS)
def test_no_server_is_lost_before_two_intervals_of_silence(
    interval: float, happenings: list[tuple[float, str]]
) -> None:
    heartbeat, now, heard_at = Heartbeat(interval), 0.0, 0.0
    heartbeat.heard(now)
    for pause, happening in happenings:
        now += pause
        if happening == "data":
            heartbeat.heard(now)
            heard_at = now
        silence = heartbeat.tick(now)
        if silence is not None:
            assert silence == now - heard_at
            assert silence >= 2 * interval
            return
        if happening == "written" and heartbeat.due:
            heartbeat.asked(now)
        assert now < heartbeat.next_tick <= now + interval


@given(INTERVALS, st.floats(0, 1), st.lists(st.booleans()))
def test_a_server_that_hangs_is_lost_after_at_most_three(
    interval: float, delay: float, writes: list[bool]
) -> None:
    """Two, and as long as it takes until the heartbeat can be written, if it can."""
    heartbeat, now = Heartbeat(interval), 0.0
    heartbeat.heard(now)
    can_write = iter(writes)
    while heartbeat.tick(now) is None:
        if heartbeat.due and next(can_write, False):
            heartbeat.asked(now)
        assert now < heartbeat.next_tick
        now = math.nextafter(heartbeat.next_tick + delay * interval / 100, math.inf)
        assert now < 4 * interval
    assert 2 * interval <= now <= 3.2 * interval
