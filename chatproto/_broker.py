"""All links together: what a server decides, without the sockets it decides about."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Generic

from ._actions import ConnectionId, Deliver, Refuse
from ._codec import encode
from ._deadlines import Deadlines
from ._errors import ErrorCode
from ._events import Event, Group, Leave, Login, Logout
from ._hub import ChatHub
from ._limits import Limits, RateLimiter
from ._link import Link
from ._notices import command_of, last_words, notice
from ._policy import Policy
from ._records import RECORDED, CloseReason, Counters, Happening, Record


class ChatBroker(Generic[ConnectionId]):
    """A chat server that only needs somebody to carry its bytes.

    An adapter does, for each wake-up:

    1. `tick(now)`, once even before anything else;
    2. `receive`, `receive_eof` or `disconnect` for each connection about which there is news;
    3. for each id of `take_ready()`: write `outgoing(cid)`, report `sent(cid, n)`; when that left
       something, go on once the transport takes more; when `take_half_close(cid)`, end the stream
       to it; when `finished(cid)`, close the transport and call `disconnect(cid)`; and read from
       it only as long as `reading(cid)`;
    4. `take_records()`, for the log; they are kept until then.

    Every connection gets what was accepted for it in order and without a hole, or it is closed.
    Methods take a connection's id first, and raise KeyError when there is no such connection.

    Args:
        policy: The matters of taste.
        limits: What one connection may take.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).
            Without them the server is as silent as the one that CHAT/1.0 was published with.
    """

    def __init__(
        self, *, policy: Policy = Policy(), limits: Limits = Limits(), notices: bool = True
    ) -> None:
        self._limits = limits
        self._notices = notices
        self._hub: ChatHub[ConnectionId] = ChatHub(policy)
        self._links: dict[ConnectionId, Link] = {}
        # A dict for a set that keeps its order: first queued, first written.
        self._ready: dict[ConnectionId, None] = {}
        # Connections that are being closed: those with a queue still, and those that only have to
        # close their half.
        self._lingering: Deadlines[ConnectionId] = Deadlines(limits.linger)
        self._parting: Deadlines[ConnectionId] = Deadlines(limits.goodbye)
        self._records: list[Record] = []
        self._now = 0.0
        self._draining = False
        self._counters = Counters()

    # What the adapter reports

    def connect(self, cid: ConnectionId, peer: str) -> None:
        """Take on a connection.

        Args:
            cid: What it will be known by until `disconnect`.
            peer: Where it comes from, for the log.

        Raises:
            ValueError: There is such a connection already.
        """
        self._hub.connect(cid)
        link = self._links[cid] = Link(peer, self._limits)
        self._counters.accepted += 1
        self._records.append(Record(Happening.ACCEPTED, peer, None))
        if self._draining:
            self._close(cid, link, CloseReason.SHUTTING_DOWN)

    def receive(self, cid: ConnectionId, data: bytes) -> None:
        """Take `data`, the next octets of a connection's stream."""
        link = self._links[cid]
        self._counters.octets_in += len(data)
        if link.closing is None:
            events = link.connection.receive_data(data)
            self._obey(cid, link, events, CloseReason.BAD_LINES)

    def receive_eof(self, cid: ConnectionId) -> None:
        """Take the end of a connection's stream. What is queued for it is still written."""
        link = self._links[cid]
        link.done = True
        self._ready[cid] = None
        if link.closing is None:
            self._obey(cid, link, link.connection.receive_eof(), CloseReason.EOF)

    def sent(self, cid: ConnectionId, size: int) -> bool:
        """Take note that the first `size` octets of `outgoing` are on their way.

        Returns:
            Whether that was all, and nothing else is to be done for the connection now.

        Raises:
            ValueError: It is negative.
        """
        if size < 0:
            raise ValueError(f"{size} octets can't have been sent")
        link = self._links[cid]
        outbox = link.outbox
        before = len(outbox)
        del outbox[:size]
        # Fewer than `size` when the queue was given up while the adapter was writing.
        self._counters.octets_out += before - len(outbox)
        return not outbox and link.closing is None

    def disconnect(self, cid: ConnectionId) -> None:
        """Forget a connection: its transport is closed or has failed. An unknown one is fine."""
        link = self._links.pop(cid, None)
        if link is None:
            return
        self._hub.disconnect(cid)
        self._ready.pop(cid, None)
        self._lingering.stop(cid)
        self._parting.stop(cid)
        reason = link.closing or CloseReason.LOST
        self._counters.closes[reason] += 1
        self._record(Happening.CLOSED, link, reason.value)

    def tick(self, now: float) -> None:
        """Let time pass. Call it at each wake-up, and at least once a second.

        Args:
            now: Seconds on any clock that does not run backwards.
        """
        self._now = now
        for deadlines in (self._lingering, self._parting):
            for cid in deadlines.take_expired(now):
                self._give_up(cid, self._links[cid])

    def drain(self) -> None:
        """Begin to end: tell everybody, and close each connection once its queue is written.

        It is over when `connections` is 0, which `tick` sees to after `Limits.linger` and
        `Limits.goodbye`.
        """
        self._draining = True
        for cid, link in self._links.items():
            if link.closing is None:
                self._close(cid, link, CloseReason.SHUTTING_DOWN)

    def abandon(self) -> None:
        """End now: give up on every connection and on what is queued for it. After `drain`."""
        for cid, link in self._links.items():
            self._give_up(cid, link)

    # What the adapter asks

    @property
    def connections(self) -> int:
        """How many connections there are, those being closed among them."""
        return len(self._links)

    def take_ready(self) -> list[ConnectionId]:
        """The connections that want attention since the last call: to be written to, or closed."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def outgoing(self, cid: ConnectionId) -> bytearray:
        """What is queued for a connection: the queue itself, so do not change or keep it."""
        return self._links[cid].outbox

    def reading(self, cid: ConnectionId) -> bool:
        """Whether to read from a connection now. What one that is to end sends is thrown away."""
        return not self._links[cid].done

    def take_half_close(self, cid: ConnectionId) -> bool:
        """Whether to end the stream to a connection now; true once.

        A transport that can't do that is closed instead, as if `finished` were true.
        """
        link = self._links[cid]
        if link.closing is None or link.outbox or link.done or link.half_closed:
            return False
        link.half_closed = True
        self._lingering.stop(cid)
        self._parting.start(cid, self._now)
        return True

    def finished(self, cid: ConnectionId) -> bool:
        """Whether to close a connection now: neither side has anything to say."""
        link = self._links[cid]
        return link.closing is not None and link.done and not link.outbox

    def take_records(self) -> list[Record]:
        """What has happened since the last call, for the log."""
        records = self._records
        self._records = []
        return records

    def snapshot(self) -> Counters:
        """The counters as they stand. Costs a look at each connection."""
        return replace(
            self._counters,
            connections=len(self._links),
            users=self._hub.users,
            groups=self._hub.groups,
            queued=sum(len(link.outbox) for link in self._links.values()),
            refusals=self._counters.refusals.copy(),
            closes=self._counters.closes.copy(),
        )

    # What happens inside

    def _obey(
        self, cid: ConnectionId, link: Link, events: Iterable[Event], ended: CloseReason
    ) -> None:
        """Have the hub decide, and do what it says; `ended` is what `ConnectionClosed` means."""
        for event in events:
            obeyed = True
            for action in self._hub.handle(cid, event):
                if isinstance(action, Deliver):
                    line = encode(action.message)
                    if len(line) > self._limits.max_line:
                        text = "the line would be too long for its recipients"
                        self._refuse(cid, link, event, ErrorCode.LINE_TOO_LONG, text)
                    else:
                        self._queue(action.to, line)
                        self._counters.messages += 1
                        self._counters.deliveries += len(action.to)
                elif isinstance(action, Refuse):
                    self._refuse(cid, link, event, action.code, action.text)
                    obeyed = False
                elif action.code is None:
                    reason = CloseReason.LOGGED_OUT if type(event) is Logout else ended
                    self._close(cid, link, reason)
                else:
                    self._close(action.cid, self._links[action.cid], CloseReason.REPLACED)
            happening = RECORDED.get(type(event))
            if happening is not None and obeyed:
                self._note(happening, link, event)
            if link.closing is not None:
                break

    def _note(self, happening: Happening, link: Link, event: Event) -> None:
        """Remember for the log that an event was obeyed."""
        subject = ""
        match event:
            case Login(name):
                if name == link.name:
                    return
                link.name = name
                self._counters.logins += 1
            case Group(name=group) | Leave(group):
                subject = group
        self._record(happening, link, subject)

    def _record(self, happening: Happening, link: Link, subject: str) -> None:
        self._records.append(Record(happening, link.peer, link.name, subject))

    def _refuse(
        self, cid: ConnectionId, link: Link, event: Event, code: ErrorCode, text: str
    ) -> None:
        """Tell a connection why its event was not obeyed, unless it has been told enough."""
        self._counters.refusals[code] += 1
        if not self._notices:
            return
        if link.notices is None:
            link.notices = RateLimiter(self._limits.notice_rate, self._limits.notice_burst)
        if link.notices.allow(self._now):
            self._queue((cid,), encode(notice(code, command_of(event), text)))

    def _queue(self, to: tuple[ConnectionId, ...], line: bytes) -> None:
        links, ready, cap = self._links, self._ready, self._limits.queue_bytes
        for cid in to:
            link = links[cid]
            outbox = link.outbox
            if not outbox:
                ready[cid] = None
            outbox += line
            if len(outbox) > cap:
                self._close(cid, link, CloseReason.SLOW_CONSUMER)
                self._give_up(cid, link)

    def _close(self, cid: ConnectionId, link: Link, reason: CloseReason) -> None:
        """Have a connection end once its queue is written: nobody hears of it or from it now."""
        link.closing = reason
        self._hub.disconnect(cid)
        self._ready[cid] = None
        self._lingering.start(cid, self._now)
        words = last_words(reason) if self._notices else None
        if words is not None:
            # Past the cap, if need be: they must not cost the connection what is queued already.
            link.outbox += encode(words)

    def _give_up(self, cid: ConnectionId, link: Link) -> None:
        """Wait no longer for a connection that is being closed."""
        link.outbox.clear()
        link.done = True
        self._ready[cid] = None
