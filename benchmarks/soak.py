"""All that can go wrong on a busy day, at the same time, against one server process.

    python benchmarks/soak.py --seconds 60 [--server asyncio|trio|sync]

Pairs, a flooded recipient and a flooded group number their messages, and check that none is missing
or out of order. Meanwhile other connections come and go, stop reading, read 10 bytes a second, are
reset, and end in the middle of a line. A quarter of the time is a warm-up. Without load after it,
the memory and the descriptors of the server are counted. At the end they have to be about the same.
The exit status is 1 when they are not, when a message is missing or out of order, or when the
server has logged a problem.
"""

import argparse
import sys
import time
from functools import partial

from _clients import Client, Loop, Numbered
from _server import COMMANDS, MIB, Server, use_all_descriptors

LEAK = 4 * MIB
"""Bytes by which the memory may have grown at the end, besides a tenth of it."""

SMALL = 4096
"""The size of the receive buffer of a client that does not read, in bytes."""

BAD = 6
"""Members of the group that hardly read, or not at all."""


class Load:
    """All load of one busy day.

    Args:
        loop: The loop of its clients.
        day: The prefix of its names, which no other day has.
    """

    def __init__(self, loop: Loop, day: str) -> None:
        self._loop = loop
        self._day = day
        self._over = False
        self._visits = 0
        self._done = 0
        self._streams: dict[Numbered, list[Client]] = {}
        self._sink = self._client("sink")
        members = [self._client(f"member{number}") for number in range(20)]
        pairs = [self._client(f"pair{number}") for number in range(10)]
        flooders = [self._client(f"flooder{number}") for number in range(2)]
        healthy = [self._sink, *members, *pairs, *flooders]
        if not loop.run(20, lambda: all(each.ready for each in healthy)):
            raise RuntimeError("not all clients could log in")
        names = [each.name for each in members] + [f"{day}-bad{each}" for each in range(BAD)]
        members[0].write(f"CHAT/1.0 GROUP {day} {' '.join(names)}\n".encode())
        # Wait for a message to itself, so that the group exists before anybody sends to it.
        ping = Numbered(members[0], "SEND", members[0].name, 100)
        members[0].write(ping.take(1))
        if not loop.run(20, lambda: members[0].got.get(ping.key) == 1):
            raise RuntimeError("no group could be made")
        for sender, recipient in zip(pairs, pairs[1:] + pairs[:1], strict=True):
            self._pace(sender, self._stream(sender, "SEND", recipient.name, [recipient], 100))
        for sender in flooders:
            self._burst(sender, self._stream(sender, "SEND", self._sink.name, [self._sink], 500))
        for sender in members[:2]:
            others = [each for each in members if each is not sender]
            self._burst(sender, self._stream(sender, "BROADCAST", day, others, 500))
        for number in range(BAD):
            self._read_badly(number)
            self._pester(number)
        self._visit()

    @property
    def sent(self) -> int:
        """The numbered messages that have to arrive."""
        return self._done + sum(each.count for each in self._streams)

    def end(self) -> None:
        """Stop sending, wait until all messages have arrived, and close all connections."""
        loop = self._loop
        self._over = True
        for client in loop.clients:
            client.flood(None)
        loop.run(60, lambda: not self._absent())
        loop.tally.missing += self._absent()
        for client in list(loop.clients):
            client.close()

    def _absent(self) -> int:
        return sum(
            stream.count - each.got.get(stream.key, 0)
            for stream, recipients in self._streams.items()
            for each in recipients
        )

    def _client(self, name: str) -> Client:
        return Client(self._loop, f"{self._day}-{name}")

    def _stream(
        self, sender: Client, command: str, to: str, recipients: list[Client], size: int
    ) -> Numbered:
        stream = Numbered(sender, command, to, size)
        self._streams[stream] = recipients
        return stream

    def _pace(self, sender: Client, stream: Numbered) -> None:
        """Send a few messages, again and again."""
        if not self._over:
            sender.write(stream.take(5))
            self._loop.later(0.02, partial(self._pace, sender, stream))

    def _burst(self, sender: Client, stream: Numbered) -> None:
        """Flood for half a second, every two seconds."""
        if not self._over:
            sender.flood(stream.take)
            self._loop.later(0.5, partial(sender.flood, None))
            self._loop.later(2.0, partial(self._burst, sender, stream))

    def _read_badly(self, number: int) -> None:
        """Log in, hardly read for a while, then read all that has arrived, and start again."""
        if self._over:
            return
        name = f"{self._day}-bad{number}"
        client = Client(self._loop, name, buffer=SMALL, late=True)
        client.on_end = partial(self._loop.later, 1.0, partial(self._read_badly, number))
        self._loop.later(0.5, partial(client.read, number % 2 == 1, 10.0))
        self._loop.later(16.0, partial(client.read, True))
        # If the server has not closed it by then, it will not.
        self._loop.later(20.0, client.close)

    def _pester(self, number: int) -> None:
        """Flood a client that does not read, with a pause whenever it is offline."""
        client = self._client(f"pest{number}")
        stream = Numbered(client, "SEND", f"{self._day}-bad{number}", 500)

        def go_on() -> None:
            if not self._over:
                client.flood(stream.take)

        def rest(_code: bytes) -> None:
            if client.source is not None:
                client.flood(None)
                self._loop.later(1.0, go_on)

        client.on_notice = rest
        go_on()

    def _visit(self) -> None:
        """Connect, and disconnect in one of several ways."""
        if self._over:
            return
        self._loop.later(0.01, self._visit)
        if len(self._loop.clients) > 500:
            return
        self._visits += 1
        way = self._visits % 5
        guest = self._client(f"guest{self._visits}")
        half = f"CHAT/1.0 SEND {self._sink.name} half".encode()
        if way == 0:
            # As a health check does.
            guest.close()
        elif way == 1:
            guest.write(half)
            self._loop.later(0.2, guest.reset)
        elif way == 2:
            # While the server writes to it.
            guest.read(False)
            guest.flood(Numbered(guest, "SEND", guest.name, 500).take)
            self._loop.later(0.2, guest.reset)
        else:
            stream = self._stream(guest, "SEND", self._sink.name, [self._sink], 100)
            group = f"of-{guest.name}"
            guest.write(
                f"CHAT/1.0 GROUP {group} {guest.name}\n".encode()
                + stream.take(3)
                + f"CHAT/1.0 LEAVE {group}\n".encode()
            )
            if way == 3:
                guest.write(b"CHAT/1.0 LOGOUT\n" + half + b"\n")
            else:
                guest.write(half)
                guest.on_idle = guest.half_close
            guest.on_end = partial(self._part, stream)

    def _part(self, stream: Numbered) -> None:
        """Forget a guest when all its messages have arrived."""
        if self._sink.got.get(stream.key, 0) == stream.count:
            self._done += stream.count
            del self._streams[stream], self._sink.got[stream.key]
        elif not self._over:
            self._loop.later(1.0, partial(self._part, stream))


