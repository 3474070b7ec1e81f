"""Many clients in one process, on non-blocking sockets, which check what they receive."""

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
"""Bytes that a client reads at once, and that a flood writes at once."""
PREFIX: Final = b"CHAT/1.0 RECEIVE "


class Tally:
    """What all clients together have counted."""

    def __init__(self) -> None:
        self.connects = 0
        # Numbered messages: received; skipped, because a later one has arrived; received after a
        # later one, or twice. And lines that no client has sent.
        self.delivered = self.missing = self.disordered = 0
        self.strange: list[bytes] = []


class Loop:
    """The loop of all clients: one selector, and timers.

    Args:
        address: Where the server listens.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.tally = Tally()
        self.selector = selectors.DefaultSelector()
        self.clients: set[Client] = set()
        self.now = time.monotonic()
        # In seconds. What arrives meanwhile is noticed only at the next turn.
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
        """Call something after some seconds."""
        heapq.heappush(self._timers, (self.now + seconds, next(self._number), call))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Run the loop.

        Args:
            seconds: For how long at most.
            until: Asked after each turn whether to stop.

        Returns:
            Whether `until` has stopped it.
        """
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
    """Numbered messages from one client to one user or group.

    Args:
        client: The sender.
        command: SEND or BROADCAST.
        to: The user or group.
        size: The length of a line in bytes, roughly.
        most: The number of messages; None for any number.
    """

    def __init__(
        self, client: "Client", command: str, to: str, size: int, most: int | None = None
    ) -> None:
        self.key = client.name.encode(), to.encode()
        # How many have been taken, and may be taken.
        self.count, self.most = 0, most
        head = f"CHAT/1.0 {command} {to} {to} ".encode()
        self._line = head + b"%d " + b"." * (size - len(head) - 10) + b"\n"
        self._piece = max(1, PIECE // size)

    def take(self, lines: int | None = None) -> bytes:
        """The next messages, by default a piece of a flood; empty after the last one."""
        first = self.count
        self.count += self._piece if lines is None else lines
        if self.most is not None:
            self.count = min(self.count, self.most)
        return b"".join(self._line % number for number in range(first, self.count))


class Client:
    """A client that logs in at once, and then does what the benchmark says.

    Args:
        loop: The loop that it belongs to.
        name: Its name.
        buffer: The size of its receive buffer in bytes; None for the system's choice.
        mss: The size of a segment in bytes; None for that of loopback.
        late: Whether the first number that it receives may be any number.
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
        # Whether it is logged in, and how it has ended: "eof", "reset", or "closed" by the client.
        self.ready = False
        self.ended: str | None = None
        # Called for what to write next; empty when there is no more.
        self.source: Callable[[], bytes] | None = None
        # The next number of each stream.
        self.got: dict[tuple[bytes, bytes], int] = {}
        # The codes of the notices.
        self.notices: Counter[bytes] = Counter()
        self.on_notice: Callable[[bytes], None] | None = None
        self.on_numbered: Callable[[int], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.on_idle: Callable[[], None] | None = None
        # When it last wrote anything, and the longest time in seconds between two writes.
        self.wrote_at, self.longest_hold = loop.now, 0.0
        self._received_at, self._gap = loop.now, 0.0
        self._loop = loop
        self._late = late
        self._rate: float | None = None
        self._budget, self._budget_at = 0.0, loop.now
        self._reading, self._resting = True, False
        self._out = memoryview(b"")
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
        """Write something, after what is queued already."""
        self._out = memoryview(bytes(self._out) + data)
        self._watch()

    def flood(self, source: Callable[[], bytes] | None) -> None:
        """Write all the time what `source` returns; None to stop."""
        self.source = source
        self._watch()

    def read(self, reading: bool, rate: float | None = None) -> None:
        """Start or stop reading, at some bytes a second; None for no bound."""
        self._reading, self._rate = reading, rate
        self._budget, self._budget_at = 0.0, self._loop.now
        self._watch()

    def take_gap(self) -> float:
        """The longest time in seconds without a numbered message since the last call."""
        gap = max(self._gap, self._loop.now - self._received_at)
        self._gap, self._received_at = 0.0, self._loop.now
        return gap

    def reset(self) -> None:
        """Cut the connection (RST)."""
        if self.ended is None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()

    def half_close(self) -> None:
        """Write no more (FIN)."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self, how: str = "closed") -> None:
        """Close the connection."""
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
            if self._out or self.source is not None:
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
        if not self._out and self.source is not None:
            self._out = memoryview(self.source())
            if not self._out:
                self.source = None
        if self._out:
            self._out = self._out[self._socket.send(self._out) :]
            self.longest_hold = max(self.longest_hold, self._loop.now - self.wrote_at)
            self.wrote_at = self._loop.now
            if self.on_idle is not None and not self._out:
                self.on_idle()
        self._watch()

    def _read(self) -> None:
        size = PIECE
        if self._rate is not None:
            fresh = self._rate * (self._loop.now - self._budget_at)
            # At most the budget of a tenth of a second, so that it reads evenly.
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
            self._receive(data)
        else:
            self.close("eof")

    def _go_on(self) -> None:
        self._resting = False
        self._watch()

    def _receive(self, data: bytes) -> None:
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
            self._gap = max(self._gap, self._loop.now - self._received_at)
            self._received_at = self._loop.now
            if self.on_numbered is not None:
                self.on_numbered(tally.delivered - before)
