"""An adapter without sockets, which runs a world on a broker and notes what can be seen of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeAlias

from chatproto import GROUPS_NAME, ChatBroker, Counters, GroupChange, LogEvent

from .worlds import (
    ENDLESS,
    GROUPS,
    LAST,
    Answer,
    Connect,
    Drain,
    End,
    Kind,
    Line,
    Reset,
    Say,
    Secure,
    Take,
    Wake,
    World,
)

Maker: TypeAlias = Callable[..., ChatBroker[int]]
"""Makes a broker, with the arguments of `ChatBroker`."""

CALM: Final = Wake(seconds=0.5, size=ENDLESS, turn=0, at_once=True, settle=True)
"""A wake-up after which all that can be done is done."""
PATIENCE: Final = 400
"""Wake-ups until everything has to be at rest."""
ROUNDS: Final = 10_000
"""Rounds until a broker has to be idle in one wake-up."""


HOLD: Final = 1.0
"""Seconds that one who has stopped reading may hold a sender."""
WINDOWS: Final = 4
"""Wake-ups until the broker has to know that somebody has stopped."""


class Finding(Exception):  # noqa: N818 - it is no error of the program
    """Something is not as it has to be.

    Args:
        kind: What, in a word: a smaller world has the same fault if it has the same kind.
        text: More about it.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass(slots=True)
class Client:
    """A client and its connection, as far as both can be seen from outside."""

    cid: int
    lines: list[Line] = field(default_factory=list)
    """What it has written."""
    pending: bytes = b""
    """What it has written that the server has not read."""
    ends: list[int] = field(default_factory=list)
    """Where in its stream each line ends."""
    written: int = 0
    """Bytes that it has written."""
    read: int = 0
    """Bytes that the server has read."""
    handed: list[int] = field(default_factory=list)
    """The wake-up in which the broker got the end of each line."""
    budget: int = ENDLESS
    """Bytes that it takes in each wake-up."""
    always_took: bool = True
    """Whether it has always taken everything."""
    ending: bool = False
    """Whether it has ended its half of the stream."""
    silent: bool = False
    """Whether it writes nothing more."""
    closing: bool = False
    """Whether the server has ended its half of the stream."""
    eof_at: float = inf
    """The wake-up in which the broker was told of that."""
    gone_at: float = inf
    """The wake-up in which the connection ended."""
    reset: bool = False
    taken: list[tuple[int, bytes]] = field(default_factory=list)
    """What it has received, each piece with the number of the wake-up."""
    reads: bool = True
    """Whether the server wants to read; as the adapter knows it."""
    writes: bool = False
    """Whether the transport has to tell when it takes more."""
    held_since: float = inf
    """Since when the server has not wanted to read; infinity while it wants to."""
    held_for: int = 0
    """Wake-ups since then."""


@dataclass(slots=True)
class Run:
    """What has happened in a world on one broker."""

    world: World
    clients: dict[int, Client] = field(default_factory=dict)
    log: list[LogEvent] = field(default_factory=list)
    changes: list[GroupChange] = field(default_factory=list)
    """What has become of groups, as the broker tells it."""
    trace: list[tuple[object, ...]] = field(default_factory=list)
    """What can be seen of each wake-up."""
    comparable: float = inf
    """The wake-up in which somebody had to wait for a turn. From then on the order in which
    connections have theirs is the broker's."""
    wakes: int = 0
    drained_at: float = inf
    rested_at: float = inf
    """The wake-up in which everything was at rest, and the last pings began."""
    asked_at: dict[int, int] = field(default_factory=dict)
    """By connection, the number of the first line from when everything was at rest."""
    counters: Counters = field(default_factory=Counters)
    """The broker's, before everybody disconnects."""


