"""A cluster to which anything may happen, in any order. `chaos.py` says what has to hold."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chatproto import Adding, DuplicateLogin, Limits, Policy
from chatproto.cluster import cluster

from .chaos import Chaos

POLICIES = [
    Policy(),
    Policy(duplicate_login=DuplicateLogin.REJECT),
    Policy(duplicate_login=DuplicateLogin.REPLACE, adding=Adding.MEMBERS),
    Policy.reference(),
]
LIMITS = [
    Limits(notice_burst=10_000),
    # Queues are soon full.
    Limits(notice_burst=10_000, high_water=300, queue_bytes=9000, max_line=512),
    # Groups give way to others.
    Limits(notice_burst=10_000, max_groups=1),
    Limits(notice_burst=10_000, max_memberships_per_address=3, max_connections_per_name=2),
]


class ClusterMachine(RuleBasedStateMachine):
    """Each rule lets the same thing happen at some node or client."""

    faults = False
    ends = False
    chaos: Chaos

    @initialize(
        seed=st.integers(0, 2**32),
        nodes=st.integers(2, 4),
        policy=st.sampled_from(POLICIES),
        limits=st.sampled_from(LIMITS),
        ask=st.booleans(),
        snapshots=st.sampled_from([3, 20, 10_000]),
    )
    def start(
        self, seed: int, nodes: int, policy: Policy, limits: Limits, ask: bool, snapshots: int
    ) -> None:
        self.before = cluster.SNAPSHOT_ENTRIES
        cluster.SNAPSHOT_ENTRIES = snapshots
        self.chaos = Chaos(
            Random(seed).randrange,
            nodes=nodes,
            faults=self.faults,
            ends=self.ends,
            policy=policy,
            limits=limits,
            ask=ask,
        )

    @rule(times=st.integers(1, 6))
    def talk(self, times: int) -> None:
        self.chaos.connect()
        for _ in range(times):
            self.chaos.talk()

    @rule(times=st.integers(1, 6))
    def exchange(self, times: int) -> None:
        for _ in range(times):
            self.chaos.append()
            self.chaos.read()
            self.chaos.write()

    @rule(times=st.integers(1, 20))
    def go_on(self, times: int) -> None:
        for _ in range(times):
            self.chaos.step()

    @rule()
    def tick(self) -> None:
        self.chaos.tick()

    @rule()
    def stop_reading(self) -> None:
        self.chaos.stop_reading()

    @precondition(lambda self: self.ends)
    @rule()
    def end(self) -> None:
        self.chaos.end_client()
        self.chaos.rename()
        self.chaos.leave()

    @precondition(lambda self: self.faults)
    @rule()
    def cut(self) -> None:
        self.chaos.cut()

    @precondition(lambda self: self.faults)
    @rule()
    def restart(self) -> None:
        self.chaos.restart()

    @precondition(lambda self: self.faults)
    @rule()
    def stand_still(self) -> None:
        self.chaos.tick_long()

    @precondition(lambda self: self.faults)
    @rule()
    def lose_tail(self) -> None:
        self.chaos.lose_tail()
        self.chaos.lose_all()
        self.chaos.trim()

    def teardown(self) -> None:
        if not hasattr(self, "chaos"):
            return
        try:
            self.chaos.settle()
            self.chaos.check_settled()
            self.chaos.check_nothing_lost()
        finally:
            cluster.SNAPSHOT_ENTRIES = self.before


class EndsMachine(ClusterMachine):
    """The same with connections that end and names that change."""

    ends = True


class FaultsMachine(EndsMachine):
    """The same with all that can go wrong between the nodes and Redis."""

    faults = True


SMALL = settings(
    max_examples=6,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestCluster = ClusterMachine.TestCase
TestEnds = EndsMachine.TestCase
TestFaults = FaultsMachine.TestCase
for case in (TestCluster, TestEnds, TestFaults):
    case.settings = SMALL
# Otherwise the last one would be collected under this name, too.
del case


@pytest.mark.parametrize("seed", range(3))
def test_long_worlds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    monkeypatch.setattr(cluster, "SNAPSHOT_ENTRIES", 10)
    chaos = Chaos(
        random.randrange,
        nodes=3,
        faults=seed == 2,
        ends=seed > 0,
        policy=POLICIES[seed],
        limits=replace(LIMITS[1], max_groups=2),
    )
    for _ in range(300):
        chaos.step()
    chaos.settle()
    chaos.check_settled()
    chaos.check_nothing_lost()
