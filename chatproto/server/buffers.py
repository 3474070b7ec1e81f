"""The bytes kept for connections: send queues, and what waiting connections have sent."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from .close_reason import CloseReason
from .flow_control import FlowControl
from .limits import Limits
from .peer import Peer, Phase, Waiting
from .send_queue import PACKED, drop, front, pack
from .work import FEW

# Constants, because to look up an enum's attribute takes noticeable time in a loop over all
# connections that were written to.
OPEN: Final = Phase.OPEN
NOTHING: Final = Waiting.NOTHING

BATCH: Final = 256
"""Most connections of each kind that the adapter gets for writing at once. In between, it looks at
the others."""

POINTER: Final = 8
"""Bytes that one entry in a collection takes at least."""


class Buffers:
    """All buffers together, and their common bound.

    Args:
        limits: The bounds on one queue and on all buffers.
        flow: The flow control, which is told which queues are full and what is written of them.
        by_id: All connections, by the adapter's ids; `Peers` adds and removes them.
    """

    def __init__(self, limits: Limits, flow: FlowControl[Peer], by_id: Mapping[Any, Peer]) -> None:
        self._limits = limits
        self._most = limits.total_queue_bytes
        self._flow = flow
        self._by_id = by_id
        self.total: int = 0
        """Bytes kept for all connections."""
        self.bytes_sent: int = 0
        """Bytes that were ever written."""
        # A dict serves as a set that keeps its order: first queued, first written.
        self.ready: dict[Peer, None] = {}
        """The connections that want the adapter's attention."""
        # The connections that want it because of a line to many. They come after the others.
        # Otherwise everybody would wait while the adapter writes to all of these.
        self._fan_out: dict[Peer, None] = {}

    def reconfigure(self, limits: Limits) -> None:
        """Use other bounds for what is queued from now on."""
        self._limits = limits
        self._most = limits.total_queue_bytes

    def queue(self, to: Collection[Peer], line: bytes) -> Iterable[tuple[Peer, CloseReason]]:
        """Add a line to the queues of some connections.

        Returns:
            The connections to abort, each with the bound that it exceeds.
        """
        ready = self.ready if len(to) <= FEW else self._fan_out
        high_water = self._flow.high_water
        crowded = self.total > high_water
        slow: list[tuple[Peer, CloseReason]] = []
        size = len(line)
        for peer in to:
            if not peer.queued_bytes:
                ready[peer] = None
            peer.queue.append(line)
            peer.queued_bytes += size
            if crowded and len(peer.queue) >= PACKED:
                pack(peer.queue)
            if peer.queued_bytes > high_water:
                self._flow.mark_full(peer)
                if peer.queued_bytes > self._limits.queue_bytes:
                    slow.append((peer, CloseReason.FULL_QUEUE))
        self.total += size * len(to)
        if self.total > self._most:
            slow += [(peer, CloseReason.FULL_QUEUES) for peer in self.largest()]
        return slow

    def queue_unless_full(self, to: Collection[Peer], lines: bytes) -> bool:
        """Add lines to the queues of some connections, if that fills none and exceeds no bound.

        Returns:
            Whether the lines were added: to all of the queues or to none.
        """
        size = len(lines)
        total = self.total + size * len(to)
        flow = self._flow
        # Often all buffers together hold less than one queue may. Then no queue can overflow.
        if (total > flow.high_water or flow.full) and not self._have_room(to, size, total):
            return False
        ready = self.ready if len(to) <= FEW else self._fan_out
        for peer in to:
            if not peer.queued_bytes:
                ready[peer] = None
            peer.queue.append(lines)
            peer.queued_bytes += size
        self.total = total
        return True

    def queue_both_unless_full(
        self,
        to: Collection[Peer],
        lines: bytes,
        others: Collection[Peer],
        other_lines: bytes,
    ) -> bool:
        """The same for two kinds of lines, each to recipients of its own: add all or nothing."""
        size, other_size = len(lines), len(other_lines)
        total = self.total + size * len(to) + other_size * len(others)
        if (total > self._flow.high_water or self._flow.full) and not (
            self._have_room(to, size, total) and self._have_room(others, other_size, total)
        ):
            return False
        return self.queue_unless_full(to, lines) and self.queue_unless_full(others, other_lines)

    def _have_room(self, to: Collection[Peer], size: int, total: int) -> bool:
        """Whether some queues can take `size` bytes each, and all buffers together `total`."""
        full, room = self._flow.full, self._flow.high_water - size
        if total > self._most or not full.keys().isdisjoint(to):
            return False
        for peer in to:
            if peer.queued_bytes > room:
                return False
            if len(peer.queue) >= PACKED:
                # Pack here: while little is kept, nobody calls this, so it takes no time.
                pack(peer.queue)
        return True

    def take_ready(self) -> list[Any]:
        """The ids of some connections that want attention since the last call."""
        return [peer.cid for peer in self._take_batch()]

    def take_outgoing(self) -> list[tuple[Any, bytes]]:
        """The same, each with what to write next."""
        return [
            # Nearly always a queue has one piece. To call `front` would cost as much as all else.
            (peer.cid, peer.queue[0] if len(peer.queue) == 1 else front(peer.queue))
            for peer in self._take_batch()
        ]

    def _take_batch(self) -> Iterable[Peer]:
        if len(self.ready) <= BATCH and not self._fan_out:
            ready, self.ready = self.ready, {}
            return ready
        batch: dict[Peer, None] = {}
        for ready in (self.ready, self._fan_out):
            for peer in list(islice(ready, BATCH)):
                del ready[peer]
                batch[peer] = None
        return batch

    def sent(self, peer: Peer, size: int) -> bool:
        """Note that the adapter has written the first `size` bytes of a queue.

        The queue may have fewer bytes: it may have been dropped in the meantime.

        Returns:
            Whether nothing else is to be done for the connection now.

        Raises:
            ValueError: The size is negative.
        """
        if size < 0:
            raise ValueError(f"{size} bytes can't have been sent")
        left = peer.queued_bytes - size
        if left < 0:
            size, left = peer.queued_bytes, 0
        peer.queued_bytes = left
        self.total -= size
        self.bytes_sent += size
        if left:
            drop(peer.queue, size)
        else:
            peer.queue.clear()
        if peer.phase is not OPEN:
            return False
        flow = self._flow
        if left or (flow.late and peer in flow.late) or (flow.full and peer in flow.full):
            flow.sent(peer, size, left)
        return not left and peer.waiting is NOTHING

    def sent_all(self, sent: Iterable[tuple[Any, int]]) -> list[Any]:
        """The same for many connections, in half of the time if each queue is written to its end.

        Args:
            sent: The connections' ids, none twice, each with the bytes written.

        Returns:
            The ids of those for which something else is to be done.
        """
        by_id, flow = self._by_id, self._flow
        unwatched = not (flow.late or flow.full)
        others: list[Any] = []
        total = 0
        try:
            for cid, size in sent:
                peer = by_id[cid]
                if (
                    size == peer.queued_bytes
                    and unwatched
                    and peer.phase is OPEN
                    and peer.waiting is NOTHING
                ):
                    peer.queued_bytes = 0
                    peer.queue.clear()
                    total += size
                elif not self.sent(peer, size):
                    others.append(cid)
        finally:
            self.total -= total
            self.bytes_sent += total
        return others

    def keep(self, peer: Peer, unparsed: bytes, undelivered: Collection[Peer] = ()) -> None:
        """Keep what a waiting connection has sent.

        Args:
            peer: The connection.
            unparsed: What to add to what is kept already.
            undelivered: The recipients that do not have its first message yet, if others have.
        """
        peer.unparsed += unparsed
        peer.undelivered = undelivered or peer.undelivered
        self.total += len(unparsed) + POINTER * len(undelivered)
        self.ready[peer] = None

    def take_kept(self, peer: Peer) -> tuple[bytes, Collection[Peer]]:
        """Take what was kept by `keep`."""
        unparsed, undelivered = peer.unparsed, peer.undelivered
        self.total -= self._kept(peer)
        peer.unparsed, peer.undelivered = b"", ()
        self.ready[peer] = None
        return unparsed, undelivered

    def drop_queue(self, peer: Peer) -> None:
        """Empty a queue without writing it."""
        self.total -= peer.queued_bytes
        peer.queue.clear()
        peer.queued_bytes = 0
        self.ready[peer] = None

    def queue_last(self, peer: Peer, line: bytes) -> None:
        """Add the last line to a queue, even if it exceeds the bound.

        Under the bound, this line could cost the connection what is queued for it already.

        Args:
            peer: The connection.
            line: The line; empty for none.
        """
        if line:
            peer.queue.append(line)
            peer.queued_bytes += len(line)
            self.total += len(line)
        self.ready[peer] = None

    def forget(self, peer: Peer) -> None:
        """Forget a connection that is gone."""
        self.total -= peer.queued_bytes + self._kept(peer)
        self.ready.pop(peer, None)
        self._fan_out.pop(peer, None)

    def largest(self) -> Iterator[Peer]:
        """The connections to abort so that all buffers together keep their bound, largest first.

        Some bytes are queued for connections, or wait for such a queue. The owner of the queue is
        to blame for them. The other bytes come from connections that wait for another reason; the
        sender is to blame. Only the larger of the two parts counts.
        """
        if self.total <= self._most:
            return
        # To look at all connections takes time, so free a sixteenth of the bound in addition.
        excess = self.total - self._most + self._most // 16
        queued: Counter[Peer] = Counter()
        unparsed: Counter[Peer] = Counter()
        for peer in self._by_id.values():
            queued[peer] += peer.queued_bytes
            # A sender that waits for a queue is not to blame, unless the queue is on another node.
            blocker = self._flow.blocked_by(peer)
            if type(blocker) is Peer:
                queued[blocker] += self._kept(peer)
            else:
                unparsed[peer] += self._kept(peer)
        for peer, size in max(queued, unparsed, key=Counter.total).most_common():
            if excess <= 0 or not size:
                return
            excess -= size
            yield peer

    @staticmethod
    def _kept(peer: Peer) -> int:
        return len(peer.unparsed) + POINTER * len(peer.undelivered)
