"""Flow control: which sender waits for which recipient, and which recipient is too slow.

Theory of operation
===================

Each recipient has a send queue, which the adapter writes to the network. A recipient that is slower
than its senders would let the queue grow without end. There are three ways out: drop messages, hold
the senders, close the recipient. Dropping would leave a hole in a stream, so it is out. Holding is
right for a recipient that is merely slow, because TCP then tells the sender to slow down. Closing
is right for one that has stopped. What remains is to tell the two apart, and to make sure that one
slow recipient holds nobody but those who write to it. Four rules do that:

1. A queue of more than `Limits.high_water` bytes is full, until half of that is left. The gap
   between the two marks makes a sender wait seldom and long instead of often and briefly.
2. A message for a full queue is not delivered as long as the queue drains. Its sender waits, and
   all that the sender has sent behind that message waits too; nobody else does. Other recipients of
   the same message get it at once. Otherwise a sender to many would wait until all their queues
   have room at the same moment. Senders that wait for one queue resume one after another, in the
   order in which they came. The first may fill the queue again, and then the second goes on
   waiting.
3. A queue drains if it loses `Limits.drain_rate`, over windows of `WINDOW` seconds. A queue that
   has just become full gets the benefit of the doubt for its first window. A queue that does not
   drain holds nobody: messages are added to it however full it is. For a while after that, other
   connections from the same network get no benefit of the doubt, unless their queues have drained
   before. So a client that does not read holds senders once, for less than a second, even if it
   connects again and again. A connection that itself waits for a queue that drains has an excuse: a
   client that is blocked in a write may be unable to read.
4. A connection whose oldest queued byte is older than `Limits.queue_age`, or whose queue exceeds
   `Limits.queue_bytes`, is closed. The age stands still while the server keeps the connection
   waiting. The server does not read from it then, so the client may be blocked in a write and
   unable to read.

So every queue is bounded by rule 4. A slow recipient slows down those who write to it, and nothing
is lost. One that has stopped costs them less than a second, and is closed.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Final, Generic

from ..routing.actions import ConnectionId
from .limits import Limits
from .timers import Timers

WINDOW: Final = 0.35
"""Seconds over which a full queue is watched. A recipient that stops may still have taken enough in
the first of two windows. With a tick every 0.1 s, a sender waits for it for less than a second."""


CHAIN: Final = 8
"""Longest chain of waits, from one connection to the next, that excuses a full queue."""


class FlowControl(Generic[ConnectionId]):
    """The state behind the four rules above.

    Args:
        limits: The numbers in the rules.
        source: Tells where a connection comes from. The answer is the same for all connections that
            one person may have.
    """

    def __init__(self, limits: Limits, source: Callable[[ConnectionId], Hashable]) -> None:
        self._source = source
        self.high_water: int = _high_water(limits)
        """A queue of more bytes than this is full."""
        self.full: dict[ConnectionId, int] = {}
        """The full queues, each with the bytes written since its window began."""
        self.late: dict[ConnectionId, int] = {}
        """The queues that could not be written at once. The number is how many bytes are left of
        those that were queued when the age timer started."""
        self._now = 0.0
        self._share = limits.drain_rate * WINDOW
        # In this order: full queues that drain, or have the benefit of the doubt; those that
        # drained in their last window; and connections whose queue drained in two windows in a row.
        # One window proves nothing, because the buffers of the system take some bytes.
        self._draining: set[ConnectionId] = set()
        self._good: set[ConnectionId] = set()
        self._proven: set[ConnectionId] = set()
        self._windows: Timers[ConnectionId] = Timers(WINDOW)
        # The sources of connections whose queues did not drain a short time ago.
        self._distrusted: Timers[Hashable] = Timers(limits.queue_age)
        # The senders that wait for each full queue. OrderedDicts, for the reason in `Timers`.
        self._waiters: dict[ConnectionId, OrderedDict[ConnectionId, None]] = {}
        self._waits_for: dict[ConnectionId, ConnectionId] = {}
        # Queues that have room again while senders still wait for them; senders that may resume.
        self._opened: dict[ConnectionId, None] = {}
        self._released: OrderedDict[ConnectionId, None] = OrderedDict()
        self._ages: Timers[ConnectionId] = Timers(limits.queue_age)
        # Connections whose age stands still, each with the seconds left; None if it has not begun.
        self._stopped_ages: dict[ConnectionId, float | None] = {}

    def reconfigure(self, limits: Limits) -> None:
        """Use other numbers from now on. Queues that are full stay so until half is left."""
        self.high_water = _high_water(limits)
        self._share = limits.drain_rate * WINDOW
        self._distrusted.span = limits.queue_age
        self._ages.span = limits.queue_age

    @property
    def waiting(self) -> int:
        """How many senders wait."""
        return len(self._waits_for)

    @property
    def has_released(self) -> bool:
        """Whether `next_released` may give a sender."""
        return bool(self._released or self._opened)

    def mark_full(self, cid: ConnectionId) -> None:
        """Note that a queue exceeds `high_water`."""
        if cid not in self.full:
            self.full[cid] = 0
            self._draining.add(cid)
            self._opened.pop(cid, None)
            self._windows.start(cid, self._now)

    def blockers(self, to: tuple[ConnectionId, ...]) -> Collection[ConnectionId]:
        """The recipients whose queues a message has to wait for, in their order."""
        draining = self._draining
        if not draining or draining.isdisjoint(to):
            return ()
        return dict.fromkeys(cid for cid in to if cid in draining and self._is_trusted(cid))

    def wait(self, cid: ConnectionId, queue: ConnectionId) -> None:
        """Let a sender wait for a full queue."""
        self._waiters.setdefault(queue, OrderedDict())[cid] = None
        self._waits_for[cid] = queue

    def stop_age(self, cid: ConnectionId) -> None:
        """Let the age of a connection's queue stand still: the server keeps it waiting."""
        self._stopped_ages[cid] = self._ages.left(cid, self._now)
        self._ages.stop(cid)

    def start_age(self, cid: ConnectionId) -> None:
        """Let the age of a connection's queue go on."""
        left = self._stopped_ages.pop(cid, None)
        if cid in self.late and cid not in self._ages:
            self._ages.start(cid, self._now, left)

    def blocked_by(self, cid: ConnectionId) -> ConnectionId | None:
        """The owner of the queue that a connection waits for, if it waits for one."""
        return self._waits_for.get(cid)

    def sent(self, cid: ConnectionId, size: int, left: int) -> None:
        """Note that the adapter has tried to write a queue.

        Args:
            cid: Whose queue.
            size: Bytes written.
            left: Bytes left.
        """
        if not left:
            if self.late.pop(cid, None) is not None:
                self._ages.stop(cid)
        elif self.late.get(cid, 0) > size:
            self.late[cid] -= size
        else:
            self.late[cid] = left
            if cid in self._stopped_ages:
                self._stopped_ages[cid] = None
            else:
                self._ages.start(cid, self._now)
        if cid in self.full:
            self.full[cid] += size
            if size and cid not in self._windows:
                self._windows.start(cid, self._now)
            if left <= self.high_water // 2:
                self._mark_open(cid)
                if cid in self._waiters:
                    self._opened[cid] = None

    def tick(self, now: float) -> Iterator[ConnectionId]:
        """Advance the clock: judge the full queues whose window is over.

        Args:
            now: Seconds on a clock that does not run backwards.

        Returns:
            The connections that are too slow by rule 4.
        """
        self._now = now
        for _ in self._distrusted.take_expired(now):
            pass
        for cid in self._windows.take_expired(now):
            if self.full[cid] >= self._share:
                self._draining.add(cid)
                (self._proven if cid in self._good else self._good).add(cid)
            elif self._is_held_up(cid):
                # It may be unable to read, which is not its fault. Watch it for one more window.
                self._windows.start(cid, now)
            elif cid in self._draining:
                self._draining.discard(cid)
                self._good.discard(cid)
                self._proven.discard(cid)
                self._distrusted.start(self._source(cid), now)
                for sender in list(self._waiters.get(cid, ())):
                    self._release(sender)
            # A queue that has stopped is watched again when some of it is written.
            if self.full[cid]:
                self.full[cid] = 0
                self._windows.start(cid, now)
        return self._take_too_old()

    def next_released(self) -> ConnectionId | None:
        """The next sender that may resume. Resume it before the next call: it may fill the queue.

        Returns:
            The sender; None when there is none.
        """
        while not self._released:
            if not self._opened:
                return None
            queue = next(iter(self._opened))
            if queue in self._waiters:
                self._release(next(iter(self._waiters[queue])))
            else:
                del self._opened[queue]
        return self._released.popitem(last=False)[0]

    def forget(self, cid: ConnectionId) -> None:
        """Forget a connection that is being closed: release its waiters, and end its own wait."""
        self._mark_open(cid)
        self._good.discard(cid)
        self._proven.discard(cid)
        self._stopped_ages.pop(cid, None)
        if self.late.pop(cid, None) is not None:
            self._ages.stop(cid)
        self._opened.pop(cid, None)
        for sender in list(self._waiters.get(cid, ())):
            self._release(sender)
        if cid in self._waits_for:
            self._stop_waiting(cid)
        self._released.pop(cid, None)

    def _is_held_up(self, cid: ConnectionId) -> bool:
        """Whether a connection waits for one that drains, directly or through others that wait."""
        if cid not in self._waits_for:
            return False
        for _ in range(CHAIN):
            cid = self._waits_for.get(cid, cid)
        return cid in self._draining and cid not in self._waits_for

    def _is_trusted(self, cid: ConnectionId) -> bool:
        """Whether a full queue gets the benefit of the doubt, or needs none."""
        if cid in self._proven or not self._distrusted:
            return True
        source = self._source(cid)
        if source not in self._distrusted:
            return True
        # Each message to such a queue prolongs the distrust.
        self._distrusted.start(source, self._now)
        return False

    def _take_too_old(self) -> Iterator[ConnectionId]:
        for cid in self._ages.take_expired(self._now):
            del self.late[cid]
            yield cid

    def _release(self, sender: ConnectionId) -> None:
        self._stop_waiting(sender)
        self._released[sender] = None

    def _stop_waiting(self, sender: ConnectionId) -> None:
        queue = self._waits_for.pop(sender)
        waiters = self._waiters[queue]
        del waiters[sender]
        if not waiters:
            del self._waiters[queue]
        if sender in self._draining:
            # Its excuse ends here, so a new window begins.
            self.full[sender] = 0
            self._windows.start(sender, self._now)

    def _mark_open(self, cid: ConnectionId) -> None:
        if self.full.pop(cid, None) is not None:
            self._draining.discard(cid)
            self._windows.stop(cid)


def _high_water(limits: Limits) -> int:
    """The size above which a queue is full. It leaves room for one more line."""
    return min(limits.high_water, limits.queue_bytes // 2, limits.queue_bytes - limits.max_line)
