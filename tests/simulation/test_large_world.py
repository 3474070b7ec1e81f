"""Three hundred clients of every kind, for half a minute."""

from collections import Counter
from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from chatproto import Limits

from .client import Client
from .invariants import Invariants
from .world import World

CLIENTS = 300
STEPS = 100
# Octets a second that are enough for anybody.
SLOW = 5000
LIMITS = Limits(
    high_water=8000,
    queue_bytes=64_000,
    total_queue_bytes=10_000_000,
    drain_rate=2000,
    queue_age=4.0,
    linger=3.0,
    close_timeout=1.0,
    grace=5.0,
)


class Crowd:
    """What the clients of a world do.

    Args:
        seed: Of everything that is left to chance.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = World(LIMITS, seed=seed)
        self.watch = Invariants(self.world)
        self.names = [f"user{number}" for number in range(CLIENTS)]
        self.renames = 0
        for name in self.names:
            self.join(name)
        self.world.rest()
        self.groups = [f"group{number}" for number in range(12)]
        for number, group in enumerate(self.groups):
            members = self.random.sample(self.names, (5, 30, 100)[number % 3])
            self.world.clients[number + 1].say(f"GROUP {group} {' '.join(members)}")
        self.world.rest()

    def join(self, name: str) -> None:
        client = self.world.connect(name)
        kind = self.random.random()
        if kind < 0.3:
            client.speed = self.random.uniform(SLOW, 50_000)
        elif kind < 0.35:
            client.speed = 10.0
        elif kind < 0.4:
            client.speed = 0.0
        elif kind < 0.5:
            client.stalled_until = self.world.now + self.random.uniform(1, 10)

    def step(self) -> None:
        world, random = self.world, self.random
        talkers = [each for each in world.clients.values() if world.open(each) and each.name]
        for client in random.sample(talkers, min(len(talkers), 40)):
            self.talk(client)
        for client in random.sample(talkers, 2):
            client.ending = True
        world.reset(random.choice(list(world.clients.values())))
        while len(world.clients) < CLIENTS:
            self.join(random.choice(self.names))
        world.step()
        self.watch.check()

    def talk(self, client: Client) -> None:
        random, now = self.random, self.world.step_number
        size = random.choice((10, 100, 1000, 3000))
        what = random.random()
        if what < 0.6:
            # A few of them are everybody's friends.
            name = random.choice((self.names, self.names[:5], [client.name]))
            to = random.choice(name)
            assert to is not None
            for _ in range(random.choice((1, 5, 30))):
                client.send(to, now, size)
        elif what < 0.9:
            for _ in range(random.choice((1, 5))):
                client.broadcast(random.choice(self.groups), now, size)
        elif what < 0.93:
            self.renames += 1
            client.say(f"LOGIN renamed{self.renames}")
        elif what < 0.96:
            client.say(f"LEAVE {random.choice(self.groups)}")
        else:
            client.say("LOGOUT")


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_a_crowd(seed: int) -> None:
    crowd = Crowd(seed)
    waiting: Counter[bool] = Counter()
    for _ in range(STEPS):
        crowd.step()
        waiting[crowd.world.broker.snapshot().waiting > 0] += 1
    # It was a crowd, and who keeps taking something is not too slow.
    assert waiting[True] > STEPS / 2
    assert crowd.world.too_slow
    for client in crowd.world.too_slow:
        assert client.speed < SLOW or client.stalled_until > 0
    for client in crowd.world.clients.values():
        client.speed = inf
    crowd.world.rest()
    crowd.watch.all_is_heard()
    crowd.world.end()
