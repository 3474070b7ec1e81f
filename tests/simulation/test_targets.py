"""chatproto.server.flow_control: what the docs promise, with the default limits.

Megabytes stand for gigabytes.
"""

from math import inf

import pytest

from chatproto import CloseReason, Limits

from .client import Client
from .invariants import LOOK, Invariants
from .world import READ_SIZE, World

STEP = 0.05


def world_of(*speeds: float, limits: Limits = Limits()) -> tuple[World, list[Client]]:
    """A world with user1, user2, … who read so many bytes a second."""
    world = World(limits, pieces=[READ_SIZE])
    clients = [
        world.connect(f"user{number}", speed=speed) for number, speed in enumerate(speeds, 1)
    ]
    world.run_until_idle()
    return world, clients


def group_of(*speeds: float) -> tuple[World, list[Client]]:
    """The same, with all as members of g."""
    world, clients = world_of(*speeds)
    clients[0].send_line("GROUP g " + " ".join(str(client.name) for client in clients))
    world.run_until_idle()
    return world, clients


def run(world: World, seconds: float) -> list[float]:
    """Run a world for some time.

    Returns:
        For each client the longest time in seconds for which it was not read from.
    """
    checks = Invariants(world)
    since = dict.fromkeys(world.clients, world.now)
    longest = dict.fromkeys(world.clients, 0.0)
    for _ in range(round(seconds / STEP)):
        world.step(STEP)
        checks.check()
        for cid, client in world.clients.items():
            if client.watched_for_reading:
                since[cid] = world.now
            longest[cid] = max(longest[cid], world.now - since[cid])
    return list(longest.values())


def count(client: Client, sender: Client, target: str) -> int:
    """How many messages somebody has received, of which none is missing."""
    return client.received.get((sender.cid, target), -1) + 1


def test_a_fast_sender_and_a_slower_reader() -> None:
    """All messages arrive, and the server keeps no more than a queue and a read."""
    world, (alice, bob) = world_of(inf, 1_000_000.0)
    for _ in range(10_000):
        alice.send("user2", world.step_number, 1000)
    most = 0
    while count(bob, alice, "@user2") < 10_000:
        world.step(STEP)
        most = max(most, world.broker.snapshot().queued)
    # A waiting sender has sent one read more, at most.
    assert READ_SIZE < most <= world.limits.high_water + world.limits.max_line + READ_SIZE
    assert world.now > 9
    assert world.broker.snapshot().closes == {}


def test_a_reader_that_stops() -> None:
    """Its sender waits for less than a second, once; others do not. Then it is closed."""
    world, (alice, bob, carol, dave) = world_of(inf, 0.0, inf, inf)
    for _ in range(200):
        alice.send("user2", world.step_number, 1000)
    alice.send("user3", world.step_number)
    for second in range(9):
        carol.send("user4", world.step_number)
        run(world, 1.0)
        assert count(dave, carol, "@user4") == second + 1
        assert count(carol, alice, "@user3") == 1
    assert world.broker.snapshot().waiting == 0
    assert len(world.broker._by_id[bob.cid].queue) > 1
    run(world, 3.0)
    assert world.broker.snapshot().closes == {CloseReason.SLOW_CONSUMER: 1}
    alice.send("user2", world.step_number)
    run(world, 1.0)
    assert alice.errors == [b"ERR NO_SUCH_USER SEND user2 is not online"]


def test_a_reader_that_stops_is_closed_at_its_cap() -> None:
    world, (alice, _) = world_of(inf, 0.0)
    for _ in range(1500):
        alice.send("user2", world.step_number, 1000)
    run(world, 3.0)
    assert world.broker.snapshot().closes == {CloseReason.FULL_QUEUE: 1}
    assert alice.errors[0] == b"ERR NO_SUCH_USER SEND user2 is not online"


def test_a_bot_waits_once_for_one_who_does_not_read_its_answers() -> None:
    """One that comes again and again does not keep it from the others."""
    world, (bot, user) = world_of(inf, inf)
    waits: list[float] = []
    for _ in range(8):
        stranger = world.connect("stranger", address="192.0.2.1", speed=0.0)
        world.run_until_idle()
        for _ in range(40):
            bot.send("stranger", world.step_number, 3900)
        bot.send(str(user.name), world.step_number)
        waits.append(run(world, 1.0)[0])
        world.reset(stranger)
    assert count(user, bot, "@user2") == 8
    assert 0 < waits[0] < 1
    assert not any(waits[1:])
    assert bot.cid in world.clients


def test_a_connection_does_not_age_while_it_is_not_read_from() -> None:
    """A bot that can't write may not get to reading: that is not its fault."""
    world, (bot, slow, sender) = world_of(inf, 20_000.0, inf)
    bot.speed = 0.0
    for _ in range(400):
        bot.send(str(slow.name), world.step_number, 1000)
    sender.send(str(bot.name), world.step_number)
    run(world, 15.0)
    assert not bot.watched_for_reading
    assert bot.cid in world.clients
    run(world, 20.0)
    assert world.broker.snapshot().closes == {CloseReason.SLOW_CONSUMER: 1}
    assert bot.cid not in world.clients


