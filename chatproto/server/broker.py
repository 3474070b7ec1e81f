"""All connections together: a whole server's decisions, without the sockets."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from math import inf
from typing import Generic

from ..routing.actions import ConnectionId
from ..routing.changes import GroupChange, GroupMade
from ..routing.policy import Policy
from ..wire.events import BytesLike, Command
from .admission import Admission, network_of
from .close_reason import CloseReason
from .counters import Counters
from .desk import Desk
from .dispatcher import NO_HOOKS, Dispatcher
from .hooks import Hook, HookQuestion, Hooks, HookVerdict
from .limits import Limits
from .log_events import LogEvent
from .logins import Question
from .peer import Peer, Phase
from .peers import Step
from .replication import Replication


class ChatBroker(Generic[ConnectionId]):
    """A chat server without I/O: an adapter moves its bytes and tells it the time.

    For each wake-up, the adapter calls

    1. `tick(now)`, and once before anything else too. While `busy` is true, it does not wait first;
    2. `receive`, `receive_eof` or `disconnect` for each connection on which something has happened;
    3. `next_step` for each id of `take_ready()`, and does what that says: write and report `sent`;
       end our half of the stream and report `half_closed`; close the transport and report
       `disconnect`; and read from the connection only while `Step.read` is true. The adapter
       writes what is left when the transport takes more;
    4. `take_log_events()` and `take_questions()`. The broker keeps log events until then. With
       `ask_hooks`, also `take_hook_questions()` and `take_withdrawn_questions()`.

    With `receive_all`, `take_outgoing` and `sent_all` an adapter does 2 and 3 for all connections
    at once, in two thirds of the time.

    Every connection gets all that was accepted for it, in order, or it is closed. Methods that take
    a connection's id raise KeyError when there is no such connection.

    Args:
        policy: The choices that the protocol leaves open.
        limits: The bounds on one connection, and on all of them together.
        notices: Whether to tell clients why the server refuses something (protocol.md, section 3).
            Without them it is as silent as the server that CHAT/1.0 was published with.
        ask: Whether to ask the adapter about each LOGIN; see `take_questions`.
        groups: Groups that exist from the start, such as those from before a restart.
        note_changes: Whether to note each change of a group for `take_group_changes`, and of a ban
            for `take_ban_changes`.
        fast_path: Whether messages that need no closer look take a faster path. The result is the
            same. Tests switch it off to compare.
        bans: The names, addresses and networks that are banned from the start; see `Desk.ban`.
        hooks: Functions that are called with what clients send before it is executed; see `Hook`.
        ask_hooks: The commands about which to ask the adapter after that; see
            `take_hook_questions`.
        cluster: What makes the server one node of a chat of many; None for a chat of its own.

    Raises:
        TypeError: `hooks` is no table of plain functions.
        ValueError: Two of the groups have the same name, or there are groups or bans beside a
            cluster, which has those in its ledger; or `cluster` belongs to another broker; or one
            of the commands can't have hooks; or one of the bans is none.
    """

    def __init__(
        self,
        *,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        notices: bool = True,
        ask: bool = False,
        groups: Iterable[GroupMade] = (),
        note_changes: bool = False,
        fast_path: bool = True,
        bans: Iterable[str] = (),
        hooks: Hooks = NO_HOOKS,
        ask_hooks: Collection[type[Command]] = (),
        cluster: Replication | None = None,
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._notices = notices
        self._dispatcher = Dispatcher(
            policy=_policy(policy, notices=notices),
            limits=limits,
            notices=notices,
            ask=ask,
            fast_path=fast_path,
            cluster=cluster,
            hooks=hooks,
            ask_hooks=ask_hooks,
        )
        self._cluster = cluster
        groups, bans = list(groups), list(bans)
        if cluster is not None and (groups or bans or note_changes):
            raise ValueError(
                "the groups and bans of a cluster are in its ledger: they need no other place"
            )
        self._dispatcher.hub.restore(groups)
        if note_changes:
            self._dispatcher.hub.note_changes()
        for ban in bans:
            self._dispatcher.bans.add(ban)
        if note_changes:
            self._dispatcher.bans.note_changes()
        self.desk: Desk = Desk(self._dispatcher)
        """What those who run the server can see and do."""
        self._by_id: dict[ConnectionId, Peer] = self._dispatcher.by_id
        self._peers = self._dispatcher.peers
        self._buffers = self._dispatcher.buffers
        self._log = self._dispatcher.log
        self._admission = Admission(limits)
        self._draining = False
        self._end = inf
        # What `Peers.cut_off` was when the shutdown began.
        self._cut_off_before = 0

    # What the adapter reports

    def connect(
        self,
        cid: ConnectionId,
        peer: str,
        *,
        address: str = "",
        secured: bool = True,
        proxied: bool = False,
    ) -> None:
        """Take on a connection.

        Args:
            cid: The adapter's id for it, until `disconnect`.
            peer: Where it comes from, for the log.
            address: The IP address that it comes from; empty when it does not come from one.
            secured: False when a TLS handshake comes first; see `request_handshake`.
            proxied: Whether a PROXY header comes before all else; see `identify`. Until then, the
                connection counts with no address.

        Raises:
            ValueError: There is a connection with that id already, or `address` is no IP address.
        """
        dispatcher = self._dispatcher
        if proxied:
            # The address is the balancer's.
            address = ""
        record = Peer(cid, peer, network_of(address), self._limits, address)
        self._peers.add(record)
        dispatcher.hub.connect(record, record.network)
        self._log.connected(record)
        reason = self._admission.enter(record.network)
        if dispatcher.bans.has_address(address):
            reason = CloseReason.BANNED
        if self._draining:
            dispatcher.close(record, CloseReason.SHUTTING_DOWN)
        elif reason is not None:
            dispatcher.close(record, reason)
            self._log.turned_away(record, reason)
        else:
            dispatcher.logins.begin(record, dispatcher.now, secured=secured, proxied=proxied)

    def identify(self, cid: ConnectionId, peer: str, address: str) -> None:
        """Note that the PROXY header of a connection has arrived. It counts with its address now.

        Args:
            cid: The connection.
            peer: Where it comes from, for the log.
            address: The IP address in the header. If the header has none, pass the address of the
                connection itself. Empty when both are missing.

        Raises:
            ValueError: `address` is not an IP address.
        """
        dispatcher, record = self._dispatcher, self._by_id[cid]
        if record.phase is not Phase.OPEN:
            return
        dispatcher.identify(record, peer, address, network_of(address))
        reason = self._admission.move(record.network)
        if dispatcher.bans.has_address(address):
            reason = CloseReason.BANNED
        if reason is not None:
            dispatcher.close(record, reason)
            self._log.turned_away(record, reason)

    def bad_proxy_header(self, cid: ConnectionId, reason: str) -> None:
        """Note that a connection does not begin with a good PROXY header, and close it.

        Args:
            cid: The connection.
            reason: What is wrong, for the log.
        """
        self._dispatcher.bad_proxy_header(self._by_id[cid], reason)

    def request_handshake(self, cid: ConnectionId) -> None:
        """Note that a connection wants to begin its TLS handshake: its first bytes have arrived.

        Until `next_handshake` returns the connection, leave these bytes unread and keep no TLS
        state for it.
        """
        peer = self._by_id[cid]
        if peer.phase is Phase.OPEN:
            self._dispatcher.logins.handshakes.request(peer)

    def next_handshake(self) -> ConnectionId | None:
        """Begin the TLS handshake of the connection that is next; call `secure` once it is done.

        Returns:
            The connection; None when none waits.
        """
        peer, oldest = self._dispatcher.logins.handshakes.begin_next()
        if oldest is not None:
            self._dispatcher.abort(oldest, CloseReason.TOO_MANY_HANDSHAKES)
        return None if peer is None else peer.cid

    def secure(self, cid: ConnectionId, identities: Collection[str] | None) -> None:
        """Note that a connection has completed its TLS handshake.

        Args:
            cid: The connection.
            identities: The names that it has proved to own; None when nobody asked for a proof.
        """
        self._dispatcher.logins.secured(self._by_id[cid], identities)

    def handshake_failed(self, cid: ConnectionId, reason: str) -> None:
        """Note that the TLS handshake of a connection has failed, and close the connection.

        `next_step` says when to close the transport. First the peer has a moment to read the alert
        that OpenSSL has written.

        Args:
            cid: The connection.
            reason: Why, for the log, in OpenSSL's words.
        """
        self._dispatcher.handshake_failed(self._by_id[cid], reason)

    def plaintext_received(self, cid: ConnectionId, data: bytes) -> None:
        """Note that a connection begins without the TLS that has to come first, and close it.

        `next_step` says what to write without TLS: a client of CHAT/1.0 gets a notice.

        Args:
            cid: The connection.
            data: Its first bytes, for the log.
        """
        self._dispatcher.plaintext_received(self._by_id[cid], data)

    def receive(self, cid: ConnectionId, data: BytesLike) -> None:
        """Receive `data`, the next bytes of a connection's stream."""
        self.receive_all([(cid, data if isinstance(data, bytes) else bytes(data))])

    def receive_all(self, received: Collection[tuple[ConnectionId, bytes]]) -> None:
        """Receive the next bytes of several connections' streams: like `receive`, in less time.

        Args:
            received: The connections' ids and the bytes, in the order in which they are executed.
                If an id is unknown, the broker still executes all that stands before it.
        """
        self._log.counters.bytes_received += sum([len(data) for _, data in received])
        self._dispatcher.receive_all(received)

    def receive_eof(self, cid: ConnectionId) -> None:
        """Receive the end of a connection's stream. What is queued for it is still written."""
        self._dispatcher.receive_eof(self._by_id[cid])

    def sent(self, cid: ConnectionId, size: int) -> bool:
        """Note that the first `size` bytes of `Step.write` are on their way.

        Report each attempt to write, even one that wrote nothing, before you wait for the
        transport. The report starts the time that the connection has to take what is left.

        Returns:
            Whether all is written, and nothing else is to be done for the connection now.

        Raises:
            ValueError: The size is negative.
        """
        return self._buffers.sent(self._by_id[cid], size)

    def sent_all(self, sent: Iterable[tuple[ConnectionId, int]]) -> list[ConnectionId]:
        """Note what is on its way to several connections: the same as `sent` in less time.

        Args:
            sent: The connections' ids, none twice, each with the bytes written.

        Returns:
            The ids of those that have bytes left to write, or something else to be done.

        Raises:
            ValueError: A size is negative. What stands before it is noted.
        """
        return self._buffers.sent_all(sent)

    def half_closed(self, cid: ConnectionId) -> None:
        """Note that our half of a connection's stream has ended, as `Step.half_close` asks."""
        self._peers.half_closed(self._by_id[cid])

    def disconnect(self, cid: ConnectionId) -> None:
        """Forget a connection: its transport is closed or has failed. Ignore an unknown id."""
        peer = self._dispatcher.disconnect(cid)
        if peer is not None:
            self._admission.leave(peer.network)
        self._finish_log()

    def tick(self, now: float) -> None:
        """Advance the clock: apply timeouts, then resume connections whose turn has come.

        Call it at each wake-up, or every few milliseconds when there are many, and at least ten
        times a second.

        Args:
            now: Seconds on any clock that does not run backwards.
        """
        self._dispatcher.tick(now)
        if now >= self._end:
            self.abort()

    def answer(self, token: int, *, allowed: bool, error: str = "") -> None:
        """Answer one of `take_questions`. If the connection is gone, nothing happens.

        Args:
            token: The question's.
            allowed: Whether the connection may log in.
            error: What went wrong in the application, for the log; empty when all went well.
        """
        self._dispatcher.answer(token, allowed=allowed, error=error)

    def decide(self, token: int, verdict: HookVerdict, error: BaseException | None = None) -> None:
        """Answer one of `take_hook_questions`. If the connection is gone, nothing happens.

        Args:
            token: The question's.
            verdict: What becomes of the event: one of the same type is executed in its place.
            error: What went wrong in the application; then the event is refused. None when all
                went well.
        """
        self._dispatcher.decide(token, verdict, error)

    def reconfigure(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        notices: bool | None = None,
    ) -> None:
        """Use another policy, other limits, and notices or none, from now on.

        They also apply to connections that exist, and to timers that run already. But a lower bound
        ends nothing that exists: connections, names, groups and queues that exceed it stay until
        they end. The broker refuses only new ones. A connection that has asked for labels keeps
        them. A queue that exceeds `Limits.queue_bytes` ends its connection when the next line is
        added to it. A handshake that has begun goes on. A connection with more bad lines in a row
        than `Limits.bad_lines` ends with its next bytes.

        The call takes about a microsecond for each connection.

        Args:
            policy: The choices that the protocol leaves open; None to leave them.
            limits: The bounds on one connection, and on all of them together; None to leave them.
            notices: Whether to tell clients why the server refuses something; None to leave that.

        Raises:
            ValueError: The other nodes of a cluster would not agree. Nothing has changed.
        """
        self.check_configuration(policy=policy, limits=limits, notices=notices)
        self._policy = self._policy if policy is None else policy
        self._limits = self._limits if limits is None else limits
        self._notices = self._notices if notices is None else notices
        self._admission.reconfigure(self._limits)
        self._dispatcher.reconfigure(
            _policy(self._policy, notices=self._notices), self._limits, notices=self._notices
        )

    def check_configuration(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        notices: bool | None = None,
    ) -> None:
        """Check that `reconfigure` would take a configuration. Other threads may call it.

        Args:
            policy: The choices that the protocol leaves open; None to leave them.
            limits: The bounds on one connection, and on all of them together; None to leave them.
            notices: Whether to tell clients why the server refuses something; None to leave that.

        Raises:
            ValueError: The other nodes of a cluster would not agree.
        """
        if self._cluster is not None:
            self._cluster.check_config(
                _policy(
                    self._policy if policy is None else policy,
                    notices=self._notices if notices is None else notices,
                ),
                self._limits if limits is None else limits,
            )

    def drain(self) -> None:
        """Begin the shutdown: tell everybody, and close each connection once its queue is written.

        The shutdown is over when `connections` is 0. After `Limits.grace` seconds, `tick` aborts
        the connections that are left.
        """
        if not self._draining:
            self._draining = True
            self._cut_off_before = self._peers.cut_off
            self._log.shutting_down(len(self._by_id))
        self._end = self._dispatcher.now + self._limits.grace
        for peer in self._by_id.values():
            if peer.close_reason is None:
                self._dispatcher.close(peer, CloseReason.SHUTTING_DOWN)
        self._finish_log()

    def abort(self) -> None:
        """Shut down now: write nothing more to any connection, and wait for none."""
        if not self._draining:
            self.drain()
        for peer in self._by_id.values():
            self._peers.abort(peer)

    # What the adapter asks

    @property
    def connections(self) -> int:
        """How many connections there are, including those that are being closed."""
        return len(self._by_id)

    @property
    def busy(self) -> bool:
        """Whether a connection waits for its turn: look for new input, then call `tick`."""
        return self._dispatcher.busy

    def take_ready(self) -> list[ConnectionId]:
        """Some of the connections whose `next_step` has changed since the last call.

        Senders that waited for a queue resume here, so call it until there are none; but look for
        new input in between.
        """
        self._dispatcher.resume_released()
        return self._buffers.take_ready()

    def take_outgoing(self) -> list[tuple[ConnectionId, bytes]]:
        """The ids of `take_ready`, each with its `Step.write`: the same in less time."""
        self._dispatcher.resume_released()
        return self._buffers.take_outgoing()

    def next_step(self, cid: ConnectionId) -> Step:
        """What is to be done for a connection now. The call changes nothing."""
        return self._peers.next_step(self._by_id[cid])

    def take_log_events(self) -> list[LogEvent]:
        """What has happened since the last call, for the log."""
        return self._log.take()

    def note_lag(self, seconds: float) -> None:
        """Count a time in which no further connection was served, for `Counters.lag`.

        Args:
            seconds: How long it was.
        """
        self._log.counters.lag.add(seconds)

    def take_questions(self) -> list[Question[ConnectionId]]:
        """The LOGINs since the last call that wait for an `answer`.

        What the same connections send in the meantime waits too, for `Limits.auth_timeout` at most.
        """
        return self._dispatcher.logins.take_questions()

    def take_hook_questions(self) -> list[HookQuestion[ConnectionId]]:
        """The events since the last call that wait for `decide`, of the kinds in `ask_hooks`.

        What the same connections send in the meantime waits too, for `Limits.hook_timeout` at most.
        """
        runner = self._dispatcher.hooks
        taken = [] if runner is None else runner.questions.take()
        return [HookQuestion(token, peer.cid, said) for token, peer, said in taken]

    def take_withdrawn_questions(self) -> list[int]:
        """The tokens of `take_hook_questions` that nobody waits for any more, since the last call.

        Their connections have ended, or `Limits.hook_timeout` has passed. The broker keeps the
        tokens until then. Some may be of questions that it has never handed out.
        """
        runner = self._dispatcher.hooks
        if runner is None:
            return []
        withdrawn, runner.withdrawn = runner.withdrawn, []
        return withdrawn

    def wrap_hooks(self, wrapper: Callable[[Hook], Hook]) -> None:
        """Replace each hook by what a function makes of it, to measure how long it takes, say."""
        if self._dispatcher.hooks is not None:
            self._dispatcher.hooks.wrap(wrapper)

    def take_hook_failure(self) -> BaseException | None:
        """The last error of a hook since the last call, for its traceback.

        That includes errors that `decide` was given.
        """
        runner = self._dispatcher.hooks
        if runner is None or runner.failure is None:
            return None
        failure, runner.failure = runner.failure, None
        return failure

    def take_group_changes(self) -> list[GroupChange]:
        """The changes of groups since the last call, in order, if they are noted."""
        return self._dispatcher.hub.take_changes()

    def take_ban_changes(self) -> dict[str, bool]:
        """What was banned (True) or unbanned (False) since the last call, if that is noted.

        What cancels out is left out.
        """
        return self._dispatcher.bans.take_changes()

    def snapshot(self) -> Counters:
        """The counters as they stand now."""
        hub = self._dispatcher.hub
        return replace(
            self._log.snapshot(),
            connections=len(self._by_id),
            users=hub.users,
            groups=hub.groups,
            bytes_sent=self._buffers.bytes_sent,
            queued=self._buffers.total,
            waiting=self._dispatcher.flow.waiting,
        )

    def _finish_log(self) -> None:
        """Log how many lines were left out, and the end, if a drain is over."""
        if self._draining and not self._by_id:
            self._log.finish(self._peers.cut_off - self._cut_off_before)


def _policy(policy: Policy, *, notices: bool) -> Policy:
    """The hub's policy. A server without notices offers no services either."""
    return policy if notices else replace(policy, services=False)
