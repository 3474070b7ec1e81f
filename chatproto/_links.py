"""A broker's connections: what is queued for each, and how each ends."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Generic

from ._actions import ConnectionId
from ._deadlines import Deadlines
from ._flow import Flow
from ._limits import Limits
from ._link import Link
from ._records import CloseReason

WRITE_SIZE: Final = 1 << 16
"""Octets that are worth a write of their own."""


class Links(Generic[ConnectionId]):
    """All connections, without what is said on them.

    Args:
        limits: What one connection may take, and all of them.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.by_id: dict[ConnectionId, Link] = {}
        """The connections."""
        # A dict for a set that keeps its order: first queued, first written.
        self.ready: dict[ConnectionId, None] = {}
        """Those that want the adapter's attention."""
        self.flow: Flow[ConnectionId] = Flow(limits)
        """Who waits for whom."""
        self.octets = 0
        """All that is queued for somebody, or kept from senders that wait."""
        self.octets_out = 0
        """All that was ever written."""
        self.now = 0.0
        """The time of the last `tick`, in seconds."""
        # Connections that are being closed: those with a queue still, and those that only have to
        # close their half.
        self._lingering: Deadlines[ConnectionId] = Deadlines(limits.linger)
        self._parting: Deadlines[ConnectionId] = Deadlines(limits.goodbye)
        # Connections that have said too much: for as long as one more line takes.
        self._paused: Deadlines[ConnectionId] = Deadlines(1 / (limits.rate or 1.0))
        self.turns: dict[ConnectionId, None] = {}
        """Those that have more to say than one turn takes."""

    def __iter__(self) -> Iterator[ConnectionId]:
        return iter(self.by_id)

    def __len__(self) -> int:
        return len(self.by_id)

    def __getitem__(self, cid: ConnectionId) -> Link:
        return self.by_id[cid]

    def items(self) -> Iterable[tuple[ConnectionId, Link]]:
        """All of them, with their ids."""
        return self.by_id.items()

    def add(self, cid: ConnectionId, link: Link) -> None:
        """Take on a connection.

        Raises:
            ValueError: There is such a connection already.
        """
        if cid in self.by_id:
            raise ValueError(f"{cid!r} is connected already")
        self.by_id[cid] = link

    def remove(self, cid: ConnectionId) -> Link | None:
        """Forget a connection; None when there is no such."""
        link = self.by_id.pop(cid, None)
        if link is not None:
            self.flow.forget(cid)
            self.octets -= link.queued + len(link.backlog)
            self.ready.pop(cid, None)
            self._lingering.stop(cid)
            self._parting.stop(cid)
            self._paused.stop(cid)
            self.turns.pop(cid, None)
        return link

    def tick(self, now: float) -> Iterator[ConnectionId]:
        """Let time pass, and give up on those whose time to end is over.

        Returns:
            Those that are too slow.
        """
        self.now = now
        for deadlines in (self._lingering, self._parting):
            for cid in deadlines.take_expired(now):
                self.give_up(cid)
        return self.flow.tick(now)

    def queue(
        self, to: tuple[ConnectionId, ...], line: bytes
    ) -> Iterable[tuple[ConnectionId, CloseReason]]:
        """Queue a line for each of some connections.

        Returns:
            Those that are too slow, and by which rule.
        """
        links, ready, high = self.by_id, self.ready, self.flow.high_water
        slow: list[tuple[ConnectionId, CloseReason]] = []
        size = len(line)
        for cid in to:
            link = links[cid]
            if not link.queued:
                ready[cid] = None
            link.outbox.append(line)
            link.queued += size
            if link.queued > high:
                self.flow.fill(cid, self.now)
                if link.queued > self._limits.queue_bytes:
                    slow.append((cid, CloseReason.FULL_QUEUE))
        self.octets += size * len(to)
        if self.octets > self._limits.total_queue_bytes:
            slow += [(cid, CloseReason.FULL_QUEUES) for cid in self.worst()]
        return slow

    def queue_all(self, to: tuple[ConnectionId, ...], lines: bytes) -> bool:
        """Queue lines for each of some connections, if no rule can stand in between.

        Returns:
            False when one may; then nothing is queued.
        """
        links, ready = self.by_id, self.ready
        size = len(lines)
        octets = self.octets + size * len(to)
        full = self.flow.full
        if octets > self._limits.total_queue_bytes or (full and not full.keys().isdisjoint(to)):
            return False
        room = self.flow.high_water - size
        for cid in to:
            if links[cid].queued > room:
                return False
        for cid in to:
            link = links[cid]
            if not link.queued:
                ready[cid] = None
            link.outbox.append(lines)
            link.queued += size
        self.octets = octets
        return True

    def take_ready(self) -> list[ConnectionId]:
        """Those that want the adapter's attention since the last call."""
        ready = list(self.ready)
        self.ready.clear()
        return ready

    def worst(self) -> Iterator[ConnectionId]:
        """Those to give up, so that all together keep to their bound."""
        bound = self._limits.total_queue_bytes
        if self.octets <= bound:
            return
        # Looking at all of them takes a while, so make room for a while.
        over = self.octets - bound + bound // 16
        # Senders that wait for somebody's queue are not to blame for what is kept from them.
        blame: Counter[ConnectionId] = Counter()
        for cid, link in self.by_id.items():
            blame[cid] += link.queued
            blame[self.flow.cause(cid)] += len(link.backlog)
        for cid, octets in blame.most_common():
            if over <= 0:
                return
            over -= octets
            yield cid

    def sent(self, cid: ConnectionId, size: int) -> bool:
        """Take note that the first `size` octets of a queue are on their way.

        They may be more than there are: the queue can be given up while the adapter is writing.

        Returns:
            Whether nothing else is to be done for the connection now.
        """
        link = self.by_id[cid]
        size = min(size, link.queued)
        left = link.queued = link.queued - size
        self.octets -= size
        self.octets_out += size
        if not left:
            link.outbox.clear()
        else:
            _drop(link.outbox, size)
        if link.closing is not None:
            return False
        flow = self.flow
        if left or cid in flow.late or cid in flow.full:
            flow.sent(cid, size, left, self.now)
        return not (left or link.held)

    def hold(self, cid: ConnectionId, link: Link, backlog: bytes) -> None:
        """Have a connection wait, with what it has said further."""
        link.held = True
        link.backlog += backlog
        self.octets += len(backlog)
        self.ready[cid] = None

    def pause(self, cid: ConnectionId) -> None:
        """Have a connection wait until it may say one more line."""
        self._paused.start(cid, self.now)

    def take_rested(self) -> Iterator[ConnectionId]:
        """Those that may say one more line."""
        return self._paused.take_expired(self.now)

    def end_turn(self, cid: ConnectionId) -> None:
        """Have a connection wait until the others have had their turn."""
        self.turns[cid] = None

    def take_turns(self) -> list[ConnectionId]:
        """Those that have their turn again."""
        turns = list(self.turns)
        self.turns.clear()
        return turns

    def let_go(self, cid: ConnectionId, link: Link) -> bytes:
        """Have a connection wait no more.

        Returns:
            What it has said further.
        """
        link.held = False
        backlog, link.backlog = link.backlog, b""
        self.octets -= len(backlog)
        self.ready[cid] = None
        return backlog

    def close(self, cid: ConnectionId, link: Link, reason: CloseReason, last_words: bytes) -> None:
        """Have a connection end once its queue is written.

        Args:
            cid: Which.
            link: Its link.
            reason: Why.
            last_words: What to queue for it, past the cap if need be: it must not cost the
                connection what is queued already.
        """
        link.closing = reason
        link.events, link.reached = [], None
        self.let_go(cid, link)
        self._paused.stop(cid)
        self.turns.pop(cid, None)
        self.flow.forget(cid)
        self._lingering.start(cid, self.now)
        link.outbox.append(last_words)
        link.queued += len(last_words)
        self.octets += len(last_words)

    def take_half_close(self, cid: ConnectionId) -> bool:
        """Whether to end the stream to a connection now; true once."""
        link = self.by_id[cid]
        if link.closing is None or link.queued or link.done or link.half_closed:
            return False
        link.half_closed = True
        self._lingering.stop(cid)
        self._parting.start(cid, self.now)
        return True

    def give_up(self, cid: ConnectionId) -> None:
        """Wait no longer for a connection that is being closed."""
        link = self.by_id[cid]
        self.octets -= link.queued
        link.outbox.clear()
        link.queued = 0
        link.done = True
        self.ready[cid] = None


def front(outbox: list[bytes]) -> bytes:
    """What is to be written of a queue next, which is not all of a long one."""
    size = at = 0
    while at < len(outbox) and size < WRITE_SIZE:
        size += len(outbox[at])
        at += 1
    joined = b"".join(outbox[:at])
    if at > 1:
        outbox[:at] = [joined]
    return joined


def _drop(outbox: list[bytes], size: int) -> None:
    """Take so many octets off a queue that has more."""
    at = 0
    while (piece := len(outbox[at])) <= size:
        size -= piece
        at += 1
    outbox[at] = outbox[at][size:]
    del outbox[:at]
