"""Heartbeats: when to ask a silent server for a sign of life, and when to stop waiting for one."""

import math
from typing import Final

RETRIES: Final = 10
"""How often an adapter tries again to write before the server counts as hung."""


class Heartbeat:
    """Watches over a server's silence. All times are seconds on one clock.

    Everything that arrives is a sign of life. After `interval` seconds without one, a heartbeat is
    due. The connection is lost when the next `interval` seconds bring nothing either: no answer to
    the heartbeat, or no chance to write it because the server takes nothing.

    Args:
        interval: Seconds; None for no heartbeats.

    Raises:
        ValueError: The interval is not more than 0.
    """

    __slots__ = ("_asked", "_heard_at", "_interval", "_since", "due", "next_tick")

    def __init__(self, interval: float | None) -> None:
        # `<= 0` would let NaN pass.
        if interval is not None and not interval > 0:
            raise ValueError("heartbeat is more than 0 seconds")
        self._interval = math.inf if interval is None else interval
        self._heard_at = 0.0
        # When the wait began: with a sign of life, or when the heartbeat became due or was written.
        self._since = 0.0
        self._asked = False
        self.due: bool = False
        """Whether to write a heartbeat as soon as possible."""
        self.next_tick: float = math.inf
        """When to call `tick` at the latest."""

    def heard(self, now: float) -> None:
        """Note a sign of life."""
        self._heard_at = now
        self.due = self._asked = False
        self._begin(now)

    def asked(self, now: float) -> None:
        """Note that the heartbeat that was due is being written."""
        self.due, self._asked = False, True
        self._begin(now)

    def tick(self, now: float) -> float | None:
        """Advance the clock.

        Returns:
            For how many seconds the server has been silent, if it counts as hung; otherwise None.
        """
        if now >= self._since + self._interval:
            if self.due or self._asked:
                return now - self._heard_at
            self.due = True
            self._begin(now)
        if self.due:
            self.next_tick = min(self._since + self._interval, now + self._interval / RETRIES)
        return None

    def _begin(self, now: float) -> None:
        self._since = now
        self.next_tick = now + self._interval