class Adapter:
    """Runs one world on one broker.

    Args:
        world: What happens.
        make: Makes the broker.
        fast_path: Whether with a fast path.
    """

    def __init__(self, world: World, make: Maker, *, fast_path: bool) -> None:
        self._world = world
        self._broker = make(
            policy=world.policy,
            limits=world.limits,
            notices=world.notices,
            ask=world.ask,
            groups=world.restored,
            note_changes=True,
            fast_path=fast_path,
        )
        self._run = Run(world)
        self._now = 0.0
        self._open: dict[int, Client] = {}
        self._questions: list[int] = []
        # How many clients stop reading. None where it is no fault if a client waits for long.
        self._stopped = _stopped(world)
        self._broker.tick(0.0)

    def run(self) -> Run:
        """Run the world to its end.

        Raises:
            Finding: The broker has done something that is wrong in any world.
        """
        for step in self._world.steps:
            match step:
                case Wake():
                    self._wake(step)
                case Connect():
                    self._connect(step)
                case Drain():
                    self._drain()
                case Answer(which, allowed):
                    self._answer(which, allowed=allowed)
                case _:
                    # A smaller world may lack the connection.
                    client = self._open.get(step.cid)
                    if client is not None:
                        self._do(client, step)
        self._rest()
        self._ask_for_last_lines()
        self._rest()
        self._run.counters = self._broker.snapshot()
        self._end()
        return self._run

    def _connect(self, step: Connect) -> None:
        client = self._run.clients[step.cid] = self._open[step.cid] = Client(step.cid)
        peer = f"peer-{step.cid}"
        self._broker.connect(client.cid, peer, address=step.address, secured=step.secured)

    def _do(self, client: Client, step: Secure | Say | Take | End | Reset) -> None:
        match step:
            case Say(lines=lines, half=half):
                self._say(client, lines)
                if half and not client.silent:
                    client.pending += half
                    client.silent = True
            case Take(budget=budget):
                client.budget = budget
                client.always_took &= budget == ENDLESS
            case End():
                client.ending = client.silent = True
            case Secure(identities=identities):
                self._broker.secure(client.cid, identities)
            case Reset():
                client.reset = True
                self._disconnect(client)

    def _say(self, client: Client, lines: Iterable[Line]) -> None:
        if client.silent:
            return
        pieces = [client.pending]
        for line in lines:
            client.lines.append(line)
            client.written += len(line.raw)
            client.ends.append(client.written)
            pieces.append(line.raw)
        client.pending = b"".join(pieces)

    def _answer(self, which: int, *, allowed: bool) -> None:
        if self._questions:
            token = self._questions.pop(which % len(self._questions))
            self._broker.answer(token, allowed=allowed)
            self._settle({}, CALM)

    def _drain(self) -> None:
        self._broker.drain()
        self._run.drained_at = min(self._run.drained_at, self._run.wakes)
        self._settle({}, CALM)

    def _wake(self, step: Wake) -> None:
        """One wake-up of an adapter."""
        run, broker = self._run, self._broker
        run.wakes += 1
        self._now += step.seconds
        broker.tick(self._now)
        clients = list(self._open.values())
        if clients:
            turn = step.turn % len(clients)
            clients = clients[turn:] + clients[:turn]
        self._receive(clients, step)
        budgets = {client.cid: client.budget for client in clients}
        for client in clients:
            if client.writes:
                self._serve(client, budgets)
        self._settle(budgets, step)
        kept = broker.snapshot().queued
        # The last line to each connection is queued past the bound.
        if kept > self._world.limits.total_queue_bytes + 200 * len(clients):
            raise Finding("memory", f"{kept} bytes are kept")
        # While the broker is busy, it may want to read again soon.
        if self._stopped is not None and not broker.busy:
            self._check_holds(self._stopped)
        run.log += (events := broker.take_log_events())
        run.changes += (changes := broker.take_group_changes())
        run.trace.append(
            (
                [(client.cid, client.reads, client.read) for client in self._open.values()],
                events,
                changes,
            )
        )

    def _check_holds(self, stopped: int) -> None:
        """Nobody who has stopped reading holds a sender for longer than a second."""
        for client in self._open.values():
            if client.reads or client.ending or client.closing:
                client.held_since, client.held_for = inf, 0
                continue
            client.held_since = min(client.held_since, self._now)
            client.held_for += 1
            # It may wait for one after the other. The broker learns the time only from wake-ups.
            seconds = self._now - client.held_since
            if seconds > HOLD * stopped and client.held_for > WINDOWS * stopped:
                raise Finding("held", f"{client.cid} is not read from for {seconds:.1f} s")

    def _receive(self, clients: Iterable[Client], step: Wake) -> None:
        """Read from all connections from which the broker wants to read."""
        broker, wakes = self._broker, self._run.wakes
        received: list[tuple[int, bytes]] = []
        ended: list[Client] = []
        for client in clients:
            if not client.reads:
                continue
            if client.pending:
                data = client.pending[: step.size]
                client.pending = client.pending[len(data) :]
                client.read += len(data)
                received.append((client.cid, data))
                handed = len(client.handed)
                while handed < len(client.ends) and client.ends[handed] <= client.read:
                    handed += 1
                client.handed += [wakes] * (handed - len(client.handed))
            elif client.ending and client.eof_at > wakes:
                client.eof_at = wakes
                ended.append(client)
        if step.at_once:
            broker.receive_all(received)
        else:
            for cid, data in received:
                broker.receive(cid, data)
        for client in ended:
            broker.receive_eof(client.cid)

    def _settle(self, budgets: dict[int, int], step: Wake) -> None:
        """Write until nobody has anything more to write, and maybe until the broker is idle."""
        broker, run = self._broker, self._run
        for _ in range(ROUNDS):
            self._questions += [question.token for question in broker.take_questions()]
            ready = self._write_at_once(budgets) if step.at_once else broker.take_ready()
            if broker.busy:
                run.comparable = min(run.comparable, run.wakes)
            for cid in ready:
                if cid in self._open:
                    self._serve(self._open[cid], budgets)
            if not broker.busy:
                if not ready:
                    break
            elif not step.settle:
                return
            else:
                broker.tick(self._now)
        else:
            raise Finding("stuck", "a broker is never idle")
        for client in self._open.values():
            do = broker.next_step(client.cid)
            if do.read is not client.reads or do.half_close or do.close:
                raise Finding("stuck", f"nobody was told to look at {client.cid}: {do}")
            if do.write and not client.writes:
                raise Finding("stuck", f"nobody was told to write to {client.cid}")

    def _write_at_once(self, budgets: dict[int, int]) -> list[int]:
        """Write to all that are ready.

        Returns:
            Those for which something else is to be done.
        """
        sent: list[tuple[int, int]] = []
        rest: list[int] = []
        for cid, data in self._broker.take_outgoing():
            client = self._open[cid]
            if client.writes:
                # Its transport is full, but something else may be to be done.
                rest.append(cid)
            else:
                sent.append((cid, self._take(client, data, budgets)))
        rest += self._broker.sent_all(sent)
        for cid, _ in sent:
            client = self._open[cid]
            if cid not in rest:
                client.reads, client.writes = True, False
        return rest

    def _serve(self, client: Client, budgets: dict[int, int]) -> None:
        """Do what the broker wants for one connection."""
        broker, cid = self._broker, client.cid
        client.writes = False
        while data := broker.next_step(cid).write:
            size = self._take(client, data, budgets)
            broker.sent(cid, size)
            if size < len(data):
                client.writes = True
                break
        step = broker.next_step(cid)
        if step.half_close:
            broker.half_closed(cid)
            client.closing = True
            if self._world.polite:
                client.ending = client.silent = True
            step = broker.next_step(cid)
        client.reads = step.read
        if step.close:
            self._disconnect(client)

    def _take(self, client: Client, data: bytes, budgets: dict[int, int]) -> int:
        """Let a client receive what its budget allows, and say how many bytes that is."""
        size = min(budgets.get(client.cid, client.budget), len(data))
        budgets[client.cid] = budgets.get(client.cid, client.budget) - size
        if size:
            client.taken.append((self._run.wakes, data[:size]))
        return size

    def _disconnect(self, client: Client) -> None:
        client.gone_at = self._run.wakes
        self._broker.disconnect(client.cid)
        del self._open[client.cid]

    def _rest(self) -> None:
        """Let clients take everything, and wait until all is at rest."""
        for client in self._open.values():
            client.budget = ENDLESS
        for at in range(PATIENCE):
            while self._questions:
                self._answer(0, allowed=True)
            self._wake(CALM)
            counters = self._broker.snapshot()
            waits = counters.queued or counters.waiting
            if not waits and all(self._at_rest(client) for client in self._open.values()):
                self._run.rested_at = self._run.wakes
                return
            if at == PATIENCE - 1:
                raise Finding("stuck", f"not at rest: {counters}")

    def _at_rest(self, client: Client) -> bool:
        """Whether a connection waits for nothing, its own end included."""
        return client.reads and not (client.pending or client.ending or client.closing)

    def _ask_for_last_lines(self) -> None:
        """Let each client send one line more to everybody to whom it has sent any, and a ping.

        Before that, it asks about all groups.
        """
        for client in self._open.values():
            number = client.lines[-1].number + 1 if client.lines else 0
            self._run.asked_at[client.cid] = number
            for at, request in enumerate(["list", *[f"members {each}" for each in GROUPS]], number):
                raw = f"CHAT/1.0 SEND {GROUPS_NAME} {request}\n".encode()
                data = request.encode()
                self._say(client, [Line(client.cid, at, Kind.REQUEST, GROUPS_NAME, data, raw)])
            channels = dict.fromkeys(
                (line.kind, line.name)
                for line in client.lines
                if line.kind in (Kind.SEND, Kind.BROADCAST)
            )
            names = [line.name for line in client.lines if line.kind is Kind.LOGIN]
            channels |= dict.fromkeys((Kind.SEND, name) for name in names)
            number = client.lines[-1].number + 1 if client.lines else 0
            pings = [(Kind.SEND, name) for name in names]
            for at, (kind, name) in enumerate([*channels, *pings], number):
                data = b"%d:%d:%b" % (client.cid, at, LAST)
                raw = f"CHAT/1.0 {kind.name} {name} ".encode() + data + b"\n"
                self._say(client, [Line(client.cid, at, kind, name, data, raw)])

    def _end(self) -> None:
        """Shut down, and look whether anything is left."""
        broker = self._broker
        self._drain()
        end = self._now + self._world.limits.grace
        while self._open:
            if self._now > end:
                raise Finding("drain", f"{len(self._open)} connections outlast the drain")
            self._wake(CALM)
        counters = broker.snapshot()
        left = (counters.connections, counters.users, counters.queued, counters.waiting)
        if any(left) or broker.busy or broker.take_ready():
            raise Finding("rest", f"something is left of connections that are gone: {counters}")
        if counters.closes.total() != counters.accepted or counters.accepted != len(
            self._run.clients
        ):
            raise Finding("counters", f"connections and closes differ: {counters}")
        taken = sum(
            len(piece) for client in self._run.clients.values() for _, piece in client.taken
        )
        read = sum(client.read for client in self._run.clients.values())
        if (counters.bytes_received, counters.bytes_sent) != (read, taken):
            raise Finding("counters", f"{read} bytes read, {taken} written: {counters}")


def _stopped(world: World) -> int | None:
    """How many clients stop reading; None where clients may have to wait for something else."""
    budgets = {step.budget for step in world.steps if isinstance(step, Take)}
    if world.ask or world.limits.rate is not None or not budgets <= {0, ENDLESS}:
        return None
    return max(1, len({step.cid for step in world.steps if isinstance(step, Take)}))
