"""A model of a broker for clients that only SEND and log out: the rules in the simplest form."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import inf

from chatproto import Limits
from chatproto.server.buffers import POINTER

QUEUE = 1200
HIGH = 600
CLOSE_TIMEOUT = 1.0
LINGER = 10.0
LIMITS = Limits(
    max_line=512,
    queue_bytes=QUEUE,
    high_water=HIGH,
    # How old queues may get is tested in tests/simulation.
    queue_age=1e9,
    linger=LINGER,
    close_timeout=CLOSE_TIMEOUT,
    notice_burst=10**6,
)


@dataclass
class PeerModel:
    """What the model knows of one connection."""

    name: str
    # The line that it has begun and not ended.
    partial: bytes = b""
    # Whether it waits for a queue; the whole lines and the part of one that are executed later; the
    # recipients of the first of them that do not have it yet, if others have.
    waiting: bool = False
    unparsed: bytes = b""
    undelivered: list[int] = field(default_factory=list)
    # All bytes that were ever queued for it, and how many of them are written.
    stream: bytes = b""
    written: int = 0
    full: bool = False
    reason: str | None = None
    deadline: float = inf
    # Whether our half of the stream has ended, and whether the peer's has or is not waited for.
    half_closed: bool = False
    done: bool = False
    # Whether the broker has reported the connection as ready since its next step changed.
    reported: bool = False

    @property
    def queued(self) -> bytes:
        return self.stream[self.written :]

    @property
    def kept(self) -> int:
        """Bytes that the broker keeps for it."""
        return len(self.queued) + len(self.unparsed) + POINTER * len(self.undelivered)

    @property
    def rest(self) -> bytes:
        """The last line that it has begun and not ended."""
        return (self.partial + self.unparsed).rpartition(b"\n")[2]


class BrokerModel:
    """All connections of a broker."""

    def __init__(self) -> None:
        self.peers: dict[int, PeerModel] = {}
        # The senders that wait for each queue; the queues that have room again; the senders that
        # may resume.
        self.waiters: dict[int, list[int]] = defaultdict(list)
        self.opened: list[int] = []
        self.released: list[int] = []
        self.now = 0.0
        self.messages = self.deliveries = self.refusals = 0

    def receive(self, cid: int, data: bytes) -> None:
        peer = self.peers[cid]
        if peer.waiting:
            peer.unparsed += data
            peer.reported = False
        elif peer.reason is None:
            self._execute(cid, data)

    def receive_eof(self, cid: int) -> None:
        self.peers[cid].done = True
        self.peers[cid].reported = False
        self._execute_eof(cid)

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
                self._abort(peer)
        self.release()

    def release(self) -> None:
        """Resume the senders that may resume."""
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
        peer.waiting, peer.unparsed, peer.undelivered = False, b"", []
        peer.full = peer.reported = False
        self._forget(cid)

    def _forget(self, cid: int) -> None:
        for waiting in (self.opened, self.released, *self.waiters.values()):
            waiting[:] = [each for each in waiting if each != cid]
        self.released += self.waiters.pop(cid, [])

    def _accept(self, to: list[int], line: bytes) -> None:
        for cid in to:
            peer = self.peers[cid]
            if not peer.queued:
                peer.reported = False
            peer.stream += line
            if len(peer.queued) > HIGH:
                peer.full = True
                self.opened = [each for each in self.opened if each != cid]
        for cid in to:
            if len(self.peers[cid].queued) > QUEUE:
                self._close(cid, "slow consumer, its queue is full")
                self._abort(self.peers[cid])

    def _abort(self, peer: PeerModel) -> None:
        peer.stream = peer.stream[: peer.written]
        peer.done = True
        peer.reported = False
        peer.deadline = inf

    def _execute(self, cid: int, data: bytes) -> None:
        peer = self.peers[cid]
        *lines, peer.partial = (peer.partial + data).split(b"\n")
        for number, line in enumerate(lines):
            if line.endswith(b"LOGOUT"):
                self._close(cid, "logged out")
            elif not self._send(cid, *line.split(b" ", 3)[2:]):
                peer.unparsed = b"\n".join([*lines[number:], peer.partial])
                peer.partial = b""
                peer.waiting, peer.reported = True, False
                return
            if peer.reason is not None:
                return

    def _send(self, cid: int, name: bytes, data: bytes) -> bool:
        """Deliver a message.

        Returns:
            Whether every recipient has it now.
        """
        peer = self.peers[cid]
        to = [
            each
            for each, other in self.peers.items()
            if other.name == name.decode() and other.reason is None
        ]
        if not to:
            self._refuse(cid, b"NO_SUCH_USER SEND %b is not online" % name)
        left = [each for each in to if each in peer.undelivered] if peer.undelivered else to
        full = [each for each in left if self.peers[each].full]
        served = [each for each in left if each not in full]
        partly, peer.undelivered = bool(peer.undelivered or served), []
        self.deliveries += len(served)
        if full:
            self.waiters[full[0]].append(cid)
            peer.undelivered = full if partly else []
        else:
            self.messages += bool(to) and cid not in to
        self._accept(served, b"CHAT/1.0 RECEIVE %b %b\n" % (peer.name.encode(), data))
        return not full or peer.reason is not None

    def _refuse(self, cid: int, why: bytes) -> None:
        self.refusals += 1
        self._accept([cid], b"CHAT/1.0 RECEIVE *server* ERR %b\n" % why)

    def _resume(self, cid: int) -> None:
        peer = self.peers[cid]
        peer.waiting = peer.reported = False
        unparsed, peer.unparsed = peer.unparsed, b""
        self._execute(cid, unparsed)
        self._execute_eof(cid)

    def _execute_eof(self, cid: int) -> None:
        """Close a connection whose stream has ended, once all of it is executed."""
        peer = self.peers[cid]
        if peer.done and not peer.waiting and peer.reason is None:
            if peer.partial:
                self._refuse(cid, b"TRUNCATED SEND the line has no end and was not executed")
            if peer.reason is None:
                self._close(cid, "end of stream")
