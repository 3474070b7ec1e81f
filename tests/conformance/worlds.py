"""Servers in memory, and what plays transcripts against them, with a clock that jumps."""

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from chatproto import Adding, ChatBroker, DuplicateLogin, Limits, NameRule, Policy
from chatproto.conformance import (
    Check,
    Close,
    Connect,
    EndWriting,
    Pause,
    Play,
    Reset,
    Suite,
    Write,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "": {},
    "default": {},
    "share": {},
    "reference": {"policy": Policy.reference(), "limits": Limits(bad_lines=1_000_000)},
    "silent": {"notices": False},
    "reject": {"policy": Policy(duplicate_login=DuplicateLogin.REJECT)},
    "replace": {"policy": Policy(duplicate_login=DuplicateLogin.REPLACE)},
    "members": {"policy": Policy(adding=Adding.MEMBERS)},
    "nobody": {"policy": Policy(adding=Adding.NOBODY)},
    "distinct": {"policy": Policy(names=NameRule.DISTINCT)},
}
"""What makes a server that a transcript is for: the parameters of a broker or a server."""


class World(Protocol):
    """A server in memory."""

    def connect(self, client: str) -> None: ...
    def write(self, client: str, data: bytes) -> None: ...
    def end(self, client: str) -> None: ...
    def reset(self, client: str) -> None: ...
    def pause(self, client: str) -> None: ...
    def take(self, now: float) -> list[tuple[str, bytes | None]]:
        """What clients receive now; None for the end of a connection."""
        ...


class BrokerWorld:
    """A broker without a transport."""

    def __init__(self, broker: ChatBroker[str] | None = None, **parameters: Any) -> None:
        self.broker = broker or ChatBroker[str](**parameters)
        self.broker.tick(0.0)
        self._paused: set[str] = set()
        self._kept: dict[str, deque[bytes]] = {}
        self._connected: dict[str, None] = {}

    def connect(self, client: str) -> None:
        self._connected[client] = None
        self._kept[client] = deque()
        self.broker.connect(client, "memory")

    def write(self, client: str, data: bytes) -> None:
        # In pieces as a socket gives them, so that flow control has its say.
        self._kept[client] += (data[at : at + 65536] for at in range(0, len(data), 65536))

    def end(self, client: str) -> None:
        self._kept[client].append(b"")

    def reset(self, client: str) -> None:
        self._connected.pop(client, None)
        self.broker.disconnect(client)

    def pause(self, client: str) -> None:
        self._paused.add(client)

    def take(self, now: float) -> list[tuple[str, bytes | None]]:
        taken: list[tuple[str, bytes | None]] = []
        self.broker.tick(now)
        while self._receive() or self.broker.busy:
            self._send(taken)
            self.broker.tick(now)
        self._send(taken)
        return taken

    def _receive(self) -> bool:
        """Give the broker a piece of what each client has written. Whether there was one."""
        found = False
        for client in list(self._connected):
            if self._kept[client] and self.broker.next_step(client).read:
                found = True
                if data := self._kept[client].popleft():
                    self.broker.receive(client, data)
                else:
                    self.broker.receive_eof(client)
        return found

    def _send(self, taken: list[tuple[str, bytes | None]]) -> None:
        while ready := [each for each in self.broker.take_ready() if each in self._connected]:
            for client in ready:
                step = self.broker.next_step(client)
                if step.write and client not in self._paused:
                    taken.append((client, bytes(step.write)))
                    self.broker.sent(client, len(step.write))
                    step = self.broker.next_step(client)
                if step.half_close:
                    self.broker.half_closed(client)
                    # Each client ends its half when the server does.
                    self.broker.receive_eof(client)
                    step = self.broker.next_step(client)
                if step.close:
                    self.broker.disconnect(client)
                    self._connected.pop(client, None)
                    taken.append((client, None))


def play_in(world: World, play: Play) -> list[str]:
    """Play a transcript against a server in memory, until there is a verdict.

    Returns:
        The clients that have connected.
    """
    now = 0.0
    clients: list[str] = []
    while True:
        for action in play.advance(now):
            match action:
                case Connect(client):
                    clients.append(client)
                    world.connect(client)
                case Write(client, data):
                    world.write(client, data)
                case EndWriting(client):
                    world.end(client)
                case Reset(client):
                    world.reset(client)
                case Pause(client):
                    world.pause(client)
                case Close(client):
                    raise AssertionError(client)
        if play.verdict is not None:
            return clients
        received = world.take(now)
        for client, arrived in received:
            if arrived is None:
                play.ended(client)
            else:
                play.received(client, arrived)
        if not received:
            assert play.deadline is not None
            now = min(now + 0.05, play.deadline)


def check_in(start: Callable[[], World], suite: Suite, seed: int = 0) -> Check:
    """Check servers in memory.

    Args:
        start: Returns the server for a transcript: always the same one, or each time a new one.
        suite: The transcripts.
        seed: Makes names unique.
    """
    check = Check(suite, seed)
    for number in count(seed):
        if (play := check.next_play()) is None:
            break
        apart = _Apart(start(), number)
        play_in(apart, play)
        apart.leave()
        check.finish(play)
    return check


class _Apart:
    """A server in memory whose clients have other ids than those of other plays."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._end = f" {number}"
        self._clients: dict[str, None] = {}

    def connect(self, client: str) -> None:
        self._clients[client + self._end] = None
        self._world.connect(client + self._end)

    def write(self, client: str, data: bytes) -> None:
        self._world.write(client + self._end, data)

    def end(self, client: str) -> None:
        self._world.end(client + self._end)

    def reset(self, client: str) -> None:
        self._world.reset(client + self._end)

    def pause(self, client: str) -> None:
        self._world.pause(client + self._end)

    def take(self, now: float) -> list[tuple[str, bytes | None]]:
        return [
            (client.removesuffix(self._end), data)
            for client, data in self._world.take(now)
            if client.endswith(self._end)
        ]

    def leave(self) -> None:
        """End what is left of the clients' connections."""
        for client in self._clients:
            self._world.reset(client)
