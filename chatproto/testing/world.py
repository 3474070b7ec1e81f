"""A server and its connections in memory, with a clock that others move."""

import heapq
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from math import inf
from typing import Final

from ..routing.policy import Policy
from ..server.broker import ChatBroker
from ..server.dispatcher import NO_HOOKS
from ..server.hooks import Hooks
from ..server.limits import Limits
from ..server.log_events import EventKind, LogEvent
from .link import Link

STEP: Final = 0.1
"""The most seconds by which the clock moves at once: the broker wants ten ticks a second."""


ENDLESS: Final = "the bots answer one another, or themselves, without end: none ever waits"
"""What is raised in a test whose bots never come to rest."""


class NothingWillArrive(BaseException):
    """A call waits for something that will never come, because everybody waits.

    It is no `Exception`, so that a bot that goes on after each error ends too.
    """


class Timer:
    """A call that is made once the clock has reached a time.

    Args:
        when: The time.
        callback: What to call.
    """

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when: float = when
        """The time."""
        self.callback: Callable[[], object] | None = callback
        """What to call; None once that is done, or not wanted any more."""

    def cancel(self) -> None:
        """Do not call it."""
        self.callback = None


class World:
    """A server and its connections in memory, with a clock that others move.

    Args:
        policy: The server's policy.
        limits: The server's limits.
        notices: Whether the server tells clients why it refuses something.
        hooks: The server's hooks.
    """

    def __init__(
        self, policy: Policy, limits: Limits, *, notices: bool, hooks: Hooks = NO_HOOKS
    ) -> None:
        self._policy = policy
        # The log is how the world knows who is who, so that it must be complete.
        self._limits = replace(limits, log_lines=sys.maxsize)
        self._notices = notices
        self._hooks = hooks
        self.now: float = 0.0
        """The time in seconds."""
        self.log: list[LogEvent] = []
        """What the server has logged."""
        self.refused: set[str] = set()
        """Names that nobody may log in under."""
        self.changes: int = 0
        """How often something has changed."""
        self.on_change: Callable[[], object] | None = None
        """Called when something has changed for a client."""
        self._numbers = count(1)
        self._links: dict[str, Link] = {}
        # Links with bytes left to write.
        self._blocked: set[str] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._broker: ChatBroker[str] | None = None
        self._settling = False
        self.start()

    # The server

    @property
    def names(self) -> list[str]:
        """The names of those who are logged in."""
        return sorted({link.name for link in self._links.values() if link.name is not None})

    def start(self) -> None:
        """Start the server, unless it runs."""
        if self._broker is None:
            self._broker = ChatBroker(
                policy=self._policy,
                limits=self._limits,
                notices=self._notices,
                ask=True,
                hooks=self._hooks,
            )
            self._broker.tick(self.now)

    def stop(self) -> None:
        """Stop the server, if it runs: tell everybody, and close all connections."""
        if self._broker is not None:
            self._broker.drain()
            self.settle()
            self._broker.abort()
            self.settle()
            self._broker = None

    def links_of(self, name: str) -> list[Link]:
        """The connections that are logged in under a name.

        Raises:
            LookupError: There is none.
        """
        links = [link for link in self._links.values() if link.name == name]
        if not links:
            online = ", ".join(self.names) or "nobody"
            raise LookupError(f"nobody is logged in as {name}; online: {online}")
        return links

    def kick(self, name: str, text: str) -> int:
        """End all connections under a name. Returns how many there were."""
        kicked = 0 if self._broker is None else self._broker.desk.kick(name, text)
        self._touched()
        return kicked

    def lose(self, links: list[Link]) -> None:
        """Break connections, of which there are none while the server does not run."""
        if self._broker is not None:
            for link in links:
                link.lose()
                self._broker.disconnect(link.origin)
                self._forget(link)
            self._touched()

    def set_speed(self, links: list[Link], bytes_per_second: float) -> None:
        """Set how fast what the server writes reaches clients."""
        for link in links:
            link.set_speed(bytes_per_second)
        self.settle()

    @property
    def links(self) -> list[Link]:
        """All connections."""
        return list(self._links.values())

    # What adapters do

    def open(self) -> Link:
        """Make a connection.

        Raises:
            ConnectionRefusedError: The server does not run.
        """
        if self._broker is None:
            raise ConnectionRefusedError("Connection refused")
        link = Link(f"memory:{next(self._numbers)}", self._touched)
        self._links[link.origin] = link
        self._broker.connect(link.origin, link.origin)
        self._touched()
        return link

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call something once the clock has reached a time."""
        timer = Timer(when, callback)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    @property
    def has_timers(self) -> bool:
        """Whether there is a call to make later."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return bool(self._timers)

    def step(self, limit: float) -> None:
        """Move the clock towards a time by at most `STEP`, and do what follows from that."""
        next_timer = self._timers[0][0] if self.has_timers else inf
        before, self.now = self.now, max(self.now, min(self.now + STEP, limit, next_timer))
        for link in self._links.values():
            link.pass_time(self.now - before)
        if self._broker is not None:
            self._broker.tick(self.now)
        self.settle()
        while self._timers and self._timers[0][0] <= self.now:
            _, _, timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
                self._changed()

    def settle(self) -> None:
        """Carry bytes between the server and its clients until nothing moves."""
        if self._settling:
            # A hook has changed something. The call that it is called in goes on with that.
            return
        self._settling = True
        try:
            while self._broker is not None and self._carry(self._broker):
                self._changed()
            if self._broker is not None:
                self._read_log(self._broker)
        finally:
            self._settling = False

    # The adapter of the broker

    def _touched(self) -> None:
        self._changed()
        self.settle()

    def _changed(self) -> None:
        self.changes += 1
        if self.on_change is not None:
            self.on_change()

    def _carry(self, broker: ChatBroker[str]) -> bool:
        """Carry what there is to carry. Returns whether that was anything."""
        moved = False
        for link in self.links:
            if (link.to_server or link.client_closed) and broker.next_step(link.origin).read:
                data = bytes(link.to_server)
                link.to_server.clear()
                if data:
                    broker.receive(link.origin, data)
                else:
                    broker.receive_eof(link.origin)
                moved = True
        for question in broker.take_questions():
            allowed = question.name not in self.refused
            broker.answer(question.token, allowed=allowed)
            moved = True
        if broker.busy:
            broker.tick(self.now)
            moved = True
        blocked, self._blocked = self._blocked, set()
        for origin in dict.fromkeys((*broker.take_ready(), *sorted(blocked))):
            moved |= self._write(broker, self._links[origin])
        return moved

    def _write(self, broker: ChatBroker[str], link: Link) -> bool:
        """Do what the broker says for one connection. Returns whether that was anything."""
        moved = False
        while unwritten := broker.next_step(link.origin).write:
            size = link.write(unwritten)
            broker.sent(link.origin, size)
            moved |= bool(size)
            if size < len(unwritten):
                self._blocked.add(link.origin)
                break
        if broker.next_step(link.origin).half_close:
            link.server_closed = moved = True
            link.name = None
            broker.half_closed(link.origin)
        if broker.next_step(link.origin).close:
            link.server_closed = moved = True
            broker.disconnect(link.origin)
            self._read_log(broker)
            self._forget(link)
        return moved

    def _forget(self, link: Link) -> None:
        link.name = None
        self._links.pop(link.origin, None)
        self._blocked.discard(link.origin)

    def _read_log(self, broker: ChatBroker[str]) -> None:
        for event in broker.take_log_events():
            self.log.append(event)
            link = self._links.get(event.peer or "")
            if link is not None:
                match event.kind:
                    case EventKind.LOGGED_IN:
                        link.name = event.name
                    case EventKind.LOGGED_OUT:
                        link.name = None