def soak(server: Server, loop: Loop, day: str, seconds: float) -> int:
    """Run the load of a busy day, and report every ten seconds.

    Returns:
        The largest number of descriptors of the server.
    """
    load, start, most = Load(loop, day), time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        loop.run(min(10.0, seconds - passed))
        most = max(
            most,
            report(server, loop, f"{day} {time.monotonic() - start:4.0f} s  sent {load.sent:,}"),
        )
    load.end()
    idle = server.idle_descriptors
    loop.run(20, lambda: server.descriptors() <= idle)
    return max(most, report(server, loop, f"{day} over    sent {load.sent:,}"))


def report(server: Server, loop: Loop, what: str) -> int:
    """Print a report.

    Returns:
        The number of descriptors of the server.
    """
    tally, descriptors = loop.tally, server.descriptors()
    server.read_log()
    print(
        f"{what}  delivered {tally.delivered:,}  missing {tally.missing}"
        f"  out of order {tally.disordered}  connects {tally.connects:,}"
        f"  memory {server.memory() / MIB:.1f} MiB  descriptors {descriptors}"
        f"  closed {', '.join(f'{n:,} {why}' for why, n in server.closes.items())}",
        flush=True,
    )
    return descriptors


def main() -> int:
    """Soak the server that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--server", choices=COMMANDS, default="asyncio")
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    use_all_descriptors()
    with Server(arguments.server) as server, Loop(server.address) as loop:
        start = server.memory()
        opened = [server.idle_descriptors]
        busiest = soak(server, loop, "warmup", arguments.seconds / 4)
        warm = server.memory()
        opened.append(server.descriptors())
        busiest = max(busiest, soak(server, loop, "day", arguments.seconds * 3 / 4))
        end, most = server.memory(), server.peak()
        opened += server.descriptors(), busiest
    tally = loop.tally
    figures = ", ".join(f"{each / MIB:.1f}" for each in (start, warm, end, most))
    print(f"memory at the start, after the warm-up, at the end, at most: {figures} MiB")
    print("descriptors likewise:", ", ".join(map(str, opened)))
    faults = {
        "missing": tally.missing,
        "out of order": tally.disordered,
        "lines that no client has sent": len(tally.strange),
        "bytes of memory kept": max(0, end - warm - warm // 10 - LEAK),
        "descriptors kept": max(0, opened[2] - opened[1]),
        "problems in the log": len(server.problems),
        "exit status": server.status,
    }
    for fault, number in faults.items():
        print(f"{fault}: {number}")
    for line in [*server.problems[:5], *map(repr, tally.strange[:5])]:
        print(line)
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
