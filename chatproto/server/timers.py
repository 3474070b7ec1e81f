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
        self.span: float = span
        """How long each runs, in seconds. A change also applies to those that run already."""
        # An OrderedDict, because a plain dict would search through the entries that were deleted in
        # front, again and again.
        self._starts: OrderedDict[ConnectionId, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._starts)

    def __contains__(self, cid: object) -> bool:
        """Whether a connection's timer runs."""
        return cid in self._starts

    def start(self, cid: ConnectionId, now: float, span: float | None = None) -> None:
        """Start a connection's timer, or start it anew.

        Args:
            cid: The connection.
            now: The time in seconds.
            span: How long it runs, if that is less than the others. It may expire late, but no
                later than a timer that runs for the full time.
        """
        # One that runs for less time counts as started earlier.
        self._starts[cid] = now if span is None else now - max(self.span - span, 0.0)
        self._starts.move_to_end(cid)

    def left(self, cid: ConnectionId, now: float) -> float | None:
        """How many seconds a connection's timer has left; None when it does not run."""
        return self._starts[cid] + self.span - now if cid in self._starts else None

    def stop(self, cid: ConnectionId) -> None:
        """Stop a connection's timer, if it runs."""
        self._starts.pop(cid, None)

    def take_expired(self, now: float) -> Iterator[ConnectionId]:
        """The connections whose timers have expired, each once, in the order of expiry."""
        while self._starts:
            cid, start = next(iter(self._starts.items()))
            if start + self.span > now:
                break
            del self._starts[cid]
            yield cid
