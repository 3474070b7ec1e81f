"""What a broker does for people who only SEND and log out, worked out without any cleverness."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import inf

from chatproto import Limits
from chatproto.server.dispatcher import SLICE

QUEUE = 1200
HIGH = 600
GOODBYE = 1.0
LINGER = 10.0
LIMITS = Limits(
    max_line=512,
    queue_bytes=QUEUE,
    high_water=HIGH,
    # Time has a part of its own: tests/simulation.
    queue_age=1e9,
    linger=LINGER,
    goodbye=GOODBYE,
    notice_burst=10**6,
)


@dataclass
class Peer:
    """What the model knows of one connection."""

    name: str
    # What the peer has said so far that has no end yet.
    partial: bytes = b""
    # What it has said that has to wait: lines, and what came after it had to.
    held: bool = False
    lines: list[bytes] = field(default_factory=list)
    backlog: bytes = b""
    # Who has the first of those lines already.
    reached: set[int] = field(default_factory=set)
    # All that was ever accepted for it, and how much of that the transport took.
    stream: bytes = b""
    written: int = 0
    full: bool = False
    reason: str | None = None
    deadline: float = inf
    # Whether our half is closed, and whether nothing of the peer is waited for.
    half_closed: bool = False
    done: bool = False
    # Whether the adapter knows that something is to be done.
    known: bool = False

    @property
    def queued(self) -> bytes:
        return self.stream[self.written :]

    @property
    def rest(self) -> bytes:
        """What it has begun to say and not finished."""
        return (self.partial + self.backlog).rpartition(b"\n")[2]


class BrokerModel:
    """All connections."""

    def __init__(self) -> None:
        self.peers: dict[int, Peer] = {}
        # Who waits for each queue; the queues that have room again; those that wait no more.
        self.waiters: dict[int, list[int]] = defaultdict(list)
        self.opened: list[int] = []
        self.released: list[int] = []
        self.now = 0.0
        self.messages = self.deliveries = self.refusals = 0

    def receive(self, cid: int, octets: bytes) -> None:
        peer = self.peers[cid]
        if peer.held:
            peer.backlog += octets
            peer.known = False
        elif peer.reason is None:
            self._hear(cid, octets)

    def end_stream(self, cid: int) -> None:
        self.peers[cid].done = True
        self.peers[cid].known = False
        self._end(cid)

    def write(self, cid: int, size: int) -> None:
        peer = self.peers[cid]
        peer.written += size
        if peer.full and len(peer.queued) <= HIGH // 2:
            peer.full = False
            self.opened += [cid] * bool(self.waiters[cid])

    def tick(self, now: float) -> None:
        self.now = now
        for peer in self.peers.values():
            if peer.reason is not None and peer.deadline <= now:
                self._give_up(peer)

    def release(self) -> None:
        """Have those go on that can."""
        while self.released or self.opened:
            if self.released:
                self._resume(self.released.pop(0))
            elif self.waiters[self.opened[0]]:
                self.released.append(self.waiters[self.opened[0]].pop(0))
            else:
                del self.opened[0]

    def remove(self, cid: int) -> str:
        self._forget(cid)
        return self.peers.pop(cid).reason or "connection lost"

    def _close(self, cid: int, reason: str) -> None:
        peer = self.peers[cid]
        peer.reason = reason
        peer.deadline = self.now + LINGER
        peer.held, peer.lines, peer.backlog = False, [], b""
        peer.full = peer.known = False
        self._forget(cid)

    def _forget(self, cid: int) -> None:
        for waiting in (self.opened, self.released, *self.waiters.values()):
            waiting[:] = [each for each in waiting if each != cid]
        self.released += self.waiters.pop(cid, [])

    def _accept(self, to: list[int], line: bytes) -> None:
        for cid in to:
            peer = self.peers[cid]
            if not peer.queued:
                peer.known = False
            peer.stream += line
            if len(peer.queued) > HIGH:
                peer.full = True
                self.opened = [each for each in self.opened if each != cid]
        for cid in to:
            if len(self.peers[cid].queued) > QUEUE:
                self._close(cid, "slow consumer, its queue is full")
                self._give_up(self.peers[cid])

    def _give_up(self, peer: Peer) -> None:
        peer.stream = peer.stream[: peer.written]
        peer.done = True
        peer.known = False
        peer.deadline = inf

    def _hear(self, cid: int, octets: bytes) -> None:
        peer = self.peers[cid]
        while octets and not peer.held and peer.reason is None:
            # The rest of a line by itself, then as many lines as a slice has.
            find = octets.find if peer.partial else octets.rfind
            end = find(b"\n", 0, SLICE) + 1 or SLICE
            *peer.lines, peer.partial = (peer.partial + octets[:end]).split(b"\n")
            octets = octets[end:]
            self._run(cid)
        if peer.held:
            # This has not been looked at yet.
            peer.backlog = octets

    def _run(self, cid: int) -> None:
        peer = self.peers[cid]
        while peer.lines and not peer.held:
            line = peer.lines.pop(0)
            if line.endswith(b"LOGOUT"):
                self._close(cid, "logged out")
            elif not self._send(cid, *line.split(b" ", 3)[2:]):
                peer.lines.insert(0, line)
                peer.held = True
                peer.known = False

    def _send(self, cid: int, name: bytes, data: bytes) -> bool:
        """Whether everybody has it now."""
        peer = self.peers[cid]
        to = [
            each
            for each, other in self.peers.items()
            if other.name == name.decode() and other.reason is None
        ]
        if not to:
            self._refuse(cid, b"NO_SUCH_USER SEND %b is not online" % name)
        left = [each for each in to if each not in peer.reached]
        full = [each for each in left if self.peers[each].full]
        served = [each for each in left if each not in full]
        self._accept(served, b"CHAT/1.0 RECEIVE %b %b\n" % (peer.name.encode(), data))
        self.deliveries += len(served)
        if full:
            self.waiters[full[0]].append(cid)
            peer.reached.update(served)
            return False
        peer.reached.clear()
        self.messages += bool(to)
        return True

    def _refuse(self, cid: int, why: bytes) -> None:
        self.refusals += 1
        self._accept([cid], b"CHAT/1.0 RECEIVE *server* ERR %b\n" % why)

    def _resume(self, cid: int) -> None:
        peer = self.peers[cid]
        peer.held = peer.known = False
        self._run(cid)
        if not peer.held:
            backlog, peer.backlog = peer.backlog, b""
            self._hear(cid, backlog)
        self._end(cid)

    def _end(self, cid: int) -> None:
        """The stream has ended, if it has, and everything in it was acted on."""
        peer = self.peers[cid]
        if peer.done and not peer.held and peer.reason is None:
            if peer.partial:
                self._refuse(cid, b"TRUNCATED SEND the line has no end and was not run")
            if peer.reason is None:
                self._close(cid, "end of stream")
