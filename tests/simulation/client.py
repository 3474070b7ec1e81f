"""A client that sends, reads at a speed of its own, and notices what is missing."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

RECEIVE = b"CHAT/1.0 RECEIVE "
SERVER = b"*server*"
GROUPS = b"*groups*"
MODERATOR = b"*mod*"

Stream: TypeAlias = tuple[int, str]
"""A sender's messages to one target (`@name` or `#group`)."""


def key_of(data: bytes) -> tuple[Stream, int]:
    """The stream and the number of a message."""
    cid, target, number, _ = data.split(b" ", 3)
    return (int(cid), target.decode()), int(number)


class Ledger:
    """The step in which each message was sent, and what the rules have made of it."""

    def __init__(self) -> None:
        self.steps: dict[Stream, list[int]] = defaultdict(list)
        # Messages that no rule lets pass; those that rules have changed, and how often.
        self.stopped: set[tuple[Stream, int]] = set()
        self.changed: Counter[tuple[Stream, int]] = Counter()

    def next(self, cid: int, target: str, step: int, size: int) -> bytes:
        """The data of a sender's next message to a target (`@name` or `#group`)."""
        steps = self.steps[cid, target]
        steps.append(step)
        return b"%d %b %d " % (cid, target.encode(), len(steps) - 1) + b"x" * size

    def change(self, stream: Stream, number: int) -> None:
        """Note that a rule has changed a message."""
        self.changed[stream, number] += 1


@dataclass(eq=False)
class Client:
    """The client's end of one connection."""

    cid: int
    ledger: Ledger
    # Bytes a second that it reads, and the time until which it reads none.
    speed: float = inf
    stalled_until: float = 0.0
    # The name that the server knows, and the step in which it got each of its names.
    name: str | None = None
    joined: dict[str, int] = field(default_factory=dict)
    # What it sends next; whether it then ends the stream, and has ended it.
    unsent: bytearray = field(default_factory=bytearray)
    ending: bool = False
    ended: bool = False
    # How many bytes it can read now, and how many it has read at each time.
    budget: float = 0.0
    taken: list[tuple[float, int]] = field(default_factory=list)
    # What the adapter waits for: that it can read from the connection, that it can write to it.
    watched_for_reading: bool = True
    watched_for_writing: bool = False
    # The number of the last message received from each sender to each target.
    received: dict[Stream, int] = field(default_factory=dict)
    # What it has received from the server itself; how much the desk has queued for it.
    errors: list[bytes] = field(default_factory=list)
    told: int = 0
    # Whether the server has last said that it gets labels, and how often it has answered.
    labelled: bool = False
    answers: int = 0
    partial: bytes = b""

    def send_line(self, line: str) -> None:
        self.unsent += f"CHAT/1.0 {line}\n".encode()

    def send(self, name: str, step: int, size: int = 0) -> None:
        data = self.ledger.next(self.cid, f"@{name}", step, size)
        self.unsent += b"CHAT/1.0 SEND %b %b\n" % (name.encode(), data)

    def broadcast(self, group: str, step: int, size: int = 0) -> None:
        data = self.ledger.next(self.cid, f"#{group}", step, size)
        self.unsent += b"CHAT/1.0 BROADCAST %b %b\n" % (group.encode(), data)

    def grant(self, now: float, seconds: float) -> None:
        """Let it read more. What it does not read now it can't read later in addition."""
        if now < self.stalled_until:
            self.budget = 0.0
        elif self.speed * seconds >= 1:
            self.budget = self.speed * seconds
        else:
            self.budget = min(self.budget + self.speed * seconds, 1.0)

    def take(self, data: bytes, now: float) -> None:
        """Read what the server has written."""
        self.budget -= len(data)
        self.taken.append((now, len(data)))
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            self._receive(line)

    def taken_since(self, since: float) -> int:
        return sum(size for time, size in self.taken if time > since)

    def _receive(self, line: bytes) -> None:
        assert line.startswith(RECEIVE), line
        sender, _, data = line.removeprefix(RECEIVE).partition(b" ")
        if sender in (SERVER, MODERATOR):
            self.errors.append(data)
            return
        if sender == GROUPS and not data.startswith(b"in "):
            self.answers += 1
            if data in (b"on", b"off"):
                self.labelled = data == b"on"
            return
        label = b""
        if sender == GROUPS:
            _, label, sender, data = data.split(b" ", 3)
        key, number = key_of(data)
        target = key[1]
        # Exactly the broadcasts have one, for exactly those who have asked. Here, all of them fit.
        assert label.decode() == (target[1:] if self.labelled and target[0] == "#" else "")
        assert (key, number) not in self.ledger.stopped, f"{self.cid} gets what no rule lets pass"
        changes = len(data) - len(data.rstrip(b"!"))
        assert changes == self.ledger.changed[key, number], f"{self.cid} gets what no rule has made"
        self._check(key, number)
        self.received[key] = number

    def _check(self, key: Stream, number: int) -> None:
        """Since it has the name, nothing is missing, and nothing comes twice or out of order."""
        before = number - 1
        while (key, before) in self.ledger.stopped:
            before -= 1
        if key in self.received:
            assert before == self.received[key], f"{self.cid} misses a message: {key}"
        elif before >= 0:
            # It never gets one of its names back. So what it misses is older than its name.
            missing = self.ledger.steps[key][before]
            latest = max(self.joined.values()) if key[1][0] == "#" else self.joined[key[1][1:]]
            assert missing < latest, f"{self.cid} misses the first messages: {key}"
