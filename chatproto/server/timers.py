"""Who has how long."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic

from ..routing.actions import ConnectionId


class Deadlines(Generic[ConnectionId]):
    """Connections that all have the same time for something.

    So those that began first are over first, and nothing has to be sorted or searched.

    Args:
        span: How long each has, in seconds.
    """

    def __init__(self, span: float) -> None:
        self._span = span
        # A plain dict would look through what was deleted in front, time and again.
        self._ends: OrderedDict[ConnectionId, float] = OrderedDict()

    def start(self, cid: ConnectionId, now: float) -> None:
        """Give a connection its time from now on, whether it had any before or not."""
        self._ends[cid] = now + self._span
        self._ends.move_to_end(cid)

    def stop(self, cid: ConnectionId) -> None:
        """Forget a connection. One that has no time running is fine."""
        self._ends.pop(cid, None)

    def take_expired(self, now: float) -> Iterator[ConnectionId]:
        """Those whose time is over, each once, the longest over first."""
        while self._ends:
            cid, end = next(iter(self._ends.items()))
            if end > now:
                break
            del self._ends[cid]
            yield cid
