"""The longest piece of work that hostile clients can cause, and how long another user's ping takes.

    .venv/bin/python benchmarks/run.py --only pieces

Each kind of hostile load runs twice. In this process, on a broker: the longest single call, in CPU
time. And against `chatproto serve` on asyncio with default settings, over loopback, from a process
of its own: how long the server runs until it answers the ping of a user who has nothing to do with
it. Neither depends on other work on the machine. The number of attackers is 1, 128 (as many as the
server reads from in one round) and 1,000. For Linux (`/proc`).
"""

import contextlib
import gc
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

from _server import Server, use_all_descriptors
from _table import Row

from chatproto import ChatBroker, GroupMade, Limits

T = TypeVar("T")

PART: Final = "pieces"
NUMBERS: Final = (1, 128, 1000)
"""How many attackers there are."""
ONE: Final = 10.0
"""The upper bound for a piece of work in milliseconds, with one attacker."""
MANY: Final = 20.0
"""The same with more."""
PING: Final = 100.0
"""The upper bound for the 99th percentile of pings in milliseconds."""
PATIENCE: Final = 10.0
"""Seconds after which nobody waits for a ping any more."""

CHUNK: Final = 1 << 16
"""Bytes that a server reads at once from one connection."""
BATCH: Final = 128
"""Connections that it reads from in one round."""
WRITES: Final = 512
"""Connections that it writes to before it looks for new input."""
CROWD: Final = 9000
"""Connections under one name."""
MEMBERS: Final = 5000
"""Members of a large group."""
TALKERS: Final = 200
"""Members of a group in which everybody broadcasts."""
CYCLE: Final = 1.0
"""Seconds after which a connection that does not read gives way to the next one."""
RESERVE: Final = 300
"""Descriptors that are for everything else."""
LONG: Final = 1 << 16
"""The longest line where the line that makes a group names many members."""


