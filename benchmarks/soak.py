"""Everything that goes wrong on a busy day, at once and for a while, against one server process.

    python benchmarks/soak.py --seconds 60 [--server asyncio|trio|sync]

Healthy pairs, a flooded recipient and a flooded group number their messages and check order and
gaps. Meanwhile connections come and go, stop reading, read 10 octets a second, are reset, and end
in the middle of a line. First comes a warm-up of a quarter of the time; when all load is gone, the
server's memory and descriptors are taken, and at the end they have to be about the same again. The
exit status is 1 when they are not, or when anything is missing, out of order, or complained about.
"""

import argparse
import sys
import time
from functools import partial

from _clients import Client, Loop, Numbered
from _server import COMMANDS, MIB, Server, use_all_descriptors

LEAK = 4 * MIB
"""Octets by which the memory without load may differ, and a tenth."""

SMALL = 4096
"""Octets that the kernel keeps for a reader that does not read."""


BAD = 6
"""Members of the group that do not read, or hardly."""


class Load:
    """All that happens on one busy day.

    Args:
        loop: Where its clients live.
        day: A name that no other day has.
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
            raise RuntimeError("clients can't log in")
        names = [each.name for each in members] + [f"{day}-bad{each}" for each in range(BAD)]
        members[0].write(f"CHAT/1.0 GROUP {day} {' '.join(names)}\n".encode())
        # An echo that comes after it: nobody talks to the group before there is one.
        echo = Numbered(members[0], "SEND", members[0].name, 100)
        members[0].write(echo.take(1))
        if not loop.run(20, lambda: members[0].got.get(echo.key) == 1):
            raise RuntimeError("nobody can make a group")
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
        """Numbered messages that somebody healthy has to get."""
        return self._done + sum(each.count for each in self._streams)

    def end(self) -> None:
        """Have nobody say anything more, wait until all has arrived, and end everything."""
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
        """Say a little all the time."""
        if not self._over:
            sender.write(stream.take(5))
            self._loop.later(0.02, partial(self._pace, sender, stream))

    def _burst(self, sender: Client, stream: Numbered) -> None:
        """Flood for half a second of each two."""
        if not self._over:
            sender.flood(stream.take)
            self._loop.later(0.5, partial(sender.flood, None))
            self._loop.later(2.0, partial(self._burst, sender, stream))

    def _read_badly(self, number: int) -> None:
        """Log in, read nothing or nearly so for a while, then all that is there, and again."""
        if self._over:
            return
        name = f"{self._day}-bad{number}"
        client = Client(self._loop, name, buffer=SMALL, late=True)
        client.on_end = partial(self._loop.later, 1.0, partial(self._read_badly, number))
        self._loop.later(0.5, partial(client.read, number % 2 == 1, 10.0))
        self._loop.later(16.0, partial(client.read, True))
        # Those whom nobody has closed by then are healthy again.
        self._loop.later(20.0, client.close)

    def _pester(self, number: int) -> None:
        """Send to somebody who does not read, and again when told that nobody is there."""
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
        """Have somebody come and go, in one of several ways."""
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
            # A probe, or somebody who is cut off before anything is said.
            guest.close()
        elif way == 1:
            guest.write(half)
            self._loop.later(0.2, guest.reset)
        elif way == 2:
            # Reset while it is being written to.
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
        """Forget a guest, as soon as all that it has said has arrived."""
        if self._sink.got.get(stream.key, 0) == stream.count:
            self._done += stream.count
            del self._streams[stream], self._sink.got[stream.key]
        elif not self._over:
            self._loop.later(1.0, partial(self._part, stream))


def soak(server: Server, loop: Loop, day: str, seconds: float) -> int:
    """Have a busy day, and tell of it every ten seconds.

    Returns:
        How many descriptors the server has had at most.
    """
    load, start, most = Load(loop, day), time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        loop.run(min(10.0, seconds - passed))
        most = max(
            most, tell(server, loop, f"{day} {time.monotonic() - start:4.0f} s  sent {load.sent:,}")
        )
    load.end()
    idle = server.idle_descriptors
    loop.run(20, lambda: server.descriptors() <= idle)
    return max(most, tell(server, loop, f"{day} over    sent {load.sent:,}"))


def tell(server: Server, loop: Loop, what: str) -> int:
    """Print how things are.

    Returns:
        How many descriptors the server has.
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
        "lines that nobody has sent": len(tally.strange),
        "octets of memory kept": max(0, end - warm - warm // 10 - LEAK),
        "descriptors kept": max(0, opened[2] - opened[1]),
        "complaints in the log": len(server.complaints),
        "exit status": server.status,
    }
    for fault, number in faults.items():
        print(f"{fault}: {number}")
    for line in [*server.complaints[:5], *map(repr, tally.strange[:5])]:
        print(line)
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
