"""What clients that read slowly or not at all cost the others, at full scale.

    python benchmarks/slow_readers.py [--server asyncio|trio|sync] [a b c d e f]

Each scenario has its own server process, and real sockets on loopback. Figures are printed with
their targets. The exit status is 1 when a target is missed. On loopback the system buffers
megabytes, so some scenarios run with a small buffer at the reader, and with the default one.

a. 1 GB by SEND for a reader that is slower than its sender.
b. A recipient of SENDs stops reading; others go on.
c. A member of a group of 100 stops reading while another floods it.
d. The same, with a member that reads 10 bytes a second.
e. All members of a group of 100 read, but more slowly than another one floods it.
f. 10,000 connections log in and never read, while messages go to all of them.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import Final

from _clients import Client, Loop, Numbered
from _server import COMMANDS, MIB, Server, misses, report, report_end, use_all_descriptors

from chatproto import Limits

LIMITS: Final = Limits()
SMALL: Final = 4096
"""The size of a small receive buffer in bytes."""
MSS: Final = 1400
"""The bytes of a segment on Ethernet. With those of loopback, the system buffers 2.5 MB each."""
MEMBERS: Final = 100


def report_order(loop: Loop, lost: int = 0) -> None:
    """Print how many messages were lost, or out of order.

    Args:
        loop: The loop of the clients.
        lost: Messages that are missing at the ends of streams.
    """
    tally = loop.tally
    report("messages delivered", f"{tally.delivered:,}", "more than 0", tally.delivered > 0)
    report("missing", tally.missing + lost, "0", not tally.missing + lost)
    report("out of order", tally.disordered, "0", not tally.disordered)
    report("lines that no client has sent", len(tally.strange), "0", not tally.strange)


def online(loop: Loop, clients: Iterable[Client]) -> None:
    """Wait until all clients are logged in."""
    waiting = set(clients)

    def done() -> bool:
        waiting.difference_update([each for each in waiting if each.ready])
        return not waiting

    if not loop.run(60, done):
        raise RuntimeError(f"{len(waiting)} clients can't log in")


def lost_by(clients: Iterable[Client], stream: Numbered) -> int:
    """The number of messages of a stream that have not arrived at open connections."""
    got = [each.got.get(stream.key, 0) for each in clients if each.ended is None]
    return stream.count * len(got) - sum(got)


def longest_gap(clients: Iterable[Client]) -> float:
    """The longest time in seconds that a client was without a message since the last call."""
    return max(each.take_gap() for each in clients)


def complete(clients: Iterable[Client], stream: Numbered) -> bool:
    """Whether all messages of a stream have been sent and have arrived."""
    return stream.count == stream.most and not lost_by(clients, stream)


def slow_reader(kind: str) -> None:
    """Scenario a: 1 GB by SEND for a reader that is slower than its sender."""
    total, rate, size = 10**9, 32 * MIB, 4000
    for room, buffer in (("small", SMALL), ("default", None)):
        print(f"  {room} buffer, reader takes {rate / MIB:.0f} MiB/s")
        with Server(kind) as server, Loop(server.address) as loop:
            alice, bob = Client(loop, "alice"), Client(loop, "bob", buffer=buffer)
            online(loop, [alice, bob])
            before = server.memory()
            server.forget_peak()
            bob.read(True, rate)
            stream = Numbered(alice, "SEND", "bob", size, total // size)
            alice.flood(stream.take)
            start = time.monotonic()
            arrived = loop.run(300, partial(complete, [bob], stream))
            grown = server.peak() - before
            report("seconds", f"{time.monotonic() - start:.1f}", "300", arrived)
            report("bob's connection", bob.ended or "open", "open", bob.ended is None)
            report_order(loop, lost_by([bob], stream))
            report("server's growth, MiB", f"{grown / MIB:.1f}", "< 32", grown < 32 * MIB)
        report_end(server)


class Pairs:
    """Pairs that answer each message with another one, and have a few on their way all the time."""

    def __init__(self, loop: Loop, pairs: int, window: int) -> None:
        self._loop = loop
        self._received = 0
        players: list[tuple[Client, Numbered]] = []
        for number in range(pairs):
            pair = Client(loop, f"ping{number}"), Client(loop, f"pong{number}")
            for sender, recipient in (pair, pair[::-1]):
                stream = Numbered(sender, "SEND", recipient.name, 60)
                sender.on_numbered = partial(self._answer, sender, stream)
                players.append((sender, stream))
        self.clients = [sender for sender, _ in players]
        online(loop, self.clients)
        for sender, stream in players[::2]:
            sender.write(stream.take(window))

    def _answer(self, sender: Client, stream: Numbered, received: int) -> None:
        self._received += received
        sender.write(stream.take(received))

    def rate(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Run for a while, and return the messages a second."""
        received, start = self._received, time.monotonic()
        self._loop.run(seconds, until)
        return (self._received - received) / (time.monotonic() - start)


