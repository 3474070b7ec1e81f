"""All links together: what a server decides, without the sockets it decides about."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import chain
from math import inf
from typing import Generic

from ..routing.actions import ConnectionId
from ..routing.policy import Policy
from ..wire.limits import Limits
from .admission import Admission, network_of
from .dispatcher import Exchange
from .log_events import CloseReason, Counters, Record
from .logins import Question
from .peer import Link
from .send_queue import front


class ChatBroker(Generic[ConnectionId]):
    """A chat server that only needs somebody to carry its bytes.

    An adapter does, for each wake-up:

    1. `tick(now)`, once even before anything else; while `busy`, there is no waiting before it;
    2. `receive`, `receive_eof` or `disconnect` for each connection about which there is news;
    3. for each id of `take_ready()`: write `outgoing(cid)`, report `sent(cid, n)`; when that left
       something, go on once the transport takes more; when `take_half_close(cid)`, end the stream
       to it; when `finished(cid)`, close the transport and call `disconnect(cid)`; and read from
       it only as long as `reading(cid)`;
    4. `take_records()`, for the log; they are kept until then.

    Who has many connections does 2 and 3 for all of them at once, in two thirds of the time, with
    `receive_all`, `take_outgoing` and `sent_all`.

    Every connection gets what was accepted for it in order and without a hole, or it is closed.
    Methods take a connection's id first, and raise KeyError when there is no such connection.

    Args:
        policy: The matters of taste.
        limits: What one connection may take, and all of them together.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).
            Without them the server is as silent as the one that CHAT/1.0 was published with.
        ask: Whether to ask for each LOGIN if it is allowed: see `take_questions`.
    """

    def __init__(
        self,
        *,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        notices: bool = True,
        ask: bool = False,
    ) -> None:
        self._limits = limits
        self._exchange = Exchange(policy=policy, limits=limits, notices=notices, ask=ask)
        self._hub = self._exchange.hub
        self._links = self._exchange.links
        self._by_id: dict[ConnectionId, Link] = self._links.by_id
        self._logins = self._exchange.logins
        self._journal = self._exchange.journal
        self._counters = self._journal.counters
        self._admission = Admission(limits)
        self._draining = False
        self._end = inf

    # What the adapter reports

    def connect(
        self,
        cid: ConnectionId,
        peer: str,
        *,
        address: str = "",
        secured: bool = True,
    ) -> None:
        """Take on a connection.

        Args:
            cid: What it will be known by until `disconnect`.
            peer: Where it comes from, for the log.
            address: The IP address that it comes from; empty when it does not come from one.
            secured: False when a TLS handshake comes first; call `secure` when it is done.

        Raises:
            ValueError: There is such a connection already.
        """
        link = Link(cid, peer, network_of(address), self._limits)
        self._links.add(link)
        self._hub.connect(link)
        self._counters.accepted += 1
        reason = self._admission.enter(link.network)
        if self._draining:
            self._exchange.close(link, CloseReason.SHUTTING_DOWN)
        elif reason is not None:
            self._exchange.close(link, reason)
            self._journal.turned_away(link, reason, self._links.now)
        else:
            self._logins.begin(link, self._links.now, secured=secured)

    def secure(self, cid: ConnectionId, identities: Collection[str] | None) -> None:
        """Take note that a connection has done its TLS handshake.

        Args:
            cid: Which.
            identities: The names that it has proved to be; None when nobody has asked it.
        """
        link = self._by_id[cid]
        link.identities = identities
        self._logins.secured(link)

    def receive(self, cid: ConnectionId, data: bytes) -> None:
        """Take `data`, the next octets of a connection's stream."""
        self.receive_all([(cid, data)])

    def receive_all(self, news: Collection[tuple[ConnectionId, bytes]]) -> None:
        """Take the next octets of some connections' streams: the same for less.

        Args:
            news: The connections' ids and the octets, in the order in which they are acted on. What
                stands before an id that is not known is acted on too.
        """
        self._counters.octets_in += sum([len(data) for _, data in news])
        self._exchange.hear_all(news)

    def receive_eof(self, cid: ConnectionId) -> None:
        """Take the end of a connection's stream. What is queued for it is still written."""
        link = self._by_id[cid]
        link.done = True
        self._links.ready[link] = None
        if link.closing is None and not link.held:
            self._exchange.obey(link, link.connection.receive_eof())

    def sent(self, cid: ConnectionId, size: int) -> bool:
        """Take note that the first `size` octets of `outgoing` are on their way.

        Do it after each attempt to write, also when it was for nothing, before waiting for the
        transport: from then on, the connection's time runs.

        Returns:
            Whether that was all, and nothing else is to be done for the connection now.

        Raises:
            ValueError: It is negative.
        """
        return self._links.sent(self._by_id[cid], size)

    def sent_all(self, sent: Iterable[tuple[ConnectionId, int]]) -> list[ConnectionId]:
        """Take note of what is on its way to some connections: the same as `sent` for less.

        Args:
            sent: The connections' ids, and of each how many octets.

        Returns:
            Those for which that was not all, or something else is to be done.

        Raises:
            ValueError: One of these numbers is negative. What stands before it is taken note of.
        """
        return self._links.sent_all(sent)

    def disconnect(self, cid: ConnectionId) -> None:
        """Forget a connection: its transport is closed or has failed. An unknown one is fine."""
        link = self._links.remove(cid)
        if link is None:
            return
        self._hub.disconnect(link)
        self._logins.forget(link)
        self._admission.leave(link.network)
        self._journal.closed(link)

    def tick(self, now: float) -> None:
        """Let time pass, and have those go on who wait for their turn.

        Call it at each wake-up, or every few milliseconds when there are many, and at least ten
        times a second.

        Args:
            now: Seconds on any clock that does not run backwards.
        """
        for link in self._links.tick(now):
            self._exchange.drop(link, CloseReason.SLOW_CONSUMER)
        for link, reason in self._logins.take_late(now):
            self._exchange.close(link, reason)
        self._exchange.take_turns()
        for link in chain(self._links.take_rested(), self._logins.take_undecided(now)):
            self._exchange.resume(link)
        if now >= self._end:
            self.abandon()

    def answer(self, token: int, *, allowed: bool) -> None:
        """Answer one of `take_questions`. That of a connection that is gone is fine."""
        link = self._logins.answer(token, allowed=allowed)
        if link is not None:
            self._exchange.resume(link)

    def drain(self) -> None:
        """Begin to end: tell everybody, and close each connection once its queue is written.

        It is over when `connections` is 0, which `tick` sees to within `Limits.grace`.
        """
        self._draining = True
        self._end = self._links.now + self._limits.grace
        for link in self._by_id.values():
            if link.closing is None:
                self._exchange.close(link, CloseReason.SHUTTING_DOWN)

    def abandon(self) -> None:
        """End now: give up on every connection and on what is queued for it. After `drain`."""
        for link in self._by_id.values():
            self._links.give_up(link)

    # What the adapter asks

    @property
    def connections(self) -> int:
        """How many connections there are, those being closed among them."""
        return len(self._by_id)

    def take_ready(self) -> list[ConnectionId]:
        """The connections that want attention since the last call: to be written to, or closed.

        Those that waited for somebody's queue go on here, so ask until there are none.
        """
        self._release()
        return self._links.take_ready()

    def take_outgoing(self) -> list[tuple[ConnectionId, bytes]]:
        """`take_ready`, each with its `outgoing`: the same for less."""
        self._release()
        return self._links.take_outgoing()

    @property
    def busy(self) -> bool:
        """Whether somebody waits for their turn: look for news if you like, then call `tick`."""
        return bool(self._links.turns)

    def outgoing(self, cid: ConnectionId) -> bytes:
        """What is to be written to a connection next: all that is queued, or about 64 KiB of it."""
        return front(self._by_id[cid].outbox)

    def reading(self, cid: ConnectionId) -> bool:
        """Whether to read from a connection now. What one that is to end sends is thrown away."""
        link = self._by_id[cid]
        return not link.done and not link.held

    def take_half_close(self, cid: ConnectionId) -> bool:
        """Whether to end the stream to a connection now; true once.

        A transport that can't do that is closed instead, as if `finished` were true.
        """
        return self._links.take_half_close(self._by_id[cid])

    def finished(self, cid: ConnectionId) -> bool:
        """Whether to close a connection now: neither side has anything to say."""
        link = self._by_id[cid]
        return link.closing is not None and link.done and not link.queued

    def take_records(self) -> list[Record]:
        """What has happened since the last call, for the log."""
        return self._journal.take()

    def take_questions(self) -> list[Question[ConnectionId]]:
        """The LOGINs since the last call that are to be allowed or not, by `answer`.

        What the same connections have said since then waits, for `Limits.auth_timeout` at the most.
        """
        return self._logins.take_questions()

    def snapshot(self) -> Counters:
        """The counters as they stand."""
        return replace(
            self._journal.snapshot(),
            connections=len(self._by_id),
            users=self._hub.users,
            groups=self._hub.groups,
            octets_out=self._links.octets_out,
            queued=self._links.octets,
            waiting=self._links.flow.waiting,
        )

    def _release(self) -> None:
        """Have those go on that waited for somebody's queue."""
        for link in self._links.flow.take_released():
            self._exchange.resume(link)
