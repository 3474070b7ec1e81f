"""`handshakes`: how TLS handshakes share the time, with a clock that they advance themselves."""

from collections import deque
from dataclasses import dataclass, field

from chatproto_sync.sockets.driver import TICK
from chatproto_sync.sockets.handshakes import BATCH, BURST, SHARE, HandshakeQueue

from .conftest import FakeClock


@dataclass(eq=False)
class Handshake:
    """A handshake whose steps take some time."""

    clock: FakeClock
    seconds: float = 0.0
    steps: int = 0

    def do_handshake(self) -> None:
        self.steps += 1
        self.clock.now += self.seconds


@dataclass
class Setup:
    """A queue, and the handshakes that wait to begin."""

    clock: FakeClock
    waiting: deque[Handshake] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.queue = HandshakeQueue(self._next, self.clock, self.clock)

    def _next(self) -> Handshake | None:
        return self.waiting.popleft() if self.waiting else None

    def flood(self, seconds: float, number: int) -> list[Handshake]:
        new = [Handshake(self.clock, seconds) for _ in range(number)]
        self.waiting += new
        return new


def test_few_handshakes_are_done_at_once(clock: FakeClock) -> None:
    setup = Setup(clock)
    new = setup.flood(0.0, 10)
    assert setup.queue.run()
    assert [each.steps for each in new] == [1] * 10
    assert not setup.queue.ready
    assert not setup.queue.run()
    setup.queue.add(new[0])
    setup.queue.add(new[1])
    setup.queue.discard(new[1])
    setup.queue.discard(new[1])
    assert setup.queue.run()
    assert [each.steps for each in new[:3]] == [2, 1, 1]


def test_the_others_are_served_between_batches(clock: FakeClock) -> None:
    setup = Setup(clock)
    new = setup.flood(BATCH / 4, 100)
    setup.queue.run()
    assert sum(each.steps for each in new) == 4
    assert setup.queue.ready
    setup.queue.run()
    assert sum(each.steps for each in new) == 8


def test_those_that_go_on_and_those_that_begin_take_turns(clock: FakeClock) -> None:
    setup = Setup(clock)
    new = setup.flood(BATCH / 4, 100)
    old = [Handshake(clock, BATCH / 4) for _ in range(100)]
    for each in old:
        setup.queue.add(each)
    setup.queue.run()
    assert (sum(each.steps for each in old), sum(each.steps for each in new)) == (2, 2)


def test_a_flood_takes_its_share_and_no_more(clock: FakeClock) -> None:
    setup = Setup(clock)
    new = setup.flood(0.0003, 100_000)
    start = clock.now
    while clock.now < start + 10:
        setup.queue.run()
        if not setup.queue.ready:
            # The driver has nothing else to do.
            clock.now += TICK
    taken = sum(each.steps for each in new) * 0.0003
    share = taken / (clock.now - start)
    assert SHARE * 0.95 < share < SHARE * 1.05


def test_what_was_not_used_does_not_add_up(clock: FakeClock) -> None:
    setup = Setup(clock)
    clock.now += 1000
    new = setup.flood(0.0003, 100_000)
    start = clock.now
    setup.queue.run()
    while setup.queue.ready:
        setup.queue.run()
    assert clock.now - start < BURST / (1 - SHARE) + BATCH
    assert new[0].steps


def test_no_step_is_too_long_to_be_done(clock: FakeClock) -> None:
    setup = Setup(clock)
    new = setup.flood(10 * BURST, 2)
    setup.queue.run()
    assert [each.steps for each in new] == [1, 0]
    assert not setup.queue.ready
    clock.now += 10 * BURST / SHARE
    setup.queue.run()
    assert [each.steps for each in new] == [1, 1]
