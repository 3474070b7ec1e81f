"""A short run of the fuzzer over the broker, and brokers with faults that it has to find."""

import signal
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

import fuzz.broker
from chatproto import (
    Adding,
    ChatBroker,
    Counters,
    GroupChange,
    MemberLeft,
    NameRule,
    Policy,
)
from fuzz.adapter import Finding
from fuzz.broker import Failure, examine, failures
from fuzz.worlds import Say, random_world

WORLDS = 300
MESSAGE = b"CHAT/1.0 SEND bob "


class Changed(ChatBroker[int]):
    """A broker that gets something else than what the clients have sent, of the same length."""

    def receive_all(self, received: Collection[tuple[int, bytes]]) -> None:
        super().receive_all([(cid, self.changed(data)) for cid, data in received])

    def changed(self, data: bytes) -> bytes:
        raise NotImplementedError


class Forgetful(Changed):
    """It forgets the last message when there are several."""

    def changed(self, data: bytes) -> bytes:
        before, found, after = data.rpartition(b"\n" + MESSAGE)
        # The server drops what is for a reserved name.
        return before + found.replace(b"bob", b"*ob") + after


class Misguided(Changed):
    """It takes one recipient for another one."""

    def changed(self, data: bytes) -> bytes:
        return data.replace(b"\n" + MESSAGE, b"\nCHAT/1.0 SEND ann ")


class Disorderly(Changed):
    """It swaps two lines."""

    def changed(self, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        if len(lines) > 3 and lines[1].startswith(MESSAGE) and lines[2].startswith(MESSAGE):
            lines[1:3] = lines[2], lines[1]
        return b"".join(lines)


class Credulous(Changed):
    """It executes the end of a line that is too long."""

    def changed(self, data: bytes) -> bytes:
        return data.replace(b"." + MESSAGE, b"\n" + MESSAGE)


class Deceived(ChatBroker[int]):
    """It delivers under another sender's name."""

    def receive_all(self, received: Collection[tuple[int, bytes]]) -> None:
        super().receive_all(received)
        for peer in self._by_id.values():
            peer.queue[:] = [line.replace(b"RECEIVE ann ", b"RECEIVE cat ") for line in peer.queue]


class Mislabelled(ChatBroker[int]):
    """It says that a message comes from another group."""

    def receive_all(self, received: Collection[tuple[int, bytes]]) -> None:
        super().receive_all(received)
        for peer in self._by_id.values():
            peer.queue[:] = [line.replace(b"* in g ", b"* in h ") for line in peer.queue]


class Deaf(Changed):
    """It does not answer some requests."""

    def changed(self, data: bytes) -> bytes:
        return data.replace(b"*groups* list\n", b"*groups* lost\n")


class Trusting(ChatBroker[int]):
    """Everybody in a group may add others."""

    def __init__(self, *, policy: Policy, **settings: Any) -> None:
        super().__init__(policy=replace(policy, adding=Adding.MEMBERS), **settings)


class Hiding(ChatBroker[int]):
    """It takes names that nobody can see."""

    def __init__(self, *, policy: Policy, **settings: Any) -> None:
        super().__init__(policy=replace(policy, names=NameRule.ANY), **settings)


class Polyglot(Changed):
    """It takes other protocols for bad lines."""

    def changed(self, data: bytes) -> bytes:
        return data.replace(b"GET / HTTP/1.1", b"hello  there !")


class Absentminded(ChatBroker[int]):
    """It forgets some changes of groups."""

    def take_group_changes(self) -> list[GroupChange]:
        return [each for each in super().take_group_changes() if not isinstance(each, MemberLeft)]


class Unreliable(ChatBroker[int]):
    """Its fast path counts something that the general path does not."""

    def __init__(self, *, fast_path: bool, **settings: Any) -> None:
        super().__init__(fast_path=fast_path, **settings)
        self._fast = fast_path

    def snapshot(self) -> Counters:
        counters = super().snapshot()
        counters.messages += self._fast
        return counters


class Silent(ChatBroker[int]):
    """It does not tell the adapter of the last connection that is ready."""

    def take_ready(self) -> list[int]:
        return super().take_ready()[:3]

    def take_outgoing(self) -> list[tuple[int, bytes]]:
        return super().take_outgoing()[:3]


class Fragile(ChatBroker[int]):
    """It can't end."""

    def sent_all(self, sent: Iterable[tuple[int, int]]) -> list[int]:
        if self._draining:
            raise RuntimeError
        return super().sent_all(sent)


class Endless(ChatBroker[int]):
    """Its clock never comes to an end."""

    def tick(self, now: float) -> None:
        super().tick(now)
        while now:
            pass


def first_failure(make: type[ChatBroker[int]]) -> Failure | None:
    return next(failures(iter(range(3 * WORLDS)), make), None)


def test_nothing_is_wrong_in_some_hundred_worlds() -> None:
    checks: Counter[str] = Counter()
    assert list(failures(iter(range(WORLDS)), checks=checks)) == []
    assert checks["worlds"] == WORLDS
    assert checks["worlds compared to their end"] > WORLDS / 2
    # No rule is idle. Some are for a part of the worlds only.
    rules = ("required", "no gap", "settled", "counted", "alive")
    for rule in (*rules, "answered", "foreign", "groups", "labels"):
        assert checks[rule] > WORLDS / 3


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (Forgetful, {"lost", "gap", "settled"}),
        (Misguided, {"astray"}),
        (Disorderly, {"order"}),
        (Credulous, {"forged"}),
        (Deceived, {"sender"}),
        (Mislabelled, {"label"}),
        (Deaf, {"answer"}),
        (Trusting, {"added"}),
        (Hiding, {"hidden"}),
        (Polyglot, {"foreign"}),
        (Absentminded, {"changes"}),
        (Unreliable, {"paths"}),
        (Silent, {"stuck"}),
        (Fragile, {"crash (RuntimeError)"}),
    ],
)
def test_a_fault_is_found(make: type[ChatBroker[int]], kinds: set[str]) -> None:
    failure = first_failure(make)
    assert failure is not None
    assert failure.finding.kind in kinds


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_a_world_that_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz.broker, "LONGEST", 0.05)
    with pytest.raises(Finding, match="hang: a world does not end in tick"):
        examine(random_world(Random(0)), Endless)


def test_what_a_failure_does_not_need_is_left_out() -> None:
    failure = first_failure(Misguided)
    assert failure is not None
    assert len(failure.world.steps) <= 8
    # Two LOGINs and the message; each client sends one more at the end.
    assert sum(len(step.lines) for step in failure.world.steps if isinstance(step, Say)) <= 4
    text = str(failure)
    assert text.startswith(f"seed {failure.seed}: astray: ")
    assert "    b'CHAT/1.0 LOGIN ann" in text
    # What this failure does not depend on is as it is by default.
    assert "\nLimits()\n" in text
