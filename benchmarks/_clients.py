"""Many clients in one process, on bare non-blocking sockets, that check what arrives."""

import heapq
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Final, Self

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

PIECE: Final = 65536
"""Octets that are read at once, and that a flood is made in."""
PREFIX: Final = b"CHAT/1.0 RECEIVE "


class Tally:
    """What all clients together have found."""

    def __init__(self) -> None:
        self.connects = 0
        # Numbered messages that have arrived; that have not, although a later one has; that have
        # arrived after a later one, or twice. And lines that nobody has sent.
        self.delivered = self.missing = self.disordered = 0
        self.strange: list[bytes] = []


class Loop:
    """All sockets in one selector, and timers.

    Args:
        address: Where the server listens.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.tally = Tally()
        self.selector = selectors.DefaultSelector()
        self.clients: set[Client] = set()
        self.now = time.monotonic()
        # Seconds; what arrives can't be seen sooner, however soon it is sent.
        self.longest_turn = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in list(self.clients):
            client.close()
        self.selector.close()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something called."""
        heapq.heappush(self._timers, (self.now + seconds, next(self._number), call))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let everything happen for so long at the most; return whether `until` has ended it."""
        end = time.monotonic() + seconds
        while not until():
            wait = self._timers[0][0] - time.monotonic() if self._timers else 0.05
            ready = self.selector.select(max(0.0, min(wait, 0.05)))
            self.now = time.monotonic()
            for key, events in ready:
                key.data(events)
            while self._timers and self._timers[0][0] <= self.now:
                heapq.heappop(self._timers)[2]()
            self.longest_turn = max(self.longest_turn, time.monotonic() - self.now)
            if time.monotonic() >= end:
                return until()
        return True


class Numbered:
    """Messages from one client to one user or group, each with its number.

    Args:
        client: Who sends them.
        command: SEND or BROADCAST.
        to: The user or group.
        size: Octets of the line, about.
        most: How many; None for any number.
    """

    def __init__(
        self, client: "Client", command: str, to: str, size: int, most: int | None = None
    ) -> None:
        self.key = client.name.encode(), to.encode()
        # How many have been given away to be sent, and are to be.
        self.count, self.most = 0, most
        head = f"CHAT/1.0 {command} {to} {to} ".encode()
        self._line = head + b"%d " + b"." * (size - len(head) - 10) + b"\n"
        self._piece = max(1, PIECE // size)

    def take(self, lines: int | None = None) -> bytes:
        """The next of them, by default a piece of a flood; nothing when there are no more."""
        first = self.count
        self.count += self._piece if lines is None else lines
        if self.most is not None:
            self.count = min(self.count, self.most)
        return b"".join(self._line % number for number in range(first, self.count))


class Client:
    """A connection that logs in, and then does as it is told.

    Args:
        loop: Where it lives.
        name: Its name.
        buffer: Octets that the kernel keeps of what it has not read; None for the kernel's choice.
        mss: Octets of a segment; None for what loopback has.
        late: Whether it may see any number first.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        *,
        buffer: int | None = None,
        mss: int | None = None,
        late: bool = False,
    ) -> None:
        self.name = name
        # Whether it has logged in, and how it has ended: "eof", "reset", "closed" by ourselves.
        self.ready = False
        self.ended: str | None = None
        # What to write when all is written; nothing ends it.
        self.source: Callable[[], bytes] | None = None
        # The number that is to come next of each stream.
        self.got: dict[tuple[bytes, bytes], int] = {}
        # The codes that the server has told it.
        self.notices: Counter[bytes] = Counter()
        self.on_notice: Callable[[bytes], None] | None = None
        self.on_numbered: Callable[[int], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.on_idle: Callable[[], None] | None = None
        # When anything was last written, and the seconds between two such moments, at most.
        self.wrote_at, self.longest_hold = loop.now, 0.0
        self._heard_at, self._gap = loop.now, 0.0
        self._loop = loop
        self._late = late
        self._rate: float | None = None
        self._budget, self._budget_at = 0.0, loop.now
        self._reading, self._resting = True, False
        self._outbox = memoryview(b"")
        self._rest = b""
        self._events = 0
        self._socket = socket.socket()
        if buffer is not None:
            # Before connecting, because the window is scaled for it.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if mss is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        self._socket.setblocking(False)
        self._socket.connect_ex(loop.address)
        loop.clients.add(self)
        loop.tally.connects += 1
        self.write(f"CHAT/1.0 LOGIN {name}\nCHAT/1.0 SEND {name} ready\n".encode())

    def write(self, data: bytes) -> None:
        """Have something written, after what is waiting already."""
        self._outbox = memoryview(bytes(self._outbox) + data)
        self._watch()

    def flood(self, source: Callable[[], bytes] | None) -> None:
        """Have something written all the time."""
        self.source = source
        self._watch()

    def read(self, reading: bool, rate: float | None = None) -> None:
        """Stop or go on reading, at so many octets a second; None for any number."""
        self._reading, self._rate = reading, rate
        self._budget, self._budget_at = 0.0, self._loop.now
        self._watch()

    def take_gap(self) -> float:
        """Seconds without a numbered message since the last call, at most, up to now."""
        gap = max(self._gap, self._loop.now - self._heard_at)
        self._gap, self._heard_at = 0.0, self._loop.now
        return gap

    def reset(self) -> None:
        """End the connection without a goodbye."""
        if self.ended is None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()

    def half_close(self) -> None:
        """End our half of the connection."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self, how: str = "closed") -> None:
        """End the connection."""
        if self.ended is None:
            self.ended = how
            self._watch()
            self._socket.close()
            self._loop.clients.discard(self)
            if self.on_end is not None:
                self.on_end()

    def _watch(self) -> None:
        events = 0
        if self.ended is None:
            if self._reading and not self._resting:
                events = READ
            if self._outbox or self.source is not None:
                events |= WRITE
        if events == self._events:
            return
        selector = self._loop.selector
        if not events:
            selector.unregister(self._socket)
        elif self._events:
            selector.modify(self._socket, events, self._on_ready)
        else:
            selector.register(self._socket, events, self._on_ready)
        self._events = events

    def _on_ready(self, events: int) -> None:
        try:
            if events & WRITE and self.ended is None:
                self._write()
            if events & READ and self.ended is None and self._events & READ:
                self._read()
        except BlockingIOError:
            pass
        except OSError:
            self.close("reset")

    def _write(self) -> None:
        if not self._outbox and self.source is not None:
            self._outbox = memoryview(self.source())
            if not self._outbox:
                self.source = None
        if self._outbox:
            self._outbox = self._outbox[self._socket.send(self._outbox) :]
            self.longest_hold = max(self.longest_hold, self._loop.now - self.wrote_at)
            self.wrote_at = self._loop.now
            if self.on_idle is not None and not self._outbox:
                self.on_idle()
        self._watch()

    def _read(self) -> None:
        size = PIECE
        if self._rate is not None:
            fresh = self._rate * (self._loop.now - self._budget_at)
            # At most what a tenth of a second allows, so that it reads evenly.
            self._budget = min(self._budget + fresh, max(self._rate / 10, 1.0))
            self._budget_at = self._loop.now
            size = min(size, int(self._budget))
            if not size:
                self._resting = True
                self._loop.later(max(0.05, 1 / self._rate), self._go_on)
                self._watch()
                return
        data = self._socket.recv(size)
        self._budget -= len(data)
        if data:
            self._hear(data)
        else:
            self.close("eof")

    def _go_on(self) -> None:
        self._resting = False
        self._watch()

    def _hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        got, tally, before = self.got, self._loop.tally, self._loop.tally.delivered
        for line in lines:
            parts = line.removeprefix(PREFIX).split(b" ", 3)
            if len(parts) == 4 and parts[2].isdigit():
                key, number = (parts[0], parts[1]), int(parts[2])
                expected = got.get(key, number if self._late else 0)
                if number < expected:
                    tally.disordered += 1
                    continue
                tally.missing += number - expected
                got[key] = number + 1
                tally.delivered += 1
            elif parts[:2] == [b"*server*", b"ERR"]:
                self.notices[parts[2]] += 1
                if self.on_notice is not None:
                    self.on_notice(parts[2])
            elif parts == [self.name.encode(), b"ready"]:
                self.ready = True
            else:
                tally.strange.append(line)
        if tally.delivered > before:
            self._gap = max(self._gap, self._loop.now - self._heard_at)
            self._heard_at = self._loop.now
            if self.on_numbered is not None:
                self.on_numbered(tally.delivered - before)
