"""A broker's connections: what is queued for each, and how each ends."""

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from ..wire.limits import Limits
from .flow_control import Flow
from .log_events import CloseReason
from .peer import Link
from .send_queue import drop, front
from .timers import Deadlines

TURN: Final = 1000
"""Lines heard, members of groups looked at and messages delivered for one connection, before the
others have their turn. What is delivered at once counts as one line."""


class Links:
    """All connections, without what is said on them.

    Args:
        limits: What one connection may take, and all of them.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most = limits.total_queue_bytes
        self.by_id: dict[Any, Link] = {}
        """The connections, by what the adapter knows them by."""
        # A dict for a set that keeps its order: first queued, first written.
        self.ready: dict[Link, None] = {}
        """Those that want the adapter's attention."""
        self.flow: Flow[Link] = Flow(limits)
        """Who waits for whom."""
        self.octets = 0
        """All that is queued for somebody, or kept from senders that wait."""
        self.work = 0
        """What has been done in somebody's turn so far."""
        self.octets_out = 0
        """All that was ever written."""
        self.now = 0.0
        """The time of the last `tick`, in seconds."""
        # Connections that are being closed: those with a queue still, and those that only have to
        # close their half.
        self._lingering: Deadlines[Link] = Deadlines(limits.linger)
        self._parting: Deadlines[Link] = Deadlines(limits.goodbye)
        # Connections that have said too much: for as long as one more line takes.
        self._paused: Deadlines[Link] = Deadlines(1 / (limits.rate or 1.0))
        # Ordered for the reason in `Deadlines`.
        self.turns: OrderedDict[Link, None] = OrderedDict()
        """Those that have more to say than one turn takes."""

    def add(self, link: Link) -> None:
        """Take on a connection.

        Raises:
            ValueError: There is such a connection already.
        """
        if link.cid in self.by_id:
            raise ValueError(f"{link.cid!r} is connected already")
        self.by_id[link.cid] = link

    def remove(self, cid: Any) -> Link | None:
        """Forget a connection; None when there is no such."""
        link = self.by_id.pop(cid, None)
        if link is not None:
            self.flow.forget(link)
            self.octets -= link.queued + len(link.backlog)
            self.ready.pop(link, None)
            self._lingering.stop(link)
            self._parting.stop(link)
            self._paused.stop(link)
            self.turns.pop(link, None)
        return link

    def tick(self, now: float) -> Iterator[Link]:
        """Let time pass, and give up on those whose time to end is over.

        Returns:
            Those that are too slow.
        """
        self.now = now
        for deadlines in (self._lingering, self._parting):
            for link in deadlines.take_expired(now):
                self.give_up(link)
        return self.flow.tick(now)

    def queue(self, to: Collection[Link], line: bytes) -> Iterable[tuple[Link, CloseReason]]:
        """Queue a line for each of some connections.

        Returns:
            Those that are too slow, and by which rule.
        """
        ready, high = self.ready, self.flow.high_water
        slow: list[tuple[Link, CloseReason]] = []
        size = len(line)
        for link in to:
            if not link.queued:
                ready[link] = None
            link.outbox.append(line)
            link.queued += size
            if link.queued > high:
                self.flow.fill(link, self.now)
                if link.queued > self._limits.queue_bytes:
                    slow.append((link, CloseReason.FULL_QUEUE))
        self.octets += size * len(to)
        if self.octets > self._most:
            slow += [(link, CloseReason.FULL_QUEUES) for link in self.worst()]
        return slow

    def queue_all(self, to: Collection[Link], lines: bytes) -> bool:
        """Queue lines for each of some connections, if no rule can stand in between.

        Returns:
            False when one may; then nothing is queued.
        """
        ready, flow = self.ready, self.flow
        size = len(lines)
        octets = self.octets + size * len(to)
        if octets > self._most or (flow.full and not flow.full.keys().isdisjoint(to)):
            return False
        # What is queued for all is often less than what may be queued for one.
        if octets > flow.high_water:
            room = flow.high_water - size
            for link in to:
                if link.queued > room:
                    return False
        for link in to:
            if not link.queued:
                ready[link] = None
            link.outbox.append(lines)
            link.queued += size
        self.octets = octets
        self.work += 1 + len(to)
        return True

    def take_ready(self) -> list[Any]:
        """Those that want the adapter's attention since the last call."""
        ready = [link.cid for link in self.ready]
        self.ready.clear()
        return ready

    def take_outgoing(self) -> list[tuple[Any, bytes]]:
        """The same, each with what is to be written next."""
        ready = [
            # Nearly always there is one piece, and a call for it would cost as much as all else.
            (link.cid, link.outbox[0] if len(link.outbox) == 1 else front(link.outbox))
            for link in self.ready
        ]
        self.ready.clear()
        return ready

    def worst(self) -> Iterator[Link]:
        """Those to give up, so that all together keep to their bound."""
        bound = self._most
        if self.octets <= bound:
            return
        # Looking at all of them takes a while, so make room for a while.
        over = self.octets - bound + bound // 16
        # Senders that wait for somebody's queue are not to blame for what is kept from them.
        blame: Counter[Link] = Counter()
        for link in self.by_id.values():
            blame[link] += link.queued
            blame[self.flow.cause(link)] += len(link.backlog)
        for link, octets in blame.most_common():
            if over <= 0:
                return
            over -= octets
            yield link

    def sent(self, link: Link, size: int) -> bool:
        """Take note that the first `size` octets of a queue are on their way.

        They may be more than there are: the queue can be given up while the adapter is writing.

        Returns:
            Whether nothing else is to be done for the connection now.

        Raises:
            ValueError: They are fewer than none.
        """
        if size < 0:
            raise ValueError(f"{size} octets can't have been sent")
        left = link.queued - size
        if left < 0:
            size, left = link.queued, 0
        link.queued = left
        self.octets -= size
        self.octets_out += size
        if left:
            drop(link.outbox, size)
        else:
            link.outbox.clear()
        if link.closing is not None:
            return False
        flow = self.flow
        if left or (flow.late and link in flow.late) or (flow.full and link in flow.full):
            flow.sent(link, size, left, self.now)
        return not (left or link.held)

    def sent_all(self, sent: Iterable[tuple[Any, int]]) -> list[Any]:
        """The same for many, in half of the time where all is well.

        Returns:
            Those for which something else is to be done.
        """
        by_id, flow = self.by_id, self.flow
        unwatched = not (flow.late or flow.full)
        others: list[Any] = []
        octets = 0
        try:
            for cid, size in sent:
                link = by_id[cid]
                if size == link.queued and unwatched and link.closing is None and not link.held:
                    link.queued = 0
                    link.outbox.clear()
                    octets += size
                elif not self.sent(link, size):
                    others.append(cid)
        finally:
            self.octets -= octets
            self.octets_out += octets
        return others

    def hold(self, link: Link, backlog: bytes) -> None:
        """Have a connection wait, with what it has said further."""
        link.held = True
        link.backlog += backlog
        self.octets += len(backlog)
        self.ready[link] = None

    def pause(self, link: Link) -> None:
        """Have a connection wait until it may say one more line."""
        self._paused.start(link, self.now)

    def take_rested(self) -> Iterator[Link]:
        """Those that may say one more line."""
        return self._paused.take_expired(self.now)

    def let_go(self, link: Link) -> bytes:
        """Have a connection wait no more.

        Returns:
            What it has said further.
        """
        link.held = False
        backlog, link.backlog = link.backlog, b""
        self.octets -= len(backlog)
        self.ready[link] = None
        return backlog

    def close(self, link: Link, reason: CloseReason, last_words: bytes) -> None:
        """Have a connection end once its queue is written.

        Args:
            link: Which.
            reason: Why.
            last_words: What to queue for it, past the cap if need be: it must not cost the
                connection what is queued already.
        """
        link.closing = reason
        link.heading = b""
        link.events, link.reached = [], None
        self.let_go(link)
        self._paused.stop(link)
        self.turns.pop(link, None)
        self.flow.forget(link)
        self._lingering.start(link, self.now)
        link.outbox.append(last_words)
        link.queued += len(last_words)
        self.octets += len(last_words)

    def take_half_close(self, link: Link) -> bool:
        """Whether to end the stream to a connection now; true once."""
        if link.closing is None or link.queued or link.done or link.half_closed:
            return False
        link.half_closed = True
        self._lingering.stop(link)
        self._parting.start(link, self.now)
        return True

    def give_up(self, link: Link) -> None:
        """Wait no longer for a connection that is being closed."""
        self.octets -= link.queued
        link.outbox.clear()
        link.queued = 0
        link.done = True
        self.ready[link] = None