def stalled_recipient(kind: str) -> None:
    """Scenario b: a recipient of SENDs stops reading; others go on."""
    with Server(kind) as server, Loop(server.address) as loop:
        pairs = Pairs(loop, 4, 8)
        alice, bob = Client(loop, "alice"), Client(loop, "bob", buffer=SMALL)
        online(loop, [alice, bob])
        pairs.rate(1)
        before = pairs.rate(6)
        bob.read(False)
        alice.longest_hold, alice.wrote_at = 0.0, loop.now
        alice.flood(Numbered(alice, "SEND", "bob", 1000).take)
        during = pairs.rate(40, lambda: bool(alice.notices))
        waited, share = max(alice.longest_hold, loop.now - alice.wrote_at), during / before
        alice.flood(None)
        rates = f"{before:,.0f} {during:,.0f} {pairs.rate(4):,.0f}"
        report("others' messages/s before, during, after", rates)
        report("share of what it was", f"{share:.2f}", ">= 0.80", share >= 0.8)
        slow = server.slow_since("bob") is not None
        report("bob closed with SLOW_CONSUMER", slow, "True", slow)
        report("seconds that alice had to wait", f"{waited:.1f}", "< 1", waited < 1)
        known = set(alice.notices) == {b"NO_SUCH_USER"}
        report("notices to alice", b",".join(alice.notices).decode(), "NO_SUCH_USER", known)
        bob.read(True)
        ended = loop.run(20, lambda: bob.ended is not None)
        report("bob's stream, a prefix, ends by", bob.ended, "eof or reset", ended)
        report_order(loop)
    report_end(server)


def make_group(loop: Loop, members: list[Client]) -> Numbered:
    """Make a group of some clients, and return a stream from its first member to it."""
    maker = members[0]
    online(loop, members)
    names = " ".join(each.name for each in members)
    maker.write(f"CHAT/1.0 GROUP crowd {names}\n".encode())
    return Numbered(maker, "BROADCAST", "crowd", 1000)


def flooded_group(kind: str, rate: float | None) -> None:
    """Scenarios c and d: a member of a group hardly reads, or not at all; another one floods it."""
    with Server(kind) as server, Loop(server.address) as loop:
        healthy = [Client(loop, f"m{number}") for number in range(MEMBERS - 1)]
        sick = Client(loop, "sick", buffer=SMALL)
        stream = make_group(loop, [*healthy, sick])
        flooder, readers = healthy[0], healthy[1:]
        flooder.flood(stream.take)
        loop.run(3)
        warm = loop.tally.delivered / 3
        longest_gap(readers)
        loop.longest_turn = 0.0
        sick.read(rate is not None, rate)
        start = time.monotonic()
        loop.run(40, lambda: server.slow_since("sick") is not None)
        loop.run(3)
        closed = server.slow_since("sick")
        gap = longest_gap(readers)
        flooder.flood(None)
        loop.run(20, lambda: not lost_by(readers, stream))
        report("deliveries a second before", f"{warm:,.0f}")
        report("longest gap in the deliveries of a member, s", f"{gap:.2f}", "< 1", gap < 1)
        report("of which the load's own longest turn, s", f"{loop.longest_turn:.2f}")
        took = inf if closed is None else closed - start
        report("seconds until SLOW_CONSUMER", f"{took:.1f}", "<= 21, twice the age", took <= 21)
        report("connections closed", (n := sum(server.closes.values())), "1", n == 1)
        sick.read(True)
        ended = loop.run(20, lambda: sick.ended is not None)
        report("its stream, a prefix, ends by", sick.ended, "eof or reset", ended)
        report_order(loop, lost_by(readers, stream))
    report_end(server)


