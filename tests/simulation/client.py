"""Somebody who talks, listens at a speed of their own, and notices what is missing."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import inf

RECEIVE = b"CHAT/1.0 RECEIVE "
SERVER = b"*server*"


class Ledger:
    """Who has said what to whom, and when: the step of each message of a sender to a target."""

    def __init__(self) -> None:
        self.steps: dict[tuple[int, str], list[int]] = defaultdict(list)

    def next(self, cid: int, target: str, step: int, size: int) -> bytes:
        """The data of a sender's next message to a target (`@name` or `#group`)."""
        said = self.steps[cid, target]
        said.append(step)
        return b"%d %b %d " % (cid, target.encode(), len(said) - 1) + b"x" * size


@dataclass(eq=False)
class Client:
    """One end of one connection."""

    cid: int
    ledger: Ledger
    # Octets a second that it takes, and the time until which it takes none.
    speed: float = inf
    stalled_until: float = 0.0
    # The name that the server knows it under, and the step in which it got each that it has had.
    name: str | None = None
    joined: dict[str, int] = field(default_factory=dict)
    # What it has to say and the server has not read yet, and whether that is all.
    saying: bytearray = field(default_factory=bytearray)
    ending: bool = False
    ended: bool = False
    # What its transport can take now, and how much it has taken at each time.
    budget: float = 0.0
    taken: list[tuple[float, int]] = field(default_factory=list)
    # What the adapter watches, as it was told last.
    watched_for_reading: bool = True
    watched_for_writing: bool = False
    # The last message of each sender to each target.
    heard: dict[tuple[int, str], int] = field(default_factory=dict)
    errors: list[bytes] = field(default_factory=list)
    partial: bytes = b""

    def say(self, line: str) -> None:
        self.saying += f"CHAT/1.0 {line}\n".encode()

    def send(self, name: str, step: int, size: int = 0) -> None:
        data = self.ledger.next(self.cid, f"@{name}", step, size)
        self.saying += b"CHAT/1.0 SEND %b %b\n" % (name.encode(), data)

    def broadcast(self, group: str, step: int, size: int = 0) -> None:
        data = self.ledger.next(self.cid, f"#{group}", step, size)
        self.saying += b"CHAT/1.0 BROADCAST %b %b\n" % (group.encode(), data)

    def grant(self, now: float, seconds: float) -> None:
        """Let it take more. What it does not take is not saved up."""
        if now < self.stalled_until:
            self.budget = 0.0
        elif self.speed * seconds >= 1:
            self.budget = self.speed * seconds
        else:
            self.budget = min(self.budget + self.speed * seconds, 1.0)

    def take(self, octets: bytes, now: float) -> None:
        """Take what the server has written."""
        self.budget -= len(octets)
        self.taken.append((now, len(octets)))
        *lines, self.partial = (self.partial + octets).split(b"\n")
        for line in lines:
            self._hear(line)

    def taken_since(self, since: float) -> int:
        return sum(size for time, size in self.taken if time > since)

    def _hear(self, line: bytes) -> None:
        assert line.startswith(RECEIVE), line
        sender, _, data = line.removeprefix(RECEIVE).partition(b" ")
        if sender == SERVER:
            self.errors.append(data)
            return
        cid, target, number, _ = data.split(b" ", 3)
        key = int(cid), target.decode()
        self._check(key, int(number))
        self.heard[key] = int(number)

    def _check(self, key: tuple[int, str], number: int) -> None:
        """Nothing is missing since it had the name, nothing comes twice or out of order."""
        if key in self.heard:
            assert number == self.heard[key] + 1, f"{self.cid} has a hole: {key}"
        elif number:
            # Its names never come back to it, so it has been there since one of them joined.
            missing = self.ledger.steps[key][number - 1]
            latest = max(self.joined.values()) if key[1][0] == "#" else self.joined[key[1][1:]]
            assert missing < latest, f"{self.cid} has missed the beginning: {key}"
