"""Clients of a cluster that number their messages, and judge what has become of each.

A message is known by the connection that has sent it and by its number there. So each recipient can
tell whether one is missing, comes twice, or comes too late. A message may be missing if its sender
was told that it was refused, or if the recipient had no connection for a while.
"""

import errno
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Final

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE
SERIALS: Final = count(1)
"""Numbers the connections."""
TICK: Final = 0.02
"""Seconds between two rounds in which streams send."""
RETRY: Final = 0.3
"""Seconds until a client connects again."""
STUBBORN: Final = 5.0
"""Seconds that a client waits for an answer to its LOGIN, before it connects again."""
WINDOW: Final = 400
"""Most messages of a flood that have not arrived."""
BURST: Final = 40
"""Messages that a flood sends at once."""
LATE: Final = 5.0
"""Seconds that a notice may come after everything else."""
PREFIX: Final = b"CHAT/1.0 RECEIVE "


@dataclass(slots=True)
class Totals:
    """What has become of messages. A broadcast counts once for each recipient."""

    sent: int = 0
    """Messages sent, once each."""
    delivered: int = 0
    """Messages that have arrived."""
    refused: int = 0
    """Notices that a message was refused."""
    cut: int = 0
    """Messages that are missing where the recipient had no connection for a while."""
    untold: int = 0
    """Those of these in pairs that do not flood for which there was no notice either."""
    missing: int = 0
    """Messages that are missing, and nobody was told."""
    misordered: int = 0
    """Messages that came after later ones."""
    doubled: int = 0
    """Messages that came twice."""
    contradicted: int = 0
    """Notices that a message was refused which has arrived, and whose recipient is still there."""
    closed: int = 0
    """Connections that a server has closed, or that were lost."""
    codes: Counter[str] = field(default_factory=Counter)
    """The refusals by code."""

    def since(self, before: "Totals") -> "Totals":
        """What has happened since then."""
        return Totals(
            self.sent - before.sent,
            self.delivered - before.delivered,
            self.refused - before.refused,
            self.cut - before.cut,
            self.untold - before.untold,
            self.missing - before.missing,
            self.misordered - before.misordered,
            self.doubled - before.doubled,
            self.contradicted - before.contradicted,
            self.closed - before.closed,
            self.codes - before.codes,
        )

    @property
    def is_good(self) -> bool:
        """Whether nothing is missing, late or double, and no notice was wrong."""
        return not (self.missing or self.misordered or self.doubled or self.contradicted)


class Connection:
    """One connection of a client, from the connect to its end."""

    def __init__(self, sock: socket.socket) -> None:
        self.serial = next(SERIALS)
        self.socket = sock
        self.is_logged_in = False
        self.since = time.monotonic()
        self.sent = 0
        """Numbered messages."""
        self.refused = 0
        """Notices about these."""
        self.out = bytearray()
        self.rest = b""