def chunk_of(lines: bytes) -> bytes:
    """Lines again and again, as many as are read at once."""
    return lines * (CHUNK // len(lines))


LEAVE: Final = b"CHAT/1.0 LEAVE nowhere\n"
"""A valid line, so that bad ones before it are not too many in a row."""
EMPTY: Final = chunk_of(b"\n")
EMPTY_AND_LEAVE: Final = chunk_of(b"\n" * 90 + LEAVE)
LEAVES: Final = chunk_of(LEAVE)
NOBODY: Final = chunk_of(b"CHAT/1.0 SEND nobody x\n")
GROUPS: Final = chunk_of((b"CHAT/1.0 GROUP g" + b" aa" * 1300 + b" *a\n") * 15 + LEAVE)
EXISTING: Final = chunk_of(b"CHAT/1.0 GROUP h" + b" aa" * 1300 + b"\n")
LONG_LINES: Final = chunk_of(b"CHAT/1.0 SEND *x " + b"x" * 4000 + b"\n")
TOO_LONG: Final = chunk_of((b"x" * 4099 + b"\n") * 15 + LEAVE)
RENAMES: Final = chunk_of(b"CHAT/1.0 LOGIN attacker-%b\nCHAT/1.0 LOGIN attacker+%b\n")
HELD: Final = b"CHAT/1.0 SEND stuck x\n"
BEHIND: Final = HELD + LEAVES[: -2 * len(HELD)].rpartition(b"\n")[0] + b"\n"
"""A message that is held back, and short valid lines behind it."""
FILL: Final = b"CHAT/1.0 SEND stuck " + b"x" * 4000 + b"\n"
TO_CROWD: Final = chunk_of(b"CHAT/1.0 SEND crowd x\n")
TO_GROUP: Final = chunk_of(b"CHAT/1.0 BROADCAST g x\n")

REQUESTS: Final = {
    "asking which groups it is in, of 100,000": chunk_of(b"CHAT/1.0 SEND *groups* list\n"),
    "asking who is in a group of 5,000": chunk_of(b"CHAT/1.0 SEND *groups* members big\n"),
}
"""Requests that take long to answer, as long as there are as many groups and members as there may
be."""

FLOODS: Final = {
    "empty lines": EMPTY,
    "empty lines, a LEAVE among them": EMPTY_AND_LEAVE,
    "LEAVE of an unknown group": LEAVES,
    "SEND to nobody": NOBODY,
    "GROUP of 1,300, the last one reserved": GROUPS,
    "GROUP of 1,300 that exists": EXISTING,
    "long lines to the server": LONG_LINES,
    "lines that are too long": TOO_LONG,
    "LOGIN under another name": RENAMES,
}
"""What each attacker writes again and again."""


def name_of(number: int) -> str:
    """The name of an attacker."""
    return f"attacker{number}"


def own(lines: bytes, number: int) -> bytes:
    """What one attacker writes: its names are its own."""
    return lines.replace(b"%b", b"%d" % number)


# In this process


class Adapter:
    """An adapter without sockets, which notes how long the broker works without a break.

    Args:
        limits: The broker's.
        ask: Whether the broker asks about each LOGIN.
        groups: The groups that there are.
    """

    def __init__(
        self, limits: Limits = Limits(), *, ask: bool = False, groups: Iterable[GroupMade] = ()
    ) -> None:
        self.broker: ChatBroker[int] = ChatBroker(limits=limits, ask=ask, groups=groups)
        self.longest = 0.0
        """The longest call in milliseconds of CPU time."""
        self.stuck: set[int] = set()
        """The connections that take nothing."""
        self._input: dict[int, deque[bytes]] = {}
        self._now = 0.0
        self.timed(partial(self.broker.tick, 0.0))

    def timed(self, call: Callable[[], T]) -> T:
        """Call the broker."""
        start = time.thread_time()
        result = call()
        self.longest = max(self.longest, (time.thread_time() - start) * 1000)
        return result

    def connect(self, cid: int) -> None:
        """Take on a connection."""
        self.broker.connect(cid, "somewhere")
        self._input[cid] = deque()

    def log_in(self, names: Sequence[str]) -> None:
        """Connect clients that log in under these names, with ids from 0 on."""
        for cid, name in enumerate(names):
            self.connect(cid)
            self.write(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
        self.run()

    def write(self, cid: int, *chunks: bytes) -> None:
        """Let a client write. The broker gets each chunk in one piece, when it wants to."""
        self._input[cid] += chunks

    def run(self, seconds: float = 60.0) -> None:
        """Run until there is nothing more to do, or for some seconds."""
        end = time.monotonic() + seconds
        busy = True
        while busy and time.monotonic() < end:
            busy = self._round()

    def wait(self, seconds: float) -> None:
        """Let time pass, with ten ticks a second."""
        end = self._now + seconds
        while self._now < end:
            self._now += 0.1
            self.timed(partial(self.broker.tick, self._now))
            self._settle()

    def close(self, cid: int) -> None:
        """Let a client disappear."""
        self.timed(partial(self.broker.disconnect, cid))
        del self._input[cid]

    def _round(self) -> bool:
        """One round: tick, read, write.

        Returns:
            Whether there is anything left to do.
        """
        broker = self.broker
        if broker.busy:
            self.timed(partial(broker.tick, self._now))
        received: list[tuple[int, bytes]] = []
        for cid, chunks in self._input.items():
            if len(received) == BATCH:
                break
            if chunks and broker.next_step(cid).read:
                received.append((cid, chunks.popleft()))
        # The others come first next time.
        for cid, _ in received:
            self._input[cid] = self._input.pop(cid)
        if received:
            self.timed(partial(broker.receive_all, received))
        self._settle()
        return bool(received) or broker.busy

    def _settle(self) -> None:
        broker = self.broker
        writes = 0
        while writes < WRITES:
            taken = self.timed(broker.take_outgoing)
            if not taken:
                break
            writes += len(taken)
            sent = [(cid, 0 if cid in self.stuck else len(data)) for cid, data in taken]
            for cid in self.timed(partial(broker.sent_all, sent)):
                self._serve(cid)
        broker.take_log_events()

    def _serve(self, cid: int) -> None:
        broker = self.broker
        while cid not in self.stuck and (data := broker.next_step(cid).write):
            broker.sent(cid, len(data))
        if broker.next_step(cid).half_close:
            broker.half_closed(cid)
            broker.receive_eof(cid)
        if broker.next_step(cid).close:
            self.close(cid)


def flooded(lines: bytes, number: int, seconds: float) -> float:
    """The longest call while attackers write lines again and again."""
    adapter = Adapter()
    adapter.log_in([name_of(at) for at in range(number)])
    adapter.longest = 0.0
    chunks = 1 if number > BATCH else 2 * BATCH // number
    for at in range(number):
        adapter.write(at, *[own(lines, at)] * chunks)
    adapter.run(seconds)
    return adapter.longest


def asked(lines: bytes, number: int, seconds: float) -> float:
    """The longest call while attackers ask about groups again and again."""
    limits = Limits()
    members = tuple(name_of(at) for at in range(limits.max_members))
    groups = [
        GroupMade("big", name_of(0), members),
        *(GroupMade(f"g{at}", "nobody", ("nobody",)) for at in range(limits.max_groups - 1)),
    ]
    adapter = Adapter(groups=groups)
    adapter.log_in([name_of(at) for at in range(number)])
    adapter.longest = 0.0
    for at in range(number):
        adapter.write(at, lines)
    adapter.run(seconds)
    return adapter.longest


def held(number: int, seconds: float, *, ending: str) -> float:
    """The longest call while many wait for one queue.

    Args:
        number: How many.
        seconds: How long at most.
        ending: Whether the queue `opens`, `closes`, or just `stays` full.
    """
    adapter = Adapter()
    stuck = number + 1
    adapter.log_in([*(name_of(at) for at in range(number)), "filler", "stuck"])
    adapter.stuck.add(stuck)
    adapter.write(number, FILL * 17)
    adapter.run()
    adapter.longest = 0.0
    for at in range(number):
        adapter.write(at, BEHIND)
    adapter.run(seconds)
    if ending == "opens":
        adapter.stuck.clear()
        while data := adapter.broker.next_step(stuck).write:
            adapter.broker.sent(stuck, len(data))
    elif ending == "closes":
        adapter.close(stuck)
    else:
        adapter.wait(1.0)
    adapter.run(seconds)
    return adapter.longest


def unanswered(number: int, seconds: float) -> float:
    """The longest call when the questions about many LOGINs expire in the same tick."""
    adapter = Adapter(ask=True)
    for cid in range(number):
        adapter.connect(cid)
        adapter.write(cid, own(b"CHAT/1.0 LOGIN attacker%b\n" + LEAVES[: CHUNK // 2], cid))
    adapter.run(seconds)
    adapter.longest = 0.0
    adapter.wait(Limits().auth_timeout + 0.2)
    adapter.run(seconds)
    return adapter.longest


def to_crowd(number: int, seconds: float) -> float:
    """The longest call while one attacker sends to a name with many connections."""
    adapter = Adapter()
    adapter.log_in(["attacker", *["crowd"] * number])
    adapter.longest = 0.0
    adapter.write(0, TO_CROWD)
    adapter.run(seconds)
    return adapter.longest


def to_group(number: int, talkers: int, seconds: float) -> float:
    """The longest call while some members of a group broadcast."""
    adapter = Adapter(Limits(max_line=LONG))
    names = [name_of(at) for at in range(number)]
    adapter.log_in(names)
    adapter.write(0, f"CHAT/1.0 GROUP g {' '.join(names)}\n".encode())
    adapter.run()
    adapter.longest = 0.0
    for cid in range(talkers):
        adapter.write(cid, TO_GROUP)
    adapter.run(seconds)
    return adapter.longest


def full(number: int, seconds: float) -> float:
    """The longest call while all queues together exceed their bound again and again."""
    adapter = Adapter(Limits(max_line=LONG, total_queue_bytes=number << 13))
    names = [name_of(at) for at in range(number)]
    adapter.log_in(names)
    adapter.stuck.update(range(1, number))
    adapter.write(0, f"CHAT/1.0 GROUP g {' '.join(names)}\n".encode())
    adapter.run()
    adapter.longest = 0.0
    for _ in range(5):
        adapter.write(0, b"CHAT/1.0 BROADCAST g " + b"x" * 4000 + b"\n")
    adapter.run(seconds)
    return adapter.longest


def anonymous(number: int, seconds: float) -> float:
    """The longest call when nobody of many has logged in in time."""
    adapter = Adapter()
    for cid in range(number):
        adapter.connect(cid)
    adapter.run()
    adapter.longest = 0.0
    adapter.wait(Limits().login_timeout + 0.2)
    adapter.run(seconds)
    return adapter.longest


def reconnecting(number: int, seconds: float) -> float:
    """The longest call while attackers connect, log in and log out."""
    adapter = Adapter()
    end = time.monotonic() + seconds
    first = 0
    while first < 5 * BATCH and time.monotonic() < end:
        for cid in range(first, first + number):
            adapter.connect(cid)
            adapter.write(cid, own(b"CHAT/1.0 LOGIN attacker%b\nCHAT/1.0 LOGOUT\n", cid))
        adapter.run(seconds)
        first += number
    return adapter.longest


# Against a server


class Attack:
    """Hostile clients on non-blocking sockets, which run until the process is ended.

    Args:
        address: Where the server listens.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._selector = selectors.DefaultSelector()
        self._closed = 0

    def connect(self, login: bytes, lines: bytes, *, pace: float = 0.0) -> None:
        """Add a client.

        Args:
            login: What it writes first.
            lines: What it writes again and again, unless empty.
            pace: Bytes a second; 0 for as many as the server takes.
        """
        sock = socket.create_connection(self._address, 30)
        sock.setblocking(False)
        client = Client(sock, login, lines, pace)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if login or lines else 0)
        self._selector.register(sock, events, client)

    def stuck(self, name: str) -> socket.socket:
        """A client that never reads."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(self._address)
        sock.sendall(f"CHAT/1.0 LOGIN {name}\n".encode())
        return sock

    def run(self, seconds: float) -> None:
        """Run for some seconds. A client whose connection the server closes connects again."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for key, events in self._selector.select(0.01):
                client: Client = key.data
                try:
                    if events & selectors.EVENT_READ and not client.sock.recv(CHUNK):
                        raise ConnectionResetError
                    if events & selectors.EVENT_WRITE and client.write(now):
                        self._selector.modify(client.sock, selectors.EVENT_READ, client)
                except BlockingIOError:
                    pass
                except OSError:
                    self._selector.unregister(client.sock)
                    client.sock.close()
                    self.connect(client.login, client.lines, pace=client.pace)


class Client:
    """One hostile client."""

    def __init__(self, sock: socket.socket, login: bytes, lines: bytes, pace: float) -> None:
        self.sock = sock
        self.login = login
        self.lines = lines
        self.pace = pace
        self._out = memoryview(login)
        self._next = 0.0

    def write(self, now: float) -> bool:
        """Write what the socket takes, and say whether that was all for ever."""
        if not self._out:
            if not self.lines:
                return True
            if self.pace and now < self._next:
                time.sleep(0.0005)
                return False
            piece = self.lines[: int(self.pace / 100)] if self.pace else self.lines
            self._out = memoryview(piece)
            self._next = now + 0.01
        self._out = self._out[self.sock.send(self._out) :]
        return False


def attack(kind: str, number: int, address: tuple[str, int]) -> None:
    """Attack a server until this process is ended. Prints a line when the attack has begun."""
    use_all_descriptors()
    clients = Attack(address)
    logins = [f"CHAT/1.0 LOGIN {name_of(at)}\n".encode() for at in range(number)]
    names = " ".join(map(name_of, range(number)))
    if kind in FLOODS:
        for at, login in enumerate(logins):
            clients.connect(login, own(FLOODS[kind], at))
    elif kind == SLOWLY:
        for login in logins:
            clients.connect(login, EMPTY_AND_LEAVE, pace=1e6)
    elif kind == TO_A_CROWD:
        for _ in range(number):
            clients.connect(b"CHAT/1.0 LOGIN crowd\n", b"")
        clients.connect(b"CHAT/1.0 LOGIN attacker\n", TO_CROWD)
    elif kind in (TO_A_GROUP, FROM_EVERYBODY):
        group = f"CHAT/1.0 GROUP g {names}\n".encode()
        for at, login in enumerate(logins):
            talks = at == 0 or kind == FROM_EVERYBODY
            clients.connect(login + group * (at == 0), TO_GROUP if talks else b"")
    elif kind == RECONNECTING:
        for login in logins:
            clients.connect(login + b"CHAT/1.0 LOGOUT\n", b"")
    else:
        clients.connect(b"CHAT/1.0 LOGIN filler\n", FILL * 16)
        for login in logins:
            clients.connect(login, BEHIND)
    print("attacking", flush=True)
    while True:
        with clients.stuck("stuck") if kind == BEHIND_A_MESSAGE else contextlib.nullcontext():
            clients.run(CYCLE)


SLOWLY: Final = "empty lines, a LEAVE among them, 1 MB/s"
TO_A_CROWD: Final = "SEND to a name with many connections"
TO_A_GROUP: Final = "BROADCAST to a large group"
FROM_EVERYBODY: Final = "BROADCAST by everybody in a group"
RECONNECTING: Final = "LOGIN, LOGOUT, connect again"
BEHIND_A_MESSAGE: Final = "short lines behind a held message"


@contextlib.contextmanager
def attacking(server: Server, kind: str, number: int) -> Iterator[None]:
    """Attack a server during the context."""
    command = [sys.executable, __file__, kind, str(number), *map(str, server.address)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as popen:
        try:
            if popen.stdout is None or popen.stdout.readline() != b"attacking\n":
                raise RuntimeError(f"the attack has failed: {kind}")
            yield
        finally:
            popen.kill()


class Ping(NamedTuple):
    """What a ping has taken, in milliseconds."""

    cpu: float
    """How long the server has run until the answer came."""
    wall: float


def pings(server: Server, sock: socket.socket, seconds: float) -> list[Ping]:
    """Ping for some seconds."""
    taken: list[Ping] = []
    sock.settimeout(PATIENCE)
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        before = server.running()
        sock.sendall(b"CHAT/1.0 SEND other ping\n")
        answer = b""
        with contextlib.suppress(TimeoutError):
            answer = sock.recv(CHUNK)
            if answer != b"CHAT/1.0 RECEIVE other ping\n":
                raise ConnectionError(f"a ping is answered with {answer!r}")
        ping = Ping((server.running() - before) * 1000, (time.monotonic() - start) * 1000)
        taken.append(ping)
        if not answer:
            break
        time.sleep(0.001)
    return taken


def beside(kind: str, number: int, seconds: float, options: Sequence[str] = ()) -> Row:
    """The row of another user's pings during an attack."""
    with (
        Server("asyncio", options) as server,
        server.log_in("other") as sock,
        attacking(server, kind, number),
    ):
        # Until queues are full, and all attackers have begun.
        time.sleep(0.4)
        cpu, wall = map(sorted, zip(*pings(server, sock, seconds), strict=True))
    return Row(
        part=PART,
        name=f"{kind}, {number:,}: ping of another, p99",
        unit="ms of CPU",
        values=[cpu[len(cpu) * 99 // 100]],
        ceiling=PING,
        note=f"{len(cpu)} pings, by the clock {wall[len(wall) // 2]:.1f} to {wall[-1]:.0f} ms",
    )


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Measure all figures.

    Args:
        repeat: The number of results for each figure of this process. Pings are measured once.
        quick: Whether to measure pings with the largest numbers only, and less long.
    """
    use_all_descriptors()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    crowd = min(CROWD, most - RESERVE)
    seconds = 0.2
    longer = 0.3 if quick else 1.0
    numbers = NUMBERS[::2] if quick else NUMBERS
    works: dict[str, tuple[Sequence[int], Callable[[int], float]]] = {
        name: (numbers, partial(flooded, lines, seconds=seconds)) for name, lines in FLOODS.items()
    }
    for name, lines in REQUESTS.items():
        works[name] = numbers, partial(asked, lines, seconds=seconds)
    for ending in ("stays", "opens", "closes"):
        name = f"{BEHIND_A_MESSAGE}, then the queue {ending}"
        works[name] = numbers, partial(held, seconds=seconds, ending=ending)
    works["LOGINs that nobody decides on"] = numbers, partial(unanswered, seconds=seconds)
    works[TO_A_CROWD] = [CROWD], partial(to_crowd, seconds=seconds)
    works[TO_A_GROUP] = [MEMBERS], partial(to_group, talkers=1, seconds=seconds)
    works[FROM_EVERYBODY] = [TALKERS], partial(to_group, talkers=TALKERS, seconds=seconds)
    works["all queues together are full"] = [MEMBERS], partial(full, seconds=seconds)
    works["no LOGIN in time"] = [CROWD], partial(anonymous, seconds=seconds)
    works[RECONNECTING] = numbers, partial(reconnecting, seconds=seconds)
    rows = [
        Row(
            part=PART,
            name=f"{name}, {number:,}: longest call",
            unit="ms of CPU",
            values=[fresh(work, number) for _ in range(repeat)],
            ceiling=ONE if number == 1 else MANY,
        )
        for name, (sizes, work) in works.items()
        for number in sizes
    ]
    long = [f"--max-line={LONG}"]
    few = (1000,) if quick else (1, 1000)
    for kind in (*FLOODS, RECONNECTING):
        rows += [beside(kind, number, longer) for number in few]
    rows += [beside(BEHIND_A_MESSAGE, number, longer + CYCLE) for number in few]
    rows.append(beside(SLOWLY, 1, longer))
    rows.append(beside(TO_A_CROWD, crowd, longer))
    rows.append(beside(TO_A_GROUP, min(MEMBERS, crowd), longer, long))
    rows.append(beside(FROM_EVERYBODY, TALKERS, longer, long))
    return rows


def fresh(work: Callable[[int], float], number: int) -> float:
    """Do some work without what others have left behind."""
    gc.collect()
    return work(number)


if __name__ == "__main__":
    what, how_many, host, port = sys.argv[1:]
    attack(what, int(how_many), (host, int(port)))