def slow_group(kind: str) -> None:
    """Scenario e: all members read, but more slowly than another one floods the group."""
    for room, buffer, mss, rate, seconds in (
        ("small buffers", SMALL, None, 256 << 10, 15),
        ("small buffers", SMALL, None, 32 << 10, 15),
        ("segments as on Ethernet", None, MSS, 512 << 10, 20),
        ("default buffers", None, None, 512 << 10, 20),
        ("default buffers", None, None, 64 << 10, 100),
    ):
        print(f"  {room}, each member takes {rate >> 10} KiB/s")
        with Server(kind) as server, Loop(server.address) as loop:
            names = [f"m{each}" for each in range(MEMBERS - 1)]
            readers = [Client(loop, name, buffer=buffer, mss=mss) for name in names]
            maker = Client(loop, "maker")
            stream = make_group(loop, [maker, *readers])
            for each in readers:
                each.read(True, rate)
            stream.most = rate * seconds // 1000
            maker.flood(stream.take)
            loop.run(4 * seconds, partial(complete, readers, stream))
            server.read_log()
            closes = sum(server.closes.values())
            report("disconnected", closes, "0", not closes)
            report_order(loop, lost_by(readers, stream))
        report_end(server)


def silent_crowd(kind: str) -> None:
    """Scenario f: 10,000 connections log in and never read, while messages go to all of them."""
    crowd, size = 10_000, 500
    with Server(kind) as server, Loop(server.address) as loop:
        pairs = Pairs(loop, 1, 1)
        empty = server.memory()
        readers: list[Client] = []
        while len(readers) < crowd:
            names = [f"n{len(readers) + number}" for number in range(size)]
            burst = [Client(loop, name, buffer=SMALL, mss=MSS) for name in names]
            online(loop, burst)
            for each in burst:
                each.read(False)
            readers += burst
        idle = server.memory()
        senders = [Client(loop, f"s{number}") for number in range(crowd // size)]
        online(loop, senders)
        server.forget_peak()
        before = pairs.rate(3)
        for number, sender in enumerate(senders):
            names = [each.name for each in readers[number * size : (number + 1) * size]]
            sender.write(f"CHAT/1.0 GROUP g{number} {' '.join(names)}\n".encode())
            sender.flood(Numbered(sender, "BROADCAST", f"g{number}", 1000).take)

        def all_gone() -> bool:
            server.read_log()
            return server.too_slow() >= crowd

        longest_gap(pairs.clients)
        start = time.monotonic()
        during = pairs.rate(120, all_gone)
        took, gap = time.monotonic() - start, longest_gap(pairs.clients)
        grown, limit = server.peak() - idle, LIMITS.total_queue_bytes * 5 // 4
        report("bytes for each idle connection", f"{(idle - empty) / crowd:,.0f}")
        target = f"<= {limit / MIB:.0f}"
        report("growth while they do not read, MiB", f"{grown / MIB:.0f}", target, grown <= limit)
        report("closed with SLOW_CONSUMER", server.too_slow(), f"{crowd}", all_gone())
        report("messages/s of a pair before, meanwhile", f"{before:,.0f} {during:,.0f}")
        report("longest gap for that pair, s", f"{gap:.2f}")
        report("seconds until all are closed", f"{took:.1f}")
        for sender in senders:
            sender.flood(None)
        loop.run(3)
        report("memory afterwards, MiB", f"{server.memory() / MIB:.0f}")
        report_order(loop)
    report_end(server)


SCENARIOS: Final[dict[str, Callable[[str], None]]] = {
    "a": slow_reader,
    "b": stalled_recipient,
    "c": partial(flooded_group, rate=None),
    "d": partial(flooded_group, rate=10.0),
    "e": slow_group,
    "f": silent_crowd,
}


def main() -> int:
    """Run the scenarios that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--server", choices=COMMANDS, default="asyncio")
    parser.add_argument("scenarios", nargs="*", metavar="a-f", help="default: all")
    arguments = parser.parse_args()
    use_all_descriptors()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(unknown)}")
    for letter in arguments.scenarios or SCENARIOS:
        print(f"{letter}. {arguments.server}", flush=True)
        SCENARIOS[letter](arguments.server)
    print(f"missed: {len(misses)}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
