"""chatproto.server with few clients and tight limits, in any order that Hypothesis finds."""

import contextlib
from dataclasses import replace
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chatproto import (
    Broadcast,
    Command,
    DuplicateLogin,
    Group,
    Leave,
    Limits,
    Login,
    Policy,
    Send,
)

from .client import Client
from .invariants import Invariants
from .world import World

LIMITS = Limits(
    max_line=512,
    high_water=1500,
    queue_bytes=6000,
    total_queue_bytes=16000,
    drain_rate=1000,
    queue_age=3.0,
    login_timeout=5.0,
    auth_timeout=2.0,
    hook_timeout=0.6,
    linger=2.0,
    close_timeout=1.0,
    grace=2.5,
    max_groups_per_connection=2,
    notice_burst=5,
)
NAMES = ["alice", "bob", "carol", "dave"]
GROUPS = ["g0", "g1", "g2"]
# Nobody is online under the name that is added: it is never one that has left.
REQUESTS = st.sampled_from(["on", "on", "off", "list", "members g0", "add g0 zoe", "add g1 zoe"])
SPEEDS = st.sampled_from([inf, 20_000.0, 3000.0, 1500.0, 700.0, 10.0, 0.0])
# Which client, modulo how many there are.
INDICES = st.integers(0, 5)
SIZES = st.sampled_from([0, 100, 300, 400])
TIMES = st.sampled_from([1, 5, 30])
# Wake-ups of the adapter after a client has sent something.
STEPS = st.integers(0, 4)


