"""Collects what a broker tells those who run it."""

from dataclasses import replace
from typing import Final

from ..wire.events import Event, Group, Leave, Login, Logout
from .close_reason import CloseReason
from .counters import Counters
from .log_events import LOGGED, EventKind, LogEvent
from .peer import Peer
from .rate_limiter import RateLimiter

LOG_BURST: Final = 20
"""Renames, groups made and groups left of one connection that are logged at once."""
LOG_RATE: Final = 1.0
"""The same for each second in the long run."""


class EventLog:
    """Log events, until somebody takes them, and counters."""

    def __init__(self) -> None:
        self._events: list[LogEvent] = []
        self.counters: Counters = Counters()
        """What has happened. The fields that say what there is now are not kept here."""
        # A flood of connections must not flood the log.
        self._turned_away = RateLimiter(1.0, 1)

    def accepted(self, peer: Peer) -> None:
        """Log a connection with its first bytes. One that connects and sends nothing is no news."""
        peer.has_sent = True
        self._add(EventKind.ACCEPTED, peer, None)

    def executed(self, peer: Peer, event: Event, name: str | None, now: float) -> None:
        """Log an event of a type in `LOGGED` that the server has executed.

        Args:
            peer: The connection that has sent it.
            event: The event.
            name: The connection's name before that.
            now: The time in seconds.
        """
        subject, who = "", name
        match event:
            case Login(new_name):
                if new_name == name:
                    return
                who = new_name
                self.counters.logins += 1
            case Group(name=group) | Leave(group):
                subject = group
        repeatable = name is not None and type(event) is not Logout
        if repeatable and not self._may_log(peer, now):
            return
        self._add(LOGGED[type(event)], peer, who, subject)

    def turned_away(self, peer: Peer, reason: CloseReason, now: float) -> None:
        """Log a connection that the server can't take on."""
        if self._turned_away.allow(now):
            self._add(EventKind.TURNED_AWAY, peer, None, reason.value)

    def group_expired(self, peer: Peer, name: str | None, group: str, now: float) -> None:
        """Log that a group has ended because a new one needed room.

        Args:
            peer: The connection that has made the new one.
            name: Its name.
            group: The group that has ended.
            now: The time in seconds.
        """
        if self._may_log(peer, now):
            self._add(EventKind.GROUP_EXPIRED, peer, name, group)

    def closed(self, peer: Peer, name: str | None) -> None:
        """Log that a connection is gone."""
        reason = peer.close_reason or CloseReason.LOST
        self.counters.closes[reason] += 1
        kind = EventKind.CLOSED if peer.has_sent else EventKind.PROBED
        self._add(kind, peer, name, reason.value)

    def take(self) -> list[LogEvent]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def snapshot(self) -> Counters:
        """A copy of the counters."""
        return replace(
            self.counters,
            refusals=self.counters.refusals.copy(),
            closes=self.counters.closes.copy(),
        )

    def _may_log(self, peer: Peer, now: float) -> bool:
        """Whether to log what a client can cause as often as it likes."""
        if peer.log_limiter is None:
            peer.log_limiter = RateLimiter(LOG_RATE, LOG_BURST)
        return peer.log_limiter.allow(now)

    def _add(self, kind: EventKind, peer: Peer, name: str | None, subject: str = "") -> None:
        self._events.append(LogEvent(kind, peer.origin, name, subject))
