"""Collects what a broker tells those who run it."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final

from ..wire.events import Event, Group, Leave, Login
from .close_reason import CloseReason
from .counters import Counters
from .limits import Limits
from .log_events import LOGGED, EventKind, LogEvent
from .peer import Peer
from .rate_limiter import RateLimiter

LOG_WINDOW: Final = 60.0
"""Seconds that the window for `Limits.log_lines` lasts."""

MAX_NETWORKS: Final = 10_000
"""Most networks whose lines are counted at the same time."""

MAX_ENDS: Final = 100
"""Most windows that end in one tick, so that it does not take long."""

_TOLD: Final = (
    CloseReason.HANDSHAKE_FAILED,
    CloseReason.PLAINTEXT,
    CloseReason.BAD_PROXY_HEADER,
)
"""The reasons for closing that another event has told already."""

_NEWS: Final = (
    CloseReason.HANDSHAKE_TIMEOUT,
    CloseReason.TOO_MANY_HANDSHAKES,
    CloseReason.PROXY_HEADER_TIMEOUT,
)
"""The reasons for closing that are news even if the connection has sent no line."""

THIS_MACHINE: Final = "this machine"
"""What the log calls the network of connections that have none."""


@dataclass(slots=True)
class _Window:
    """What is logged about one network for a while."""

    end: float
    lines: int = 0
    left_out: int = 0


class EventLog:
    """Keeps log events until somebody takes them, and counters.

    One network can't fill the log. The first event about a network begins a window of time. In this
    window, the first events are logged and the others are counted. When the window ends, one more
    event tells how many were left out.

    Args:
        limits: How many events are logged in one window.
    """

    def __init__(self, limits: Limits) -> None:
        self._most = limits.log_lines
        self._now = 0.0
        # When the shutdown has begun, while it is not over.
        self._shut_down_at: float | None = None
        self._events: list[LogEvent] = []
        self.counters: Counters = Counters()
        """What has happened. The broker adds the fields that say what there is now."""
        # By network. The window that began first is in front. All last equally long.
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._turned_away = RateLimiter(1.0, 1)

    def reconfigure(self, limits: Limits) -> None:
        """Use another bound from now on, also in windows that have begun."""
        self._most = limits.log_lines

    def tick(self, now: float) -> None:
        """Advance the clock: tell what was left out in the windows that are over."""
        self._now = now
        for _ in range(MAX_ENDS):
            if not self._windows or next(iter(self._windows.values())).end > now:
                break
            self._end_window()

    def shutting_down(self, connections: int) -> None:
        """Log that the shutdown of the whole server has begun.

        Args:
            connections: How many connections there are.
        """
        self._shut_down_at = self._now
        self._events.append(LogEvent(EventKind.SHUTTING_DOWN, count=connections))

    def finish(self, cut_off: int) -> None:
        """Tell what was left out in all windows, and once that the shutdown is over.

        Args:
            cut_off: The connections that were cut off during the shutdown.
        """
        while self._windows:
            self._end_window()
        if self._shut_down_at is not None:
            seconds = round(self._now - self._shut_down_at, 3)
            self._shut_down_at = None
            self._events.append(LogEvent(EventKind.SHUT_DOWN, count=cut_off, seconds=seconds))

    def connected(self, peer: Peer) -> None:
        """Count a new connection, and number it."""
        self.counters.accepted += 1
        peer.number = self.counters.accepted

    def accepted(self, peer: Peer) -> None:
        """Log a connection when its first bytes arrive. One that sends nothing is no news."""
        peer.has_sent = True
        self._add(EventKind.ACCEPTED, peer, None)

    def executed(self, peer: Peer, event: Event, name: str | None) -> None:
        """Log an event of a type in `LOGGED` that the server has executed.

        Args:
            peer: The connection that has sent it.
            event: The event.
            name: The connection's name before that.
        """
        who = name
        group: str | None = None
        match event:
            case Login(new_name):
                if new_name == name:
                    return
                who = new_name
                self.counters.logins += 1
            case Group(name=group) | Leave(group):
                pass
        self._add(LOGGED[type(event)], peer, who, group=group)

    def turned_away(self, peer: Peer, reason: CloseReason) -> None:
        """Log a connection that the server can't take on, one a second at most."""
        if self._turned_away.allow(self._now):
            self._events.append(_event(EventKind.TURNED_AWAY, peer, None, reason=reason.value))
        else:
            self._window(peer.network).left_out += 1

    def login_refused(self, peer: Peer, name: str, code: str, text: str) -> None:
        """Log that a connection may not log in under a name, and why."""
        self._add(EventKind.LOGIN_REFUSED, peer, name, code=code, reason=text)

    def handshake_failed(self, peer: Peer, reason: str) -> None:
        """Log that the TLS handshake of a connection has failed. Its end is not logged again."""
        self._add(EventKind.HANDSHAKE_FAILED, peer, None, reason=reason)

    def bad_proxy_header(self, peer: Peer, reason: str) -> None:
        """Log that a connection has no good PROXY header. Its end is not logged again."""
        self._add(EventKind.BAD_PROXY_HEADER, peer, None, reason=reason)

    def authenticate_failed(self, peer: Peer, name: str, error: str) -> None:
        """Log that the application could not decide whether a connection may log in."""
        self._add(EventKind.AUTHENTICATE_FAILED, peer, name, reason=error)

    def hook_failed(self, peer: Peer, name: str | None, error: str) -> None:
        """Log that one of the application's hooks has failed."""
        self._add(EventKind.HOOK_FAILED, peer, name, reason=error)

    def operator(self, text: str, operator: str | None = None) -> None:
        """Log what those who run the server have done.

        Args:
            text: What, in words.
            operator: The name of the operator; None if it is not known.
        """
        self._events.append(LogEvent(EventKind.OPERATOR, reason=text, operator=operator))

    def group_expired(self, peer: Peer, name: str | None, group: str) -> None:
        """Log that a group has ended because a new one, or a new member, needed room.

        Args:
            peer: The connection that has made the new one, or added the member.
            name: Its name.
            group: The group that has ended.
        """
        self._add(EventKind.GROUP_EXPIRED, peer, name, group=group)

    def member_added(self, peer: Peer, name: str | None, group: str, member: str) -> None:
        """Log that a group has a new member.

        Args:
            peer: The connection that has asked for it.
            name: Its name.
            group: The group.
            member: The new member.
        """
        self._add(EventKind.MEMBER_ADDED, peer, name, group=group, member=member)

    def closed(self, peer: Peer, name: str | None) -> None:
        """Log that a connection is gone."""
        reason = peer.close_reason or CloseReason.LOST
        self.counters.closes[reason] += 1
        if reason in _TOLD:
            return
        is_news = peer.has_sent or reason in _NEWS
        kind = EventKind.CLOSED if is_news else EventKind.PROBED
        self._add(kind, peer, name, reason=reason.value)

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
            lag=self.counters.lag.copy(),
        )

    def _add(self, kind: EventKind, peer: Peer, name: str | None, **others: Any) -> None:
        window = self._window(peer.network)
        if window.lines < self._most:
            window.lines += 1
            self._events.append(_event(kind, peer, name, **others))
        else:
            window.left_out += 1

    def _window(self, network: str) -> _Window:
        """The window of a network, which may begin now."""
        window = self._windows.get(network)
        if window is None:
            if len(self._windows) == MAX_NETWORKS:
                self._end_window()
            window = self._windows[network] = _Window(self._now + LOG_WINDOW)
        return window

    def _end_window(self) -> None:
        network, window = self._windows.popitem(last=False)
        if window.left_out:
            where = network or THIS_MACHINE
            self._events.append(LogEvent(EventKind.LEFT_OUT, where, count=window.left_out))


def _event(kind: EventKind, peer: Peer, name: str | None, **others: Any) -> LogEvent:
    return LogEvent(kind, peer.origin, name, connection=peer.number, **others)