class Client:
    """A client that connects and logs in again whenever its connection ends.

    Args:
        loop: What runs it.
        name: Its name.
        address: Its server.
    """

    def __init__(self, loop: "Loop", name: str, address: tuple[str, int]) -> None:
        self.name = name
        self.address = address
        self.connection: Connection | None = None
        self.lines: list[bytes] = []
        """What else it has received; for tests that ask something."""
        self._loop = loop
        self._next = 0.0
        loop.clients.append(self)

    @property
    def ready(self) -> Connection | None:
        """Its connection, if it is logged in."""
        connection = self.connection
        return connection if connection is not None and connection.is_logged_in else None

    def tick(self, now: float) -> None:
        """Connect, if there is no connection and it is time."""
        connection = self.connection
        if connection is None:
            if now >= self._next:
                self._connect()
        elif not connection.is_logged_in and now > connection.since + STUBBORN:
            self.close()

    def write(self, data: bytes) -> None:
        """Write lines, if there is a connection."""
        connection = self.connection
        if connection is not None:
            connection.out += data
            self._flush(connection)

    def close(self, *, lost: bool = False) -> None:
        """Close the connection. The next one comes later."""
        connection = self.connection
        if connection is None:
            return
        self._loop.totals.closed += lost and connection.is_logged_in
        self._loop.selector.unregister(connection.socket)
        connection.socket.close()
        self.connection = None
        self._next = time.monotonic() + RETRY

    def handle(self, events: int) -> None:
        """Read and write what is possible."""
        connection = self.connection
        if connection is None:
            return
        try:
            if events & READ:
                data = connection.socket.recv(1 << 18)
                if not data:
                    self.close(lost=True)
                    return
                *lines, connection.rest = (connection.rest + data).split(b"\n")
                for line in lines:
                    self._receive(connection, line)
        except BlockingIOError:
            pass
        except OSError:
            self.close(lost=True)
        if self.connection is connection and events & WRITE:
            self._flush(connection)

    def _connect(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sock.connect_ex(self.address) not in (0, errno.EINPROGRESS):
            sock.close()
            self._next = time.monotonic() + RETRY
            return
        connection = Connection(sock)
        self.connection = connection
        self._loop.selector.register(sock, READ | WRITE, self)
        # What it sends to itself comes back when the LOGIN was executed.
        connection.out += b"CHAT/1.0 LOGIN %b\nCHAT/1.0 SEND %b hello %d\n" % (
            self.name.encode(),
            self.name.encode(),
            connection.serial,
        )

    def _flush(self, connection: Connection) -> None:
        try:
            if connection.out:
                del connection.out[: connection.socket.send(connection.out)]
        except BlockingIOError:
            pass
        except OSError:
            self.close(lost=True)
            return
        self._loop.selector.modify(
            connection.socket, READ | WRITE if connection.out else READ, self
        )

    def _receive(self, connection: Connection, line: bytes) -> None:
        sender, _, data = line.removeprefix(PREFIX).partition(b" ")
        if sender == b"*server*":
            self._receive_notice(connection, data)
        elif sender == self.name.encode() and data == b"hello %d" % connection.serial:
            connection.is_logged_in = True
        elif data.startswith(b"#"):
            self._loop.receive(self, connection, data)
        else:
            self.lines.append(line)

    def _receive_notice(self, connection: Connection, data: bytes) -> None:
        code, _, text = data.removeprefix(b"ERR ").decode().partition(" ")
        self._loop.totals.codes[code] += 1
        if not connection.is_logged_in:
            # The LOGIN was refused. Another connection tries again.
            self.close()
        elif text.startswith(("SEND ", "BROADCAST ")):
            connection.refused += 1
            self._loop.totals.refused += 1


class Stream:
    """Numbered messages of one client.

    Args:
        sender: The client. It has no other stream.
        command: `SEND` or `BROADCAST`.
        to: A name or a group.
        recipients: Who gets them.
        rate: Messages a second; 0 for a flood.
        size: Bytes of data that each has at least.
    """

    def __init__(
        self,
        sender: Client,
        command: str,
        to: str,
        recipients: Sequence[Client],
        rate: float,
        size: int = 0,
    ) -> None:
        self.sender = sender
        self.recipients = recipients
        self.is_flood = rate == 0
        self.is_broadcast = command == "BROADCAST"
        self._head = f"CHAT/1.0 {command} {to} ".encode()
        self._size = size
        self._interval = 0.0 if self.is_flood else 1 / rate
        self._next = 0.0

    def tick(self, now: float, loop: "Loop") -> None:
        """Send what is due."""
        connection = self.sender.ready
        if connection is None or len(connection.out) > 1 << 16:
            return
        if self.is_flood:
            if not loop.is_whole(self, WINDOW) and now < self._next:
                return
            # One more a second even if the window is full: the last ones may have been refused.
            number = BURST if loop.is_whole(self, WINDOW) else 1
            self._next = now + 1.0
        elif now < self._next:
            return
        else:
            number = 1
            self._next = max(self._next + self._interval, now - self._interval)
        self.send(number, loop)

    def send(self, number: int, loop: "Loop") -> None:
        """Send the next messages, if the sender is logged in."""
        connection = self.sender.ready
        if connection is None:
            return
        first = connection.sent + 1
        connection.sent += number
        loop.totals.sent += number
        loop.streams_of[connection.serial] = connection, self
        self.sender.write(
            b"".join(
                self._head
                + (b"#%d %d " % (connection.serial, each)).ljust(self._size, b".")
                + b"\n"
                for each in range(first, first + number)
            )
        )


@dataclass(slots=True)
class Track:
    """What a recipient has got of the messages of one connection."""

    last: int = 0
    """The highest number."""
    at: float = 0.0
    """When that was."""
    serial: int = 0
    """The recipient's connection then."""
    is_broken: bool = False
    """Whether the recipient has had another connection since the first message."""
    holes: dict[int, bool] = field(default_factory=dict)
    """The numbers that have not arrived; whether the recipient was connected all that time."""


class Loop:
    """Runs all clients, on one thread.

    Args:
        random: Decides.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.selector = selectors.DefaultSelector()
        self.clients: list[Client] = []
        self.streams: list[Stream] = []
        self.streams_of: dict[int, tuple[Connection, Stream]] = {}
        """By the number of a connection, that, and what it sends."""
        self.totals = Totals()
        self.longest = 0.0
        """The longest time in which a stream between two connections has brought nothing."""
        self.is_sending = False
        self.keep: Callable[[], None] = lambda: None
        """Called in each round."""
        self._tracks: dict[tuple[int, str], Track] = {}
        self._resumed = 0.0

    def run(self, seconds: float) -> None:
        """Run all for some time."""
        end = time.monotonic() + seconds
        self.run_until(lambda: time.monotonic() >= end, seconds + 1)

    def run_until(self, done: Callable[[], bool], timeout: float) -> bool:
        """Run all until something is true. Returns whether it is."""
        end = time.monotonic() + timeout
        tick = 0.0
        while not done():
            now = time.monotonic()
            if now >= end:
                return False
            if now >= tick:
                tick = now + TICK
                self.keep()
                for client in self.clients:
                    client.tick(now)
                if self.is_sending:
                    for stream in self.streams:
                        stream.tick(now, self)
            for key, events in self.selector.select(TICK):
                key.data.handle(events)
        return True

    def resume(self) -> None:
        """Let the streams send."""
        self.is_sending = True
        self.longest = 0.0
        self._resumed = time.monotonic()

    def receive(self, client: Client, connection: Connection, data: bytes) -> None:
        """Note that a numbered message has arrived."""
        words = data[1:].split(b" ", 2)
        serial, number, now = int(words[0]), int(words[1]), time.monotonic()
        self.totals.delivered += 1
        track = self._tracks.get((serial, client.name))
        if track is None:
            # A client that has got nothing yet may have logged in since then.
            track = self._tracks[serial, client.name] = Track(at=now)
            if self.streams_of[serial][1].is_broadcast:
                # Nobody tells the sender of members who are offline.
                track.last, track.serial = number - 1, connection.serial
        if number <= track.last:
            if track.holes.pop(number, None) is None:
                self.totals.doubled += 1
            else:
                self.totals.misordered += 1
            return
        same = track.serial == connection.serial
        track.is_broken |= not same and track.serial != 0
        if number > track.last + 1:
            track.holes.update(dict.fromkeys(range(track.last + 1, number), same))
        if same and self.is_sending:
            self.longest = max(self.longest, now - max(track.at, self._resumed))
        track.last, track.at, track.serial = number, now, connection.serial

    def is_whole(self, stream: Stream, window: int = 0) -> bool:
        """Whether the last messages of a stream have arrived at all who are connected."""
        connection = stream.sender.ready
        if connection is None:
            return False
        for each in stream.recipients:
            track = self._tracks.get((connection.serial, each.name))
            last = 0 if track is None else track.last
            if each.ready is None or last < connection.sent - window:
                return False
        return True

    def settle(self, timeout: float) -> list[str]:
        """Stop sending, and wait until the last message of each stream has arrived.

        Returns:
            The streams in which it has not.
        """
        self.is_sending = False
        end = time.monotonic() + timeout
        while not self._all_whole() and time.monotonic() < end:
            # The last ones may have been refused, so send another one.
            for stream in self.streams:
                if not self.is_whole(stream):
                    stream.send(1, self)
            self.run_until(self._all_whole, 0.5)
        # A notice may come late.
        self.run_until(self._all_told, max(end - time.monotonic(), LATE))
        return [
            f"{stream.sender.name} to {', '.join(each.name for each in stream.recipients)}"
            for stream in self.streams
            if not self.is_whole(stream)
        ]

    def _all_whole(self) -> bool:
        return all(map(self.is_whole, self.streams))

    def _all_told(self) -> bool:
        self.judge()
        return not self.totals.missing

    def judge(self) -> None:
        """Count what is missing of all that was sent."""
        missing = cut = untold = contradicted = 0
        for (serial, _), track in self._tracks.items():
            connection, stream = self.streams_of[serial]
            within = sum(track.holes.values())
            cut += len(track.holes) - within
            # The server tells of a number of refusals a second at most, so of fewer in a flood.
            if not (stream.is_flood and connection.refused):
                missing += max(0, within - connection.refused)
            if stream.is_broadcast:
                continue
            if not stream.is_flood:
                untold += max(0, len(track.holes) - max(within, connection.refused))
            [recipient] = stream.recipients
            now = 0 if recipient.connection is None else recipient.connection.serial
            # If its node has ended, the last messages may have arrived although nobody knows that.
            if not track.is_broken and now == track.serial:
                # The last messages of a connection that has ended may have been refused too.
                gone = len(track.holes) + connection.sent - track.last
                contradicted += max(0, connection.refused - gone)
        totals = self.totals
        totals.missing, totals.cut, totals.untold = missing, cut, untold
        totals.contradicted = contradicted
