"""Acting on what connections say."""

from collections.abc import Hashable, Sequence
from typing import Final, Generic

from ._actions import Action, ConnectionId, Deliver, Refuse
from ._codec import encode
from ._errors import ErrorCode
from ._events import Broadcast, Event, Group, Login, Logout, Send
from ._hub import ChatHub
from ._journal import Journal
from ._limits import Limits
from ._link import Link
from ._links import Links
from ._logins import Logins
from ._notices import Notices
from ._policy import Policy
from ._records import RECORDED, CloseReason
from ._run import Run

SLICE: Final = 4096
"""Octets that are parsed before they are acted on."""

TURN: Final = 1000
"""Lines heard, members of groups looked at and messages delivered for one connection, before the
others have their turn."""


class Exchange(Generic[ConnectionId]):
    """Where the hub's decisions meet the queues, and what stands between them.

    Args:
        policy: The matters of taste.
        limits: What one connection may take, and all of them together.
        notices: Whether to tell clients why something was refused.
        ask: Whether to ask for each LOGIN if it is allowed.
    """

    def __init__(self, *, policy: Policy, limits: Limits, notices: bool, ask: bool) -> None:
        self.hub: ChatHub[ConnectionId] = ChatHub(policy, limits)
        self.links: Links[ConnectionId] = Links(limits)
        self.logins: Logins[ConnectionId] = Logins(limits, ask=ask)
        self.journal = Journal()
        self._limits = limits
        self._notices = Notices(limits, enabled=notices)
        self.work = 0
        """What has been done in somebody's turn so far; see TURN."""

    def hear(self, cid: ConnectionId, link: Link, data: bytes) -> None:
        """Act on octets that a connection has sent, in what is left of its turn."""
        # In pieces: should a message have to wait, what comes after it is kept, and takes a tenth
        # of the memory as long as it is not parsed.
        at = 0
        while at < len(data):
            end = data.rfind(b"\n", at, at + SLICE) + 1 or at + SLICE
            piece = data[at:end]
            at = end
            if not self._relay(cid, link, piece):
                events = link.connection.receive_data(piece)
                link.undisturbed = link.connection.undisturbed
                self.obey(cid, link, events)
                if link.closing is not None:
                    break
            if self.work >= TURN and at < len(data) and not link.held:
                self.links.end_turn(cid)
                self._hold(cid, link, (), None)
            if link.held:
                self.keep(cid, link, data[at:])
                break

    def _relay(self, cid: ConnectionId, link: Link, data: bytes) -> bool:
        """Deliver many messages as if they were one, which has the same effect as `obey`.

        Returns:
            False when it could have another; then nothing has happened.
        """
        if link.name is None or link.pace is not None or not link.undisturbed:
            return False
        run = link.run
        lines = b"" if run is None else run.rewrite(data, self._limits.max_line)
        if run is None or not lines:
            link.run = run = Run.begin(data, link.name)
            if run is None:
                return False
            lines = run.rewrite(data, self._limits.max_line)
            if not lines:
                return False
        to = self.hub.recipients(cid, run.event)
        if not to or isinstance(to, Refuse) or not self.links.queue_all(to, lines):
            return False
        number = data.count(b"\n")
        counters = self.journal.counters
        counters.messages += number
        counters.deliveries += number * len(to)
        self.work += self.hub.cost(run.event) + len(to)
        return True

    def keep(self, cid: ConnectionId, link: Link, data: bytes) -> None:
        """Keep octets of a connection that waits."""
        self.links.hold(cid, link, data)
        for each in self.links.worst():
            self.drop(each, CloseReason.FULL_QUEUES)

    def resume(self, cid: ConnectionId) -> None:
        """Have a connection that waited go on."""
        link = self.links[cid]
        backlog = self.links.let_go(cid, link)
        events, link.events = link.events, []
        reached, link.reached = link.reached, None
        self.work = 0
        self.obey(cid, link, events, reached)
        if link.held:
            self.keep(cid, link, backlog)
        elif link.closing is None:
            self.hear(cid, link, backlog)
        if link.done and not link.held and link.closing is None:
            self.obey(cid, link, link.connection.receive_eof())

    def obey(
        self,
        cid: ConnectionId,
        link: Link,
        events: Sequence[Event],
        reached: frozenset[Hashable] | None = None,
    ) -> None:
        """Have the hub decide, and do what it says.

        Args:
            cid: Who said something.
            link: Its link.
            events: What it said.
            reached: Who has what the first event says already; None when it has not been begun.
        """
        flow = self.links.flow
        counters = self.journal.counters
        for number, event in enumerate(events):
            if reached is None and link.pace is not None and not link.pace.allow(self.links.now):
                self.links.pause(cid)
                counters.paused += 1
                self._hold(cid, link, events[number:], None)
                return
            actions: list[Action[ConnectionId]]
            if type(event) is Login:
                verdict = self.logins.check(cid, link, event.name, self.links.now)
                if verdict is False:
                    self._hold(cid, link, events[number:], frozenset())
                    return
                actions = (
                    self.hub.handle(cid, event) if verdict is True else [Refuse(cid, *verdict)]
                )
            else:
                actions = self.hub.handle(cid, event)
            obeyed = True
            for action in actions:
                if isinstance(action, Deliver):
                    line = encode(action.message)
                    if len(line) > self._limits.max_line:
                        text = "the line would be too long for its recipients"
                        self._refuse(cid, link, event, ErrorCode.LINE_TOO_LONG, text)
                        continue
                    to = action.to
                    if reached:
                        to = tuple(each for each in to if each not in reached)
                    broadcast = type(event) is Broadcast
                    blockers = flow.blockers(to, broadcast=broadcast)
                    if blockers:
                        # First of all: what is queued now may end a blocker, or the sender.
                        flow.wait(cid, next(iter(blockers)), broadcast=broadcast)
                        to = tuple(each for each in to if each not in blockers)
                        self._hold(cid, link, events[number:], (reached or frozenset()).union(to))
                        self._queue(to, line)
                        counters.deliveries += len(to)
                        return
                    self._queue(to, line)
                    self.work += len(to)
                    counters.messages += 1
                    counters.deliveries += len(to)
                elif isinstance(action, Refuse):
                    self._refuse(cid, link, event, action.code, action.text)
                    obeyed = False
                elif action.code is None:
                    if type(event) is Logout:
                        reason = CloseReason.LOGGED_OUT
                    else:
                        reason = CloseReason.EOF if link.done else CloseReason.BAD_LINES
                    self.close(cid, link, reason)
                else:
                    self.close(action.cid, self.links[action.cid], CloseReason.REPLACED)
            if obeyed and type(event) in RECORDED:
                self.journal.obeyed(link, event, self.links.now)
                if type(event) is Login:
                    self.logins.end(cid)
                    link.run = None
            if link.closing is not None:
                break
            reached = None
            self.work += self._cost(event)
            if self.work >= TURN and number + 1 < len(events):
                self.links.end_turn(cid)
                self._hold(cid, link, events[number + 1 :], None)
                return

    def _cost(self, event: Event) -> int:
        """What an event is worth of a turn, whatever came of it."""
        if isinstance(event, Send | Broadcast):
            return self.hub.cost(event)
        return 1 + len(event.members) if isinstance(event, Group) else 1

    def _hold(
        self,
        cid: ConnectionId,
        link: Link,
        events: Sequence[Event],
        reached: frozenset[Hashable] | None,
    ) -> None:
        """Have a connection wait with what it has said."""
        link.events = list(events)
        link.reached = reached
        self.links.hold(cid, link, b"")

    def _refuse(
        self, cid: ConnectionId, link: Link, event: Event, code: ErrorCode, text: str
    ) -> None:
        """Tell a connection why its event was not obeyed, unless it has been told enough."""
        self.journal.counters.refusals[code] += 1
        if line := self._notices.answer(link, event, code, text, self.links.now):
            self._queue((cid,), line)

    def _queue(self, to: tuple[ConnectionId, ...], line: bytes) -> None:
        for cid, reason in self.links.queue(to, line):
            self.drop(cid, reason)

    def close(self, cid: ConnectionId, link: Link, reason: CloseReason) -> None:
        """Have a connection end once its queue is written: nobody hears of it or from it now."""
        self.hub.disconnect(cid)
        self.logins.forget(cid)
        self.links.close(cid, link, reason, self._notices.last_words(reason))

    def drop(self, cid: ConnectionId, reason: CloseReason) -> None:
        """End a connection that does not take what is queued for it."""
        link = self.links[cid]
        if link.closing is None:
            self.close(cid, link, reason)
        self.links.give_up(cid)