@pytest.mark.parametrize("speed", [0.0, 10.0])
def test_one_member_of_a_hundred_stops_or_trickles(speed: float) -> None:
    """The sender waits for it for less than a second, and all others receive everything."""
    world, (sender, stalled, *others) = group_of(*[inf] * 100)
    stalled.speed = speed
    for _ in range(400):
        sender.broadcast("g", world.step_number, 3000)
    waits = run(world, 12.0)
    assert 0 < waits[0] <= LOOK < 1.0
    assert {count(other, sender, "#g") for other in others} == {400}
    assert world.broker.snapshot().closes == {CloseReason.FULL_QUEUE: 1}
    assert stalled.cid not in world.clients


@pytest.mark.parametrize("speed", [0.0, 10.0])
def test_a_member_that_stops_or_trickles_is_closed_at_its_age(speed: float) -> None:
    world, (sender, stalled, other) = group_of(inf, inf, inf)
    stalled.speed = speed
    for _ in range(25):
        sender.broadcast("g", world.step_number, 1000)
        assert run(world, 1.0)[0] == 0.0
    assert count(other, sender, "#g") == 25
    assert world.broker.snapshot().closes == {CloseReason.SLOW_CONSUMER: 1}


def test_several_members_stop() -> None:
    """The sender waits for all of them no longer than for one."""
    world, (sender, *others) = group_of(*[inf] * 50)
    stalled, healthy = others[:20], others[20:]
    for client in stalled:
        client.speed = 0.0
    for _ in range(400):
        sender.broadcast("g", world.step_number, 3000)
    assert run(world, 12.0)[0] <= LOOK
    assert {count(other, sender, "#g") for other in healthy} == {400}
    assert world.broker.snapshot().closes == {CloseReason.FULL_QUEUE: 20}


def test_all_members_are_slower_than_the_sender() -> None:
    """All members receive everything, and none is closed."""
    speeds = [20_000.0 + 1000 * number for number in range(99)]
    world, (sender, *others) = group_of(inf, *speeds)
    for _ in range(150):
        sender.broadcast("g", world.step_number, 3000)
    assert run(world, 30.0)[0] > 1.0
    assert {count(other, sender, "#g") for other in others} == {150}
    assert world.broker.snapshot().closes == {}


def test_a_member_stops_for_a_while_and_reads_again() -> None:
    world, (sender, sleeper, other) = group_of(inf, inf, inf)
    sleeper.stalled_until = world.now + 5.0
    for _ in range(200):
        sender.broadcast("g", world.step_number, 3000)
    run(world, 10.0)
    assert count(sleeper, sender, "#g") == count(other, sender, "#g") == 200
    assert world.broker.snapshot().closes == {}


def test_many_clients_never_read() -> None:
    """Their queues stay within the bound of each and of all, and the others receive everything."""
    limits = Limits(total_queue_bytes=4 << 20)
    world, clients = world_of(*[inf] * 1000, limits=limits)
    senders, readers, sleepers = clients[:10], clients[10:20], clients[20:]
    for sleeper in sleepers:
        sleeper.speed = 0.0
    for second in range(8):
        for sender, reader in zip(senders, readers, strict=True):
            for sleeper in sleepers[second::8]:
                sender.send(str(sleeper.name), world.step_number, 1000)
            sender.send(str(reader.name), world.step_number)
        run(world, 1.0)
        for sender, reader in zip(senders, readers, strict=True):
            assert count(reader, sender, f"@{reader.name}") == second + 1
    reasons = world.broker.snapshot().closes
    assert reasons[CloseReason.FULL_QUEUES] > 100
    assert all(client.cid in world.clients for client in senders + readers)
    assert world.broker.snapshot().queued > limits.total_queue_bytes / 2


def test_many_members_of_one_group_never_read() -> None:
    """Each broadcast adds much at once."""
    limits = Limits(max_line=512, high_water=1000, queue_bytes=8000, total_queue_bytes=500_000)
    world, (sender, *sleepers) = world_of(*[inf] * 401, limits=limits)
    for at in range(0, 400, 40):
        names = " ".join(str(client.name) for client in sleepers[at : at + 40])
        sender.send_line(f"GROUP g{at} {names}")
        world.run_until_idle()
    for sleeper in sleepers:
        sleeper.speed = 0.0
    for _ in range(12):
        for at in range(0, 400, 40):
            for _ in range(3):
                sender.broadcast(f"g{at}", world.step_number, 400)
        run(world, 1.0)
    assert world.broker.snapshot().closes[CloseReason.FULL_QUEUES] >= 300
    assert sender.cid in world.clients


def test_two_busy_members_do_not_starve_a_broadcast() -> None:
    """Each has a sender of its own, so their queues seldom have room at the same moment."""
    world, (alice, bob, carol, dave, erin) = group_of(inf, 100_000.0, 130_000.0, inf, inf)
    for client, to in ((dave, "user2"), (erin, "user3")):
        for _ in range(5000):
            client.send(to, world.step_number, 1000)
    run(world, 2.0)
    for number in range(5):
        alice.broadcast("g", world.step_number)
        assert run(world, 2.0)[0] < 2.0
        assert count(bob, alice, "#g") == count(carol, alice, "#g") == number + 1
    assert world.broker.snapshot().waiting == 2


def test_flooders_do_not_starve_each_other() -> None:
    world, (bob, *senders) = world_of(200_000.0, *[inf] * 20)
    for sender in senders:
        for _ in range(500):
            sender.send("user1", world.step_number, 1000)
    run(world, 20.0)
    counts = sorted(count(bob, sender, "@user1") for sender in senders)
    assert sum(counts) > 3000
    # In a turn a sender fills half a queue. Before the first one has to wait, it fills a whole one.
    assert counts[-1] - counts[0] <= 2 * world.limits.high_water / 1000
