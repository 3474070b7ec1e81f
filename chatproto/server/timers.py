"""Deadlines of many connections."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic

from ..routing.actions import ConnectionId


class Timers(Generic[ConnectionId]):
    """Timers that all run for the same time.

    The one started first expires first, so nothing has to be sorted or searched.

    Args:
        span: How long each runs, in seconds.
    """

    def __init__(self, span: float) -> None:
        self._span = span
        # Ordered: a plain dict would search through the entries deleted in front, again and again.
        self._ends: OrderedDict[ConnectionId, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, cid: object) -> bool:
        """Whether a connection's timer runs."""
        return cid in self._ends

    def start(self, cid: ConnectionId, now: float, span: float | None = None) -> None:
        """Start a connection's timer, or start it anew.

        Args:
            cid: The connection.
            now: The time in seconds.
            span: How long it runs, if that is less than the others. It may expire as late as they.
        """
        self._ends[cid] = now + (self._span if span is None else span)
        self._ends.move_to_end(cid)

    def left(self, cid: ConnectionId, now: float) -> float | None:
        """How many seconds a connection's timer has left; None when it does not run."""
        return self._ends[cid] - now if cid in self._ends else None

    def stop(self, cid: ConnectionId) -> None:
        """Stop a connection's timer. One that does not run is fine."""
        self._ends.pop(cid, None)

    def take_expired(self, now: float) -> Iterator[ConnectionId]:
        """The connections whose timers have expired, each once, in the order of expiry."""
        while self._ends:
            cid, end = next(iter(self._ends.items()))
            if end > now:
                break
            del self._ends[cid]
            yield cid
