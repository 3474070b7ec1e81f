"""chatproto.server with 300 clients, fast and slow ones and some that stop, for many seconds."""

from collections import Counter
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproto import Broadcast, Limits, Send

from .client import Client
from .invariants import Invariants
from .world import World

CLIENTS = 300
STEPS = 60
# Bytes a second at which a client reads everything in time.
SLOW = 5000
LIMITS = Limits(
    high_water=8000,
    queue_bytes=128_000,
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
        seed: For everything that is random.
        hooked: Whether there are hooks, plain and async ones.
    """

    def __init__(self, seed: int, *, hooked: bool) -> None:
        self.random = Random(seed)
        hooks = (Send, Broadcast) if hooked else ()
        self.world = World(LIMITS, seed=seed, hooks=hooks, ask_hooks=hooks[:1])
        self.checks = Invariants(self.world)
        self.names = [f"user{number}" for number in range(CLIENTS)]
        self.renames = 0
        for name in self.names:
            self.join(name)
        self.world.run_until_idle()
        self.groups = [f"group{number}" for number in range(12)]
        for number, group in enumerate(self.groups):
            members = self.random.sample(self.names, (5, 30, 100)[number % 3])
            self.world.clients[number + 1].send_line(f"GROUP {group} {' '.join(members)}")
        self.world.run_until_idle()

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
        senders = [each for each in world.clients.values() if world.is_open(each) and each.name]
        for client in random.sample(senders, min(len(senders), 40)):
            self.send(client)
        for client in random.sample(senders, 2):
            client.ending = True
        world.reset(random.choice(list(world.clients.values())))
        while len(world.clients) < CLIENTS:
            self.join(random.choice(self.names))
        world.step()
        self.checks.check()

    def send(self, client: Client) -> None:
        random, now = self.random, self.world.step_number
        size = random.choice((10, 100, 1000, 3000))
        kind = random.random()
        if kind < 0.6:
            # A few names receive much.
            names = random.choice((self.names, self.names[:5], [client.name]))
            to = random.choice(names)
            assert to is not None
            for _ in range(random.choice((1, 5, 30))):
                client.send(to, now, size)
        elif kind < 0.9:
            for _ in range(random.choice((1, 5))):
                client.broadcast(random.choice(self.groups), now, size)
        elif kind < 0.93:
            self.renames += 1
            client.send_line(f"LOGIN renamed{self.renames}")
        elif kind < 0.96:
            client.send_line(f"LEAVE {random.choice(self.groups)}")
        elif kind < 0.98:
            client.send_line(f"SEND *groups* {random.choice(('on', 'on', 'off', 'list'))}")
        else:
            client.send_line("LOGOUT")


@pytest.mark.parametrize("hooked", [False, True])
@settings(max_examples=1, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_a_crowd(seed: int, hooked: bool) -> None:
    crowd = Crowd(seed, hooked=hooked)
    waiting: Counter[bool] = Counter()
    for _ in range(STEPS):
        crowd.step()
        waiting[crowd.world.broker.snapshot().waiting > 0] += 1
    # Many had to wait, fewer if hooks stop messages and end senders. Only clients that are slow or
    # stop were closed as too slow.
    assert waiting[True] > STEPS / (10 if hooked else 2)
    assert crowd.world.too_slow
    for client in crowd.world.too_slow:
        assert client.speed < SLOW or client.stalled_until > 0
    for client in crowd.world.clients.values():
        client.speed = inf
    crowd.world.rules.lenient = True
    crowd.world.run_until_idle()
    crowd.checks.nothing_is_missing()
    crowd.world.drain()
