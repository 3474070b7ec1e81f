"""Acting on what connections say."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from ..routing.actions import Action, Deliver, Refuse
from ..routing.hub import ChatHub
from ..routing.policy import Policy
from ..wire.codec import encode, received_from
from ..wire.errors import ErrorCode
from ..wire.events import Broadcast, Event, Group, Login, Logout
from ..wire.limits import Limits
from ..wire.line_buffer import LF
from .event_log import Journal
from .fast_path import Relay
from .log_events import RECORDED, CloseReason
from .logins import Logins
from .notices import Notices
from .peer import Link
from .peers import TURN, Links

SLICE: Final = 4096
"""Octets that are parsed before they are acted on."""

ROUND: Final = 2 * TURN
"""The same for all connections together, before there is a look at who else has something to say.
A message by itself on the short way does not count: it goes to a few connections at the most."""


class Exchange:
    """Where the hub's decisions meet the queues, and what stands between them.

    Args:
        policy: The matters of taste.
        limits: What one connection may take, and all of them together.
        notices: Whether to tell clients why something was refused.
        ask: Whether to ask for each LOGIN if it is allowed.
    """

    def __init__(self, *, policy: Policy, limits: Limits, notices: bool, ask: bool) -> None:
        self.hub: ChatHub[Link] = ChatHub(policy, limits)
        self.links = Links(limits)
        self.logins = Logins(limits, ask=ask)
        self.journal = Journal()
        self._limits = limits
        self._notices = Notices(limits, enabled=notices)
        self._relay = Relay(self.hub, self.links, limits, self.journal.counters)

    def hear_all(self, news: Iterable[tuple[Any, bytes]]) -> None:
        """Act on octets that connections have sent, each in a turn of its own.

        Args:
            news: Their ids, and the octets.
        """
        done = 0
        for link, data in self._relay.deliver(news):
            if link.held:
                self.keep(link, data)
            elif link.closing is None:
                if not link.heard:
                    self.journal.heard(link)
                if done < ROUND:
                    self.links.work = 0
                    self.hear(link, data)
                    done += self.links.work
                else:
                    self._end_turn(link)
                    self.keep(link, data)

    def hear(self, link: Link, data: bytes) -> None:
        """Act on octets that a connection has sent, in what is left of its turn."""
        # In pieces: should a message have to wait, what comes after it is kept, and takes a tenth
        # of the memory as long as it is not parsed.
        at, size = 0, len(data)
        while at < size:
            end = at + SLICE
            if not link.undisturbed and link.connection.inside:
                # After the rest of that line the short way is open again.
                end = data.find(b"\n", at, end) + 1 or end
            elif end < size or data[-1] != LF:
                end = data.rfind(b"\n", at, end) + 1 or end
            piece = data[at:end]
            done = 0
            if link.heading and link.undisturbed:
                done = self._relay.deliver_run(link, piece)
            if not done:
                done = len(piece)
                events = link.connection.receive_data(piece)
                link.undisturbed = link.connection.undisturbed
                self.obey(link, events)
                if link.closing is not None:
                    break
            at += done
            if at < size and self.links.work >= TURN and not link.held:
                self._end_turn(link)
            if link.held:
                self.keep(link, data[at:])
                break

    def keep(self, link: Link, data: bytes) -> None:
        """Keep octets of a connection that waits."""
        self.links.hold(link, data)
        for each in self.links.worst():
            self.drop(each, CloseReason.FULL_QUEUES)

    def take_turns(self) -> None:
        """Have those go on that have waited for their turn, the first ones first."""
        done, turns = 0, self.links.turns
        for _ in range(len(turns)):
            if done >= ROUND or not turns:
                return
            self.resume(turns.popitem(last=False)[0])
            done += self.links.work

    def resume(self, link: Link) -> None:
        """Have a connection that waited go on."""
        backlog = self.links.let_go(link)
        events, link.events = link.events, []
        reached, link.reached = link.reached, None
        self.links.work = 0
        self.obey(link, events, reached)
        if link.held:
            self.keep(link, backlog)
        elif link.closing is None:
            self.hear(link, backlog)
        if link.done and not link.held and link.closing is None:
            self.obey(link, link.connection.receive_eof())

    def obey(
        self,
        link: Link,
        events: Sequence[Event],
        reached: frozenset[Link] | None = None,
    ) -> None:
        """Have the hub decide, and do what it says.

        Args:
            link: Who said something.
            events: What it said.
            reached: Who has what the first event says already; None when it has not been begun.
        """
        flow = self.links.flow
        counters = self.journal.counters
        for number, event in enumerate(events):
            if reached is None and link.pace is not None and not link.pace.allow(self.links.now):
                self.links.pause(link)
                counters.paused += 1
                self._hold(link, events[number:], None)
                return
            actions: list[Action[Link]]
            if type(event) is Login:
                verdict = self.logins.check(link, event.name, self.links.now)
                if verdict is False:
                    self._hold(link, events[number:], frozenset())
                    return
                actions = (
                    self.hub.handle(link, event) if verdict is True else [Refuse(link, *verdict)]
                )
            else:
                actions = self.hub.handle(link, event)
            obeyed = True
            for action in actions:
                if isinstance(action, Deliver):
                    line = encode(action.message)
                    if len(line) > self._limits.max_line:
                        text = "the line would be too long for its recipients"
                        self._refuse(link, event, ErrorCode.LINE_TOO_LONG, text)
                        continue
                    to = action.to
                    if reached:
                        to = tuple(each for each in to if each not in reached)
                    broadcast = type(event) is Broadcast
                    blockers = flow.blockers(to, broadcast=broadcast)
                    if blockers:
                        # First of all: what is queued now may end a blocker, or the sender.
                        flow.wait(link, next(iter(blockers)), broadcast=broadcast)
                        to = tuple(each for each in to if each not in blockers)
                        self._hold(link, events[number:], (reached or frozenset()).union(to))
                        self._queue(to, line)
                        self.links.work += len(to)
                        counters.deliveries += len(to)
                        return
                    self._queue(to, line)
                    self.links.work += len(to)
                    counters.messages += 1
                    counters.deliveries += len(to)
                elif isinstance(action, Refuse):
                    self._refuse(link, event, action.code, action.text)
                    obeyed = False
                elif action.code is None:
                    if type(event) is Logout:
                        reason = CloseReason.LOGGED_OUT
                    else:
                        reason = CloseReason.EOF if link.done else CloseReason.BAD_LINES
                    self.close(link, reason)
                else:
                    self.close(action.cid, CloseReason.REPLACED)
            if obeyed and type(event) in RECORDED:
                self.journal.obeyed(link, event, self.links.now)
                if type(event) is Login:
                    self.logins.end(link)
                    if link.pace is None:
                        link.heading = received_from(event.name)
            if link.closing is not None:
                break
            reached = None
            self.links.work += self._cost(event)
            if self.links.work >= TURN and number + 1 < len(events):
                self._end_turn(link, events[number + 1 :])
                return

    def _cost(self, event: Event) -> int:
        """What an event is worth of a turn, whatever came of it."""
        if isinstance(event, Broadcast):
            return 1 + self.hub.members(event.group)
        return 1 + len(event.members) if isinstance(event, Group) else 1

    def _end_turn(self, link: Link, events: Sequence[Event] = ()) -> None:
        """Have a connection wait until the others have had their turn."""
        self.links.turns[link] = None
        self._hold(link, events, None)

    def _hold(
        self,
        link: Link,
        events: Sequence[Event],
        reached: frozenset[Link] | None,
    ) -> None:
        """Have a connection wait with what it has said."""
        link.events = list(events)
        link.reached = reached
        self.links.hold(link, b"")

    def _refuse(self, link: Link, event: Event, code: ErrorCode, text: str) -> None:
        """Tell a connection why its event was not obeyed, unless it has been told enough."""
        self.journal.counters.refusals[code] += 1
        if line := self._notices.answer(link, event, code, text, self.links.now):
            self._queue((link,), line)

    def _queue(self, to: Collection[Link], line: bytes) -> None:
        for link, reason in self.links.queue(to, line):
            self.drop(link, reason)

    def close(self, link: Link, reason: CloseReason) -> None:
        """Have a connection end once its queue is written: nobody hears of it or from it now."""
        self.hub.disconnect(link)
        self.logins.forget(link)
        self.links.close(link, reason, self._notices.last_words(reason))

    def drop(self, link: Link, reason: CloseReason) -> None:
        """End a connection that does not take what is queued for it."""
        if link.closing is None:
            self.close(link, reason)
        self.links.give_up(link)