class SmallWorld(RuleBasedStateMachine):
    """Each rule lets a client do something, or time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(LIMITS)
        self.checks = Invariants(self.world)
        self.renames = 0

    @initialize(
        rate=st.sampled_from([None, None, None, 40.0]),
        duplicate_login=st.sampled_from(DuplicateLogin),
        ask=st.sampled_from([False, False, False, True]),
        seed=st.integers(0, 3),
        hooks=st.sampled_from([(), (), (Send, Broadcast), (Login, Group, Leave)]),
        ask_hooks=st.sampled_from([(), (), (Send,), (Broadcast, Leave)]),
    )
    def begin(
        self,
        rate: float | None,
        duplicate_login: DuplicateLogin,
        ask: bool,
        seed: int,
        hooks: tuple[type[Command], ...],
        ask_hooks: tuple[type[Command], ...],
    ) -> None:
        self.world = World(
            replace(LIMITS, rate=rate),
            Policy(duplicate_login=duplicate_login),
            ask=ask,
            seed=seed,
            hooks=hooks,
            ask_hooks=ask_hooks,
        )
        self.checks = Invariants(self.world)
        for name in NAMES:
            self.world.connect(name)
        self.pass_time(1)
        self.answer(allowed=True)
        self.world.clients[1].send_line(f"GROUP g0 {' '.join(NAMES)}")
        self.pass_time(1)

    def pick(self, index: int) -> Client:
        return list(self.world.clients.values())[index % len(self.world.clients)]

    def pick_sender(self, index: int) -> Client | None:
        client = self.pick(index)
        return client if self.world.is_open(client) and client.name is not None else None

    def clients_of(self, name: str) -> list[Client]:
        """The clients whose name that is for the server, which does not end them."""
        peers = self.world.broker._by_id
        hub = self.world.broker._dispatcher.hub
        return [
            client
            for cid, client in self.world.clients.items()
            if peers[cid].close_reason is None and hub.name_of(peers[cid]) == name
        ]

    @rule(name=st.sampled_from(NAMES), speed=SPEEDS)
    def connect(self, name: str, speed: float) -> None:
        self.world.connect(name, speed=speed)

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES, to=INDICES, size=SIZES, times=TIMES, steps=STEPS)
    def send(self, index: int, to: int, size: int, times: int, steps: int) -> None:
        client = self.pick_sender(index)
        if client is not None:
            name = self.pick(to).name or "nobody"
            for _ in range(times):
                client.send(name, self.world.step_number, size)
        self.pass_time(steps)

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES, group=st.sampled_from(GROUPS), size=SIZES, times=TIMES, steps=STEPS)
    def broadcast(self, index: int, group: str, size: int, times: int, steps: int) -> None:
        client = self.pick_sender(index)
        # A member receives all broadcasts, as long as the group exists.
        if client is not None and group in self.world.broker._dispatcher.hub._groups._by_name:
            for _ in range(times):
                client.broadcast(group, self.world.step_number, size)
        self.pass_time(steps)

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES, group=st.sampled_from(GROUPS))
    def make_group(self, index: int, group: str) -> None:
        client = self.pick_sender(index)
        # A group that has ended is not made again: it would have those members again that left.
        if client is not None and not any(key[1] == f"#{group}" for key in self.world.ledger.steps):
            client.send_line(f"GROUP {group} {' '.join(NAMES)}")
        self.pass_time(1)

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES, group=st.sampled_from(GROUPS))
    def leave(self, index: int, group: str) -> None:
        client = self.pick_sender(index)
        if client is not None:
            client.send_line(f"LEAVE {group}")

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES, request=REQUESTS, times=st.sampled_from([1, 1, 20]), steps=STEPS)
    def ask_about_groups(self, index: int, request: str, times: int, steps: int) -> None:
        client = self.pick_sender(index)
        if client is not None:
            for _ in range(times):
                client.send_line(f"SEND *groups* {request}")
        self.pass_time(steps)

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES)
    def rename(self, index: int) -> None:
        client = self.pick_sender(index)
        if client is not None:
            self.renames += 1
            client.send_line(f"LOGIN renamed{self.renames}")

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES, speed=SPEEDS)
    def change_speed(self, index: int, speed: float) -> None:
        self.pick(index).speed = speed

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES, logout=st.booleans())
    def end(self, index: int, logout: bool) -> None:
        client = self.pick(index)
        if logout:
            client.send_line("LOGOUT")
        client.ending = True

    @precondition(lambda self: self.world.clients)
    @rule(index=INDICES)
    def reset(self, index: int) -> None:
        self.world.reset(self.pick(index))
        self.pass_time(0)

    @rule(name=st.sampled_from(NAMES))
    def kick(self, name: str) -> None:
        kicked = self.clients_of(name)
        assert self.world.broker.desk.kick(name, "enough") == len(kicked)
        self.pass_time(0)
        assert not self.clients_of(name)

    @rule(to=st.sampled_from([*NAMES, "#g0"]), times=st.sampled_from([1, 30]))
    def tell(self, to: str, times: int) -> None:
        desk = self.world.broker.desk
        names = [to]
        if to == "#g0":
            names = [name for each in desk.groups() if each.group == "g0" for name in each.members]
            if not names:
                return
        recipients = [client for name in names for client in self.clients_of(name)]
        for client in recipients:
            client.told += times * 100
        for _ in range(times):
            desk.tell(to, b"the server ends at noon")
        self.pass_time(1)

    @rule(what=st.sampled_from([*NAMES, "10.0.0.4/30"]))
    def ban_or_unban(self, what: str) -> None:
        desk = self.world.broker.desk
        if not desk.unban(what):
            desk.ban(what, "for now")
            self.pass_time(0)
            assert not self.clients_of(what)

    @rule(group=st.sampled_from(GROUPS), member=st.sampled_from(["zoe", *NAMES]), add=st.booleans())
    def change_members(self, group: str, member: str, add: bool) -> None:
        desk = self.world.broker.desk
        with contextlib.suppress(LookupError):
            # Those who have left do not come back: they would miss what came in between.
            if add:
                desk.add_member(group, "zoe")
            else:
                desk.remove_member(group, member)
        self.pass_time(0)

    @rule()
    def look(self) -> None:
        """The desk sees what the clients see."""
        desk = self.world.broker.desk
        assert len(desk.connections()) == len(self.world.clients)
        for user in desk.users():
            assert len(user.connections) == len(self.clients_of(user.name)) > 0
        assert all(group.members for group in desk.groups())

    @rule(allowed=st.booleans())
    def answer(self, allowed: bool) -> None:
        for question in self.world.broker.take_questions():
            assert question.cid in self.world.clients
            self.world.broker.answer(question.token, allowed=allowed)
        self.pass_time(0)

    @rule(steps=st.integers(1, 20))
    def pass_time(self, steps: int) -> None:
        self.world.flush()
        self.checks.check()
        for _ in range(steps):
            self.world.step()
            self.checks.check()

    def teardown(self) -> None:
        self.world.rules.lenient = True
        for ban in self.world.broker.desk.bans():
            self.world.broker.desk.unban(ban)
        for client in self.world.clients.values():
            client.speed = inf
        self.world.run_until_idle()
        self.checks.nothing_is_missing()
        self.checks.check()
        self.world.drain()


TestSmallWorlds = SmallWorld.TestCase
TestSmallWorlds.settings = settings(max_examples=2 * settings().max_examples)
