"""`chatproto.testing.world`: the clock and its timers."""

from chatproto import DuplicateLogin, Limits, Policy
from chatproto.testing.world import STEP, World


def test_calls_are_made_in_order_of_their_times() -> None:
    world = World(Policy(), Limits(), notices=True)
    calls: list[tuple[str, float]] = []

    def note(what: str) -> None:
        calls.append((what, world.now))

    def cancel() -> None:
        note("cancel")
        late.cancel()

    world.call_at(0.25, cancel)
    late = world.call_at(0.25, lambda: note("late"))
    world.call_at(0.02, lambda: note("early"))
    never = world.call_at(0.01, lambda: note("never"))
    never.cancel()
    times = []
    while world.has_timers:
        changes = world.changes
        world.step(1.0)
        times.append(world.now)
        assert (world.changes > changes) == (world.now in (0.02, 0.25))
    assert calls == [("early", 0.02), ("cancel", 0.25)]
    assert times == [0.02, 0.02 + STEP, 0.02 + STEP + STEP, 0.25]
    world.step(0.3)
    assert world.now == 0.3


def test_the_log_is_complete() -> None:
    """Otherwise nobody would know any more who is logged in."""
    policy = Policy(duplicate_login=DuplicateLogin.REPLACE)
    world = World(policy, Limits(log_lines=1), notices=True)
    links = [world.open() for _ in range(3)]
    for number, link in enumerate(links):
        link.send(b"CHAT/1.0 LOGIN user%d\n" % number)
    assert world.names == ["user0", "user1", "user2"]
    # A second login of the same name takes the place of the first.
    world.open().send(b"CHAT/1.0 LOGIN user0\n")
    assert len(world.links_of("user0")) == 1
    assert links[0].can_receive
    assert b"NAME_IN_USE" in (links[0].receive(4096) or b"")
    assert links[0].receive(4096) == b""
    links[0].close()
    assert len(world.links) == 3
