"""Flow control: who has to wait for whom, and who is too slow to be waited for."""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import Final, Generic

from ..routing.actions import ConnectionId
from ..wire.limits import Limits
from .timers import Deadlines

WINDOW: Final = 0.35
"""Seconds over which a full queue is watched. Somebody who takes nothing more may still have taken
enough in the first of two windows. With a tick every 0.1 s nobody waits for a second because of
that."""


class Flow(Generic[ConnectionId]):
    """The rules, in one place.

    1. A queue of more than `Limits.high_water` octets is full, until half of that is left.
    2. What would go into a full queue is not delivered. Its sender waits, and whatever else the
       sender has to say waits behind it; nobody else does. Other recipients of the same message
       have it at once, so nobody waits until several queues happen to have room at one time. Those
       who wait for one queue go on one after another, in the order in which they came.
    3. A broadcast does not wait for a queue that is not emptied at `Limits.drain_rate` at least.
       It is delivered into that one however full it is.
    4. Whose oldest queued octet is older than `Limits.queue_age`, or whose queue has come to
       `Limits.queue_bytes`, is too slow and is closed.

    So every queue is bounded, a sender waits for its own recipient for `queue_age` at the most,
    and a group for a member that takes nothing for less than a second.

    Args:
        limits: The numbers.
    """

    def __init__(self, limits: Limits) -> None:
        # A queue that is not full has to have room for a line.
        self.high_water = min(
            limits.high_water, limits.queue_bytes // 2, limits.queue_bytes - limits.max_line
        )
        """More octets than this make a queue full."""
        self._share = limits.drain_rate * WINDOW
        self.full: dict[ConnectionId, int] = {}
        """The full queues, and of each how much has been taken since its window began."""
        # Those among them that are emptied at a real rate.
        self._draining: set[ConnectionId] = set()
        self._windows: Deadlines[ConnectionId] = Deadlines(WINDOW)
        # Those that wait for each full queue, and whether with a broadcast. Ordered dicts, for the
        # reason in `Deadlines`.
        self._waiters: dict[ConnectionId, OrderedDict[ConnectionId, bool]] = {}
        self._waits_for: dict[ConnectionId, ConnectionId] = {}
        # Queues that are full no more but have waiters still, and those that wait for nothing now.
        self._opened: dict[ConnectionId, None] = {}
        self._released: OrderedDict[ConnectionId, None] = OrderedDict()
        self.late: dict[ConnectionId, int] = {}
        """The queues that could not be written at once, and of each how much of what was there when
        its time began is there still."""
        self._ages: Deadlines[ConnectionId] = Deadlines(limits.queue_age)

    @property
    def waiting(self) -> int:
        """How many senders wait."""
        return len(self._waits_for)

    def fill(self, cid: ConnectionId, now: float) -> None:
        """Take note that a queue is over `high_water`."""
        if cid not in self.full:
            self.full[cid] = 0
            self._draining.add(cid)
            self._opened.pop(cid, None)
            self._windows.start(cid, now)

    def blockers(
        self, to: tuple[ConnectionId, ...], *, broadcast: bool
    ) -> Collection[ConnectionId]:
        """Those among some queues that a message has to wait for, in their order."""
        full = self._draining if broadcast else self.full.keys()
        if not full or full.isdisjoint(to):
            return ()
        return dict.fromkeys(cid for cid in to if cid in full)

    def wait(self, cid: ConnectionId, queue: ConnectionId, *, broadcast: bool) -> None:
        """Have a sender wait for a full queue."""
        self._waiters.setdefault(queue, OrderedDict())[cid] = broadcast
        self._waits_for[cid] = queue

    def cause(self, cid: ConnectionId) -> ConnectionId:
        """Whose queue a connection waits for; itself when it waits for none."""
        return self._waits_for.get(cid, cid)

    def sent(self, cid: ConnectionId, size: int, left: int, now: float) -> None:
        """Take note that a queue was written, as far as that went.

        Args:
            cid: Whose queue.
            size: Octets written.
            left: Octets left.
            now: The time in seconds.
        """
        if not left:
            if self.late.pop(cid, None) is not None:
                self._ages.stop(cid)
        elif self.late.get(cid, 0) > size:
            self.late[cid] -= size
        else:
            self.late[cid] = left
            self._ages.start(cid, now)
        if cid in self.full:
            self.full[cid] += size
            if left <= self.high_water // 2:
                self._empty(cid)
                if cid in self._waiters:
                    self._opened[cid] = None

    def tick(self, now: float) -> Iterator[ConnectionId]:
        """Let time pass.

        Returns:
            Those that are too slow.
        """
        for cid in self._windows.take_expired(now):
            if self.full[cid] >= self._share:
                self._draining.add(cid)
            elif cid in self._draining:
                self._draining.discard(cid)
                for sender, broadcast in list(self._waiters.get(cid, {}).items()):
                    if broadcast:
                        self._release(sender)
            self.full[cid] = 0
            self._windows.start(cid, now)
        for cid in self._ages.take_expired(now):
            del self.late[cid]
            yield cid

    def take_released(self) -> Iterator[ConnectionId]:
        """The senders that may go on; each is to be given its turn before the next is asked for."""
        while True:
            if self._released:
                yield self._released.popitem(last=False)[0]
            elif self._opened:
                queue = next(iter(self._opened))
                if queue in self._waiters:
                    self._release(next(iter(self._waiters[queue])))
                else:
                    del self._opened[queue]
            else:
                return

    def forget(self, cid: ConnectionId) -> None:
        """Have nobody wait for a queue that is going to be closed, nor its owner for any."""
        self._empty(cid)
        if self.late.pop(cid, None) is not None:
            self._ages.stop(cid)
        self._opened.pop(cid, None)
        for sender in list(self._waiters.get(cid, ())):
            self._release(sender)
        if cid in self._waits_for:
            self._unwait(cid)
        self._released.pop(cid, None)

    def _release(self, sender: ConnectionId) -> None:
        self._unwait(sender)
        self._released[sender] = None

    def _unwait(self, sender: ConnectionId) -> None:
        queue = self._waits_for.pop(sender)
        waiters = self._waiters[queue]
        del waiters[sender]
        if not waiters:
            del self._waiters[queue]

    def _empty(self, cid: ConnectionId) -> None:
        if self.full.pop(cid, None) is not None:
            self._draining.discard(cid)
            self._windows.stop(cid)
