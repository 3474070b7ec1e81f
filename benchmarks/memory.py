"""How much memory a broker really takes for what it counts, while clients try to take more.

    .venv/bin/python benchmarks/run.py --only memory

Each scene has a process of its own, because a process does not give all memory back. The figure is
the growth of its resident size: as a multiple of what the broker counts as kept, or of what the
limits allow; or what stays of it when those are gone who have caused it. For Linux (`/proc`).
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from _table import Row

from chatproto import ChatBroker, Limits

PART: Final = "memory"
MOST: Final = 1.5
"""The upper bound for resident growth as a multiple of what is counted."""
MIB: Final = 1 << 20
CHUNK: Final = 1 << 16
"""Bytes that a server reads at once from one connection."""

SHORT: Final = "12345"
"""With a sender of one character, this makes a line of 25 bytes in its recipient's queue."""


class Growth(NamedTuple):
    """What a scene has led to, in bytes."""

    resident: int
    counted: int
    what: str
    """What is counted."""


class Adapter:
    """An adapter without sockets: some connections take everything, others nothing.

    Args:
        limits: The broker's.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        self.broker: ChatBroker[int] = ChatBroker(limits=limits)
        self.stuck: set[int] = set()
        """The connections that take nothing."""
        self._now = 0.0
        self.broker.tick(0.0)

    def log_in(self, cid: int, name: str) -> None:
        """Connect a client that logs in."""
        self.broker.connect(cid, "somewhere")
        self.broker.receive(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
        self.settle()

    def write(self, cid: int, lines: bytes, *, patient: bool = True) -> None:
        """Let the broker read lines, in chunks.

        Args:
            cid: Whose.
            lines: The lines.
            patient: Whether to let time pass until all of them are executed.
        """
        for at in range(0, len(lines), CHUNK):
            # A copy, as if it came from a network.
            self.broker.receive(cid, bytes(memoryview(lines)[at : at + CHUNK]))
            self.settle()
            while patient and not self.broker.next_step(cid).read:
                if self.broker.next_step(cid).close:
                    raise RuntimeError("the broker closes the connection")
                self.wait()

    def wait(self) -> None:
        """Let a moment pass, if the broker waits for one."""
        self._now += 0.0 if self.broker.busy else 0.1
        self.broker.tick(self._now)
        self.settle()

    def settle(self) -> None:
        """Write to those that take what they get."""
        broker = self.broker
        while taken := broker.take_outgoing():
            sent = [(cid, 0 if cid in self.stuck else len(data)) for cid, data in taken]
            for cid in broker.sent_all(sent):
                if cid not in self.stuck:
                    while data := broker.next_step(cid).write:
                        broker.sent(cid, len(data))
        broker.take_log_events()


def resident() -> int:
    """The resident size of this process in bytes."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def queues(part: int, lines: Callable[[int], Iterator[bytes]]) -> Growth:
    """Queues of connections that never read, filled until all of them together are full.

    Args:
        part: The part of the size to do without.
        lines: Makes what the sender writes for a number of recipients, once.
    """
    total = 32 * MIB // part
    recipients = 128 // part
    adapter = Adapter(Limits(total_queue_bytes=total, queue_age=1e9))
    adapter.log_in(0, "a")
    for cid in range(1, recipients + 1):
        adapter.log_in(cid, f"r{cid}")
        adapter.stuck.add(cid)
    members = " ".join(f"r{cid}" for cid in range(1, recipients + 1))
    adapter.write(0, f"CHAT/1.0 GROUP g a {members}\n".encode())
    piece = b"".join(lines(recipients))
    piece *= max(1, CHUNK // len(piece))
    before = resident()
    # Almost full: above the bound, whole queues go.
    while adapter.broker.snapshot().queued < total * 0.95:
        adapter.write(0, piece)
    return Growth(resident() - before, adapter.broker.snapshot().queued, "queued")


def short_lines(recipients: int) -> Iterator[bytes]:
    """A short line to each recipient."""
    for number in range(1, recipients + 1):
        yield f"CHAT/1.0 SEND r{number} {SHORT}\n".encode()


def mixed_lines(recipients: int) -> Iterator[bytes]:
    """A short line to each recipient, then one that is a little longer."""
    yield from short_lines(recipients)
    for number in range(1, recipients + 1):
        yield f"CHAT/1.0 SEND r{number} {'x' * 110}\n".encode()


def broadcasts(_recipients: int) -> Iterator[bytes]:
    """A short line to all recipients."""
    yield f"CHAT/1.0 BROADCAST g {SHORT}\n".encode()


def waiting(part: int) -> Growth:
    """Many connections that have sent much, and wait for one queue."""
    number = 3000 // part
    adapter = Adapter()
    adapter.log_in(0, "stuck")
    adapter.stuck.add(0)
    for cid in range(1, number + 1):
        adapter.log_in(cid, f"w{cid}")
    adapter.log_in(number + 1, "filler")
    adapter.write(number + 1, (b"CHAT/1.0 SEND stuck " + b"x" * 4000 + b"\n") * 17, patient=False)
    lines = b"CHAT/1.0 SEND stuck x\n" + b"CHAT/1.0 SEND nobody x\n" * 180
    before, counted = resident(), adapter.broker.snapshot().queued
    for cid in range(1, number + 1):
        adapter.write(cid, lines, patient=False)
    grown = resident() - before
    return Growth(grown, adapter.broker.snapshot().queued - counted, "queued")


def one_name(part: int) -> Growth:
    """Many connections under one name, of which one does not read, and many that write to it."""
    number = 2000 // part
    adapter = Adapter()
    for cid in range(number):
        adapter.log_in(cid, "shared")
    adapter.stuck.add(0)
    for cid in range(number, 2 * number):
        adapter.log_in(cid, f"w{cid}")
    adapter.log_in(2 * number, "filler")
    adapter.write(2 * number, (b"CHAT/1.0 SEND shared " + b"x" * 4000 + b"\n") * 17, patient=False)
    lines = b"CHAT/1.0 SEND shared x\n" + b"CHAT/1.0 SEND nobody x\n" * 40
    before, counted = resident(), adapter.broker.snapshot().queued
    for cid in range(number, 2 * number):
        adapter.write(cid, lines, patient=False)
    grown = resident() - before
    return Growth(grown, adapter.broker.snapshot().queued - counted, "queued")


def half_lines(part: int) -> Growth:
    """Lines that have no end, as long as they may be."""
    number = 10_000 // part
    limits = Limits()
    adapter = Adapter(limits)
    for cid in range(number):
        adapter.broker.connect(cid, "somewhere")
    before = resident()
    for cid in range(number):
        # In small pieces, as they might come from a network.
        for _ in range(10):
            adapter.broker.receive(cid, b"x" * (limits.max_line // 10 - 1))
    return Growth(resident() - before, number * limits.max_line, "max_line for each connection")


def groups(part: int) -> Growth:
    """Groups of many members, made by connections that are gone then."""
    number = 160 // part
    adapter = Adapter()
    before = resident()
    for maker in range(100):
        adapter.log_in(maker, f"m{maker}")
        for group in range(number):
            start = maker * number + group
            words = " ".join(f"{start * 65 + member:060}" for member in range(65))
            adapter.write(maker, f"CHAT/1.0 GROUP g{start} {words}\n".encode())
        adapter.broker.disconnect(maker)
        adapter.settle()
    return Growth(resident() - before, MIB, f"{100 * number * 65:,} members with names of 60 bytes")


def names(part: int) -> Growth:
    """Names that come and go."""
    number = 200_000 // part
    adapter = Adapter()
    adapter.log_in(0, "first")
    before = resident()
    for first in range(0, number, 1000):
        logins = (f"CHAT/1.0 LOGIN {each:060}\n" for each in range(first, first + 1000))
        adapter.write(0, "".join(logins).encode())
    return Growth(resident() - before, MIB, f"{number:,} names of 60 bytes")


class Scene(NamedTuple):
    """A scene, and how much memory it may take."""

    play: Callable[[int], Growth]
    ceiling: float = MOST
    unit: str = "of what is counted"


SCENES: Final = {
    "short lines to many who do not read": Scene(partial(queues, lines=short_lines)),
    "short and longer ones in turns": Scene(partial(queues, lines=mixed_lines)),
    "the same short line to all of them": Scene(partial(queues, lines=broadcasts)),
    "connections that wait and have sent much": Scene(waiting),
    "connections that wait for one of many with one name": Scene(one_name),
    "lines without an end": Scene(half_lines),
    "groups whose makers are gone": Scene(groups, 200.0, "MiB that stay"),
    "names that come and go": Scene(names, 20.0, "MiB that stay"),
}


def apart(name: str, part: int) -> Growth:
    """Play a scene in a process of its own."""
    command = [sys.executable, __file__, name, str(part)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    resident_size, counted, what = output.rstrip().split(" ", 2)
    return Growth(int(resident_size), int(counted), what)


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Measure all figures.

    Args:
        repeat: The number of results for each figure.
        quick: Whether to use a quarter of the size.
    """
    rows: list[Row] = []
    for name, scene in SCENES.items():
        taken = [apart(name, 4 if quick else 1) for _ in range(repeat)]
        example = taken[0]
        note = example.what
        if scene.ceiling == MOST:
            note = f"{example.counted / MIB:.1f} MiB {note}, {example.resident / MIB:.1f} resident"
        rows.append(
            Row(
                part=PART,
                name=name,
                unit=scene.unit,
                values=[each.resident / each.counted for each in taken],
                ceiling=scene.ceiling,
                note=note,
            )
        )
    return rows


if __name__ == "__main__":
    print(*SCENES[sys.argv[1]].play(int(sys.argv[2])))
