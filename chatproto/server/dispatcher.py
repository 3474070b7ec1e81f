"""Executes what connections send: the hub's actions become lines in send queues.

Theory of operation
===================

The adapter gives the broker all that has arrived since it last looked (`receive_all`). What a
connection has sent is executed at once, line by line, unless something stands in the way:

* The connection's *turn* is over: `TURN` units of work were done for it without a break.
* The *round* is over: `ROUND` units of work were done for all connections since the adapter last
  looked for input. So the adapter soon looks at everybody else again, however many connections
  send a lot at the same moment.
* The connection has sent more lines than `Limits.rate` allows.
* A recipient's queue is full (see `flow_control`).
* A question is open, such as whether the connection may log in.

Then the connection waits (`Waiting` says for what). The adapter stops reading from it, so TCP slows
the peer down. What was read already is kept as bytes, because bytes are small and their size is
known. The dispatcher parses only what it executes right away. If it has executed only a part of the
first line, it parses that line once more when the connection resumes.

When the wait is over, the connection is *runnable*. Runnable connections resume in order, each for
one turn, and share the round with new input. `Work` counts new work and work that was put off
alike. So even a thousand waits that end at once start no long piece of work.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar, assert_never

from ..routing.actions import Action, Answer, Deliver, Disconnect, Expire, Joined, Refuse
from ..routing.hub import ChatHub
from ..routing.policy import Policy
from ..wire.codec import encode, with_label
from ..wire.errors import ErrorCode
from ..wire.events import (
    Broadcast,
    Command,
    ConnectionClosed,
    Event,
    Group,
    Invalid,
    Login,
    Logout,
    Receive,
    Send,
)
from ..wire.line_buffer import has_long_line
from ..wire.names import GROUPS_NAME
from .bans import Bans, is_in, parse_ban
from .buffers import Buffers
from .close_reason import CloseReason
from .event_log import EventLog
from .fast_path import FastPath
from .flow_control import FlowControl
from .foreign import BEGINNING, foreign_protocol
from .hooks import FAILED as HOOK_FAILED
from .hooks import (
    Drop,
    HookError,
    HookRunner,
    Hooks,
    HookVerdict,
    Refusal,
    Reply,
    check_verdict,
    words_of,
)
from .limits import Limits
from .log_events import LOGGED
from .logins import FAILED, Decision, Logins
from .notices import Notices, answer_lines
from .peer import Peer, Phase, Waiting
from .peers import Peers
from .rate_limiter import RateLimiter
from .replication import Proposal, Replication
from .timers import Timers
from .work import BYTES, ROUND, TURN, Work

T = TypeVar("T")

SLICE: Final = 4096
"""Bytes that the fast path is given at once, so that a turn ends in time."""

VERSION: Final = b"CHAT/"
"""The beginning of each line that a client of CHAT/1.0 sends."""

MESSAGES: Final = (b"CHAT/1.0 SEND ", b"CHAT/1.0 BROADCAST ")
"""The beginnings of lines that the fast path may deliver."""


NO_HOOKS: Final[Hooks] = {}
"""An application without rules of its own."""

MAX_ERROR: Final = 200
"""Most characters of an error in a line of the log."""

CODES: Final = frozenset(ErrorCode)
"""The codes that the metrics tell apart."""

UNREACHABLE: Final = "the servers of this chat can't reach one another now; try again later"

UNFINISHED: Final = (Waiting.QUEUE, Waiting.ANSWER, Waiting.LEDGER)
"""The waits in the middle of a line. Its connection was charged for it already."""


class Dispatcher:
    """Executes events, and decides who waits.

    Args:
        policy: The policy of the hub.
        limits: The bounds on one connection, and on all of them.
        notices: Whether to tell clients why the server refuses something.
        ask: Whether to ask a question about each LOGIN.
        fast_path: Whether messages may go the fast path.
        cluster: The cluster that the server is a node of; None for none.
        hooks: The application's rules on what clients send.
        ask_hooks: The commands about which to ask the adapter after that.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        limits: Limits,
        notices: bool,
        ask: bool,
        fast_path: bool,
        cluster: Replication | None = None,
        hooks: Hooks = NO_HOOKS,
        ask_hooks: Collection[type[Command]] = (),
    ) -> None:
        self.now: float = 0.0
        """The time of the last `tick`, in seconds."""
        self.by_id: dict[Any, Peer] = {}
        self._cluster = cluster
        self.hub: ChatHub[Peer]
        self.flow: FlowControl[Peer]
        if cluster is None:
            self.hub, self.flow = ChatHub(policy, limits), FlowControl(limits, self._source)
        else:
            self.hub = cluster.new_hub(policy, limits)
            self.flow = cluster.new_flow(limits, self._source)
        self.buffers: Buffers = Buffers(limits, self.flow, self.by_id)
        self.peers: Peers = Peers(limits, self.buffers, self.by_id)
        self.bans: Bans = Bans()
        self.logins: Logins = Logins(limits, self.bans, ask=ask)
        runner = HookRunner(hooks, ask_hooks, limits)
        self.hooks: HookRunner | None = runner if runner.commands else None
        self.log: EventLog = EventLog(limits)
        self.work: Work = Work()
        self.limits: Limits = limits
        self._notices = Notices(limits, enabled=notices)
        self._fast_path = FastPath(
            self.hub,
            self.by_id,
            self.buffers,
            limits,
            self.log.counters,
            self.work,
            cluster,
            enabled=fast_path and runner.commands.isdisjoint((Send, Broadcast)),
        )
        # An OrderedDict, for the reason in `Timers`.
        self._runnable: OrderedDict[Peer, None] = OrderedDict()
        self._paused: Timers[Peer] = Timers(_pause(limits))
        if cluster is not None:
            cluster.attach(self)

    @property
    def busy(self) -> bool:
        """Whether a connection waits for nothing but its turn."""
        return bool(self._runnable) or self.flow.has_released

    def reconfigure(self, policy: Policy, limits: Limits, *, notices: bool) -> None:
        """Use other choices and bounds from now on, for connections that exist too."""
        before, self.limits = self.limits, limits
        self.hub.reconfigure(policy, limits)
        self.flow.reconfigure(limits)
        self.buffers.reconfigure(limits)
        self.peers.reconfigure(limits)
        self.logins.reconfigure(limits)
        if self.hooks is not None:
            self.hooks.questions.reconfigure(limits.hook_timeout)
        self.log.reconfigure(limits)
        self._notices.reconfigure(limits, enabled=notices)
        self._fast_path.reconfigure(limits)
        self._paused.span = _pause(limits)
        for peer in self.by_id.values():
            peer.reconfigure(before, limits)
            self._fast_path.update(peer)

    def receive_all(self, received: Iterable[tuple[Any, bytes]]) -> None:
        """Execute what connections have sent, each in a turn of its own.

        Args:
            received: Their ids, and the bytes.
        """
        self.work.round = 0
        for peer, data in self._fast_path.deliver(received):
            if peer.phase is not Phase.OPEN:
                continue
            if not peer.has_sent:
                self.log.accepted(peer)
            if peer.waiting is not Waiting.NOTHING:
                self._keep(peer, data)
            elif self.work.round >= ROUND:
                self._wait(peer, Waiting.TURN, data)
            else:
                self._run(peer, data)

    def receive_eof(self, peer: Peer) -> None:
        """Execute the end of a connection's stream, after all that it has sent before."""
        self.peers.receive_eof(peer)
        self._execute_eof(peer)

    def tick(self, now: float) -> None:
        """Advance the clock: apply timeouts, then resume connections whose turn has come."""
        self.now = now
        self.log.tick(now)
        self.work.round = 0
        if self._cluster is not None:
            self._cluster.tick(now)
        for peer in self._in_round(self.peers.tick(now)):
            self.peers.abort(peer)
        for peer in self._in_round(self.flow.tick(now)):
            self.abort(peer, CloseReason.SLOW_CONSUMER)
        for peer, reason in self._in_round(self.logins.take_overdue(now)):
            self.close(peer, reason)
        for peer in self._in_round(self.logins.take_unanswered(now)):
            self._runnable[peer] = None
        if self.hooks is not None:
            for peer in self._in_round(self.hooks.take_unanswered(now)):
                self._runnable[peer] = None
        for peer in self._in_round(self._paused.take_expired(now)):
            self._runnable[peer] = None
        turns = len(self._runnable)
        # Released senders and runnable connections alternate, so that neither kind waits long.
        while self.work.round < ROUND:
            released = self.flow.next_released()
            if released is not None:
                self._resume(released)
            if turns and self._runnable:
                turns -= 1
                self._resume(self._runnable.popitem(last=False)[0])
            elif released is None:
                break

    def resume_released(self) -> None:
        """Resume senders whose recipients' queues have room again, in what is left of the round."""
        while self.work.round < ROUND and (peer := self.flow.next_released()) is not None:
            self._resume(peer)

    def answer(self, token: int, *, allowed: bool, error: str) -> None:
        """Take the answer to a question. Ignore it if nobody waits for it any more."""
        answered = self.logins.answer(token, allowed=allowed, failed=bool(error))
        if answered is None:
            return
        peer, name = answered
        if error:
            self.log.authenticate_failed(peer, name, error)
        self.resume(peer)

    def decide(self, token: int, verdict: HookVerdict, error: BaseException | None) -> None:
        """Take the answer to a question about an event. Ignore it if nobody waits for it."""
        asked = None if self.hooks is None else self.hooks.questions.find(token)
        if self.hooks is None or asked is None:
            return
        peer, said = asked
        if error is None:
            try:
                check_verdict(verdict, said.event)
            except HookError as wrong:
                error = wrong
        if error is not None:
            verdict = HOOK_FAILED
            self.hooks.failure = error
            self.hook_failed(peer, said.event, error)
        self.hooks.questions.decide(token, verdict)
        self.resume(peer)

    def resume(self, peer: Peer) -> None:
        """Resume a connection: what it waited for has come. It goes on now or in its turn."""
        if self.work.round < ROUND:
            self._resume(peer)
        else:
            self._runnable[peer] = None

    def tell_gone(self, peer: Peer, name: str) -> None:
        """Tell a connection that nobody has received a message, because the user has left."""
        if peer.phase is Phase.OPEN:
            self._refuse(peer, Send(name, b""), ErrorCode.NO_SUCH_USER, f"{name} is not online")

    def close(self, peer: Peer, reason: CloseReason, text: str = "") -> None:
        """Close a connection once its queue is written. From now on it gets no new messages."""
        self.hub.end(peer)
        self.logins.forget(peer)
        self._forget(peer)
        self.buffers.take_kept(peer)
        peer.waiting = Waiting.NOTHING
        self.peers.close(peer, reason, self._notices.closing(reason, text))
        self._fast_path.update(peer)

    def handshake_failed(self, peer: Peer, reason: str) -> None:
        """Log why a TLS handshake has failed, and close the connection."""
        if peer.phase is Phase.OPEN:
            self.log.handshake_failed(peer, reason)
            self.close(peer, CloseReason.HANDSHAKE_FAILED)

    def plaintext_received(self, peer: Peer, data: bytes) -> None:
        """Log that a connection begins without TLS, and close it."""
        if peer.phase is Phase.OPEN:
            self.log.handshake_failed(peer, f"the client does not use TLS, but sends {data!r}")
            is_chat = data.startswith(VERSION)
            self.close(peer, CloseReason.PLAINTEXT if is_chat else CloseReason.HANDSHAKE_FAILED)

    def bad_proxy_header(self, peer: Peer, reason: str) -> None:
        """Log what is wrong with the PROXY header of a connection, and close the connection."""
        if peer.phase is Phase.OPEN:
            self.log.bad_proxy_header(peer, reason)
            self.close(peer, CloseReason.BAD_PROXY_HEADER)

    def identify(self, peer: Peer, origin: str, address: str, network: str) -> None:
        """Note where a connection comes from, before it sends anything.

        Args:
            peer: The connection, which had no network until now.
            origin: Where it comes from, for the log.
            address: The IP address that it comes from; empty for none.
            network: The network that it counts with from now on.
        """
        peer.origin, peer.address, peer.network = origin, address, network
        self.logins.identified(peer)
        self.hub.disconnect(peer)
        self.hub.connect(peer, network)

    def abort(self, peer: Peer, reason: CloseReason) -> None:
        """Close a connection at once, without writing what is queued for it."""
        if peer.phase is Phase.OPEN:
            self.close(peer, reason)
        self.peers.abort(peer)

    def disconnect(self, cid: Any) -> Peer | None:
        """Forget a connection whose transport is gone.

        Returns:
            The connection; None when there is none with that id.
        """
        peer = self.peers.remove(cid)
        if peer is not None:
            self.log.closed(peer, self.hub.name_of(peer))
            self.hub.disconnect(peer)
            self.logins.forget(peer)
            self._forget(peer)
        return peer

    def _run(
        self,
        peer: Peer,
        data: bytes,
        *,
        begun: bool = False,
        undelivered: Collection[Peer] = (),
    ) -> None:
        """Execute bytes until nothing is left, the connection has to wait, or its turn is over.

        Args:
            peer: Who has sent them.
            data: The bytes.
            begun: Whether the first line was begun before the connection had to wait.
            undelivered: The recipients of the first line that do not have it yet; empty for all.
        """
        work = self.work
        work.turn = 0
        at, size = 0, len(data)
        while at < size:
            if work.turn >= TURN:
                self._wait(peer, Waiting.TURN, data[at:])
                return
            if peer.prefix and not begun and data.startswith(MESSAGES, at):
                end = data.rfind(b"\n", at, at + SLICE) + 1
                if delivered := self._fast_path.deliver_run(peer, data[at:end]):
                    at += delivered
                    continue
            unfinished = b""
            if peer.connection.inside_line:
                unfinished = peer.connection.partial_line
                end = data.find(b"\n", at) + 1 or size
            else:
                end = data.rfind(b"\n", at, at + SLICE) + 1 or data.find(b"\n", at) + 1 or size
            executed, waiting = self._execute_lines(peer, data[at:end], begun, undelivered)
            if peer.phase is not Phase.OPEN:
                return
            at += executed
            if waiting is not Waiting.NOTHING:
                parsed = waiting in UNFINISHED and not executed
                self._wait(peer, waiting, (unfinished if parsed else b"") + data[at:])
                return
            begun, undelivered = False, ()

    def _execute_lines(
        self, peer: Peer, data: bytes, begun: bool, undelivered: Collection[Peer]
    ) -> tuple[int, Waiting]:
        """Execute whole lines, or a part of one, on the general path.

        Returns:
            How many bytes have been executed, and what the connection has to wait for. A line that
            was executed only in part does not count: it is parsed once more.
        """
        at, waiting = 0, Waiting.NOTHING
        events = peer.connection.parse(data)
        while at < len(data):
            if self.work.turn >= TURN:
                waiting = Waiting.TURN
                break
            if peer.rate_limiter and not begun and self._exceeds(peer.rate_limiter, data, at):
                waiting = Waiting.RATE
                break
            event = next(events, None)
            if event is not None:
                waiting = self._execute(peer, event, undelivered)
                if waiting is not Waiting.NOTHING or peer.phase is not Phase.OPEN:
                    break
            start, at = at, data.find(b"\n", at) + 1 or len(data)
            # `_execute` has counted the line itself. A long line also costs by its bytes.
            self.work.charge((at - start) // BYTES)
            begun, undelivered = False, ()
        else:
            # The last line may have been one bad line too many.
            for event in events:
                self._execute(peer, event)
        if peer.connection.inside_line:
            self._end_foreign(peer, peer.connection.partial_line[:BEGINNING])
        if bool(peer.prefix) is not peer.connection.at_line_start:
            self._fast_path.update(peer)
        return at, waiting

    def _execute(self, peer: Peer, event: Event, undelivered: Collection[Peer] = ()) -> Waiting:
        """Execute an event, if the hooks let it pass.

        Returns:
            What the connection has to wait for before the event can be executed.
        """
        runner = self.hooks
        if (
            runner is None
            or type(event) not in runner.commands
            or isinstance(event, Invalid | ConnectionClosed)
        ):
            return self._execute_passed(peer, event, undelivered)
        verdict = runner.decide(peer, event, self.hub.name_of(peer), self.now)
        if verdict is None:
            return Waiting.ANSWER
        if isinstance(verdict, Exception):
            self.hook_failed(peer, event, verdict)
            verdict = HOOK_FAILED
        if peer.phase is not Phase.OPEN:
            # A hook has ended the connection.
            return Waiting.NOTHING
        if isinstance(verdict, Refusal | Reply | Drop):
            self.work.charge(1)
            self._turn_down(peer, event, verdict)
            return Waiting.NOTHING
        waiting = self._execute_passed(peer, verdict, undelivered)
        if waiting is not Waiting.NOTHING:
            runner.keep(peer, verdict)
        return waiting

    def _turn_down(self, peer: Peer, event: Command, verdict: Refusal | Reply | Drop) -> None:
        """Tell a connection that a hook has not let its event pass."""
        if isinstance(verdict, Refusal):
            if isinstance(event, Login):
                self._refuse_login(peer, event, verdict)
            else:
                self._refuse(peer, event, verdict.code, verdict.text)
        elif isinstance(verdict, Reply) and self._notices.allow(peer, self.now):
            line = encode(Receive(verdict.sender, verdict.data))
            if has_long_line(line, self.limits.max_line):
                text = "the answer would be too long for you"
                self._refuse(peer, event, ErrorCode.LINE_TOO_LONG, text)
            else:
                self._queue((peer,), line)

    def hook_failed(self, peer: Peer, event: Command, error: BaseException) -> None:
        """Log that a hook has raised an error."""
        text = f"{type(event).__name__.upper()}: {words_of(error)}"
        self.log.hook_failed(peer, self.hub.name_of(peer), text[:MAX_ERROR])

    def kick(self, name: str, text: str) -> int:
        """End all connections under a name.

        Args:
            name: The name.
            text: Why, in words for people; empty for the usual words.

        Returns:
            How many end: while other nodes can't be reached, their connections do not.
        """
        ended = 0
        for each in self.hub.recipients(name):
            if self._cluster is None or type(each) is Peer:
                self.close(each, CloseReason.KICKED, text)
            elif self._cluster.reachable:
                self._cluster.kick(each, text)
            else:
                continue
            ended += 1
        return ended

    def tell(self, recipients: tuple[Any, ...], line: bytes) -> int:
        """Queue a line for some connections, on any node. No sender waits for them.

        Returns:
            How many get it: while other nodes can't be reached, their connections do not.
        """
        if self._cluster is None:
            self._queue(recipients, line)
            return len(recipients)
        local, remote = self._cluster.split(recipients)
        self._queue(local, line)
        if not self._cluster.reachable:
            return len(local)
        self._cluster.send(remote, line)
        return len(recipients)

    def ban(self, what: str, text: str) -> int:
        """Ban a name, an address or a network on all nodes.

        Args:
            what: As `Bans.add` takes it.
            text: Why, in words for people; empty for the usual words.

        Returns:
            How many connections of this server end.
        """
        if self._cluster is not None:
            self._cluster.command(f"B {what} {text}")
        return self.apply_ban(what, text)

    def apply_ban(self, what: str, text: str) -> int:
        """The same on this node alone."""
        self.bans.add(what)
        banned = parse_ban(what)
        ended = 0
        for peer in self.by_id.values():
            if peer.phase is not Phase.OPEN:
                continue
            if isinstance(banned, str):
                matches = self.hub.name_of(peer) == banned
            else:
                matches = is_in(peer.address, banned)
            if matches:
                ended += 1
                self.close(peer, CloseReason.BANNED, text)
        return ended

    def unban(self, what: str) -> bool:
        """Lift a ban on all nodes.

        Returns:
            Whether there was one.
        """
        if self._cluster is not None:
            self._cluster.command(f"U {what}")
        return self.bans.remove(what)

    def add_member(self, group: str, member: str) -> str:
        """Add a user to a group; in a cluster, as soon as all nodes do.

        Returns:
            Why there is no room, in words for people; empty if there is.
        """
        if self._cluster is not None:
            self._cluster.command(f"A {group} {member}")
            return ""
        text, expired = self.hub.add_member(group, member)
        for each in expired:
            self.log.operator(f"group expired {each}: nobody in it is online")
        return text

    def remove_member(self, group: str, member: str) -> None:
        """Remove a user from a group; in a cluster, as soon as all nodes do."""
        if self._cluster is not None:
            self._cluster.command(f"R {group} {member}")
        else:
            self.hub.remove_member(group, member)

    def _execute_passed(
        self, peer: Peer, event: Event, undelivered: Collection[Peer] = ()
    ) -> Waiting:
        """Execute an event; see `_execute`."""
        if type(event) is Invalid and self._end_foreign(peer, event.line + b"\n"):
            return Waiting.NOTHING
        if (
            type(event) is Send
            and event.to == GROUPS_NAME
            and not undelivered
            and self.hub.answers_requests
            and self.flow.blockers((peer,))
        ):
            # Before the request is executed: it is executed only once, and labels begin and end
            # with its answer.
            self.flow.wait(peer, peer)
            return Waiting.QUEUE
        self.work.charge(self._cost(event))
        outcome = None if self._cluster is None else self._cluster.take_outcome(peer)
        if outcome is not None and outcome.actions is not None:
            return self._act(peer, event, outcome.name, outcome.actions, undelivered)
        if type(event) is Login:
            verdict = self.logins.check(peer, event.name, self.now)
            if verdict is Decision.UNDECIDED:
                return Waiting.ANSWER
            if isinstance(verdict, Refusal):
                self._refuse_login(peer, event, verdict)
                return Waiting.NOTHING
        # Before the hub changes it.
        name = self.hub.name_of(peer) if type(event) in LOGGED else None
        actions = self._decide(peer, event, undelivered, is_settled=outcome is not None)
        if isinstance(actions, Waiting):
            return actions
        return self._act(peer, event, name, actions, undelivered)

    def _decide(
        self, peer: Peer, event: Event, undelivered: Collection[Peer], *, is_settled: bool
    ) -> Sequence[Action[Peer]] | Waiting:
        """Decide what follows from an event.

        Args:
            peer: Who has sent it.
            event: The event.
            undelivered: See `_run`.
            is_settled: Whether the other nodes have said already that this node decides.

        Returns:
            The actions; or what the connection has to wait for before they are known.
        """
        proposal = Proposal.LOCAL
        if self._cluster is not None and not is_settled and not undelivered:
            proposal = self._cluster.propose(peer, event)
        if proposal is Proposal.LOCAL:
            looked_up = self.hub.looked_up
            actions = self.hub.handle(peer, event, again=bool(undelivered))
            # Such a lookup takes a small part of what a line takes.
            self.work.charge((self.hub.looked_up - looked_up) // 16)
            if self._cluster is not None and not is_settled and _refuses(event, actions):
                # Maybe another node knows better.
                proposal = self._cluster.confirm(peer)
            if proposal is Proposal.LOCAL:
                return actions
        if proposal is Proposal.WAITING:
            return Waiting.LEDGER
        return [Refuse(peer, ErrorCode.UNAVAILABLE, UNREACHABLE)]

    def _act(
        self,
        peer: Peer,
        event: Event,
        name: str | None,
        actions: Sequence[Action[Peer]],
        undelivered: Collection[Peer],
    ) -> Waiting:
        """Do what follows from an event, and log it.

        Args:
            peer: Who has sent it.
            event: The event.
            name: The name that the connection had before, for the log.
            actions: What follows.
            undelivered: See `_run`.

        Returns:
            Whether the connection has to wait for a recipient before the rest can be done.
        """
        logged = type(event) in LOGGED
        for action in actions:
            if isinstance(action, Deliver):
                if not self._deliver(peer, event, action, undelivered):
                    return Waiting.QUEUE
            elif isinstance(action, Refuse):
                self._refuse(peer, event, action.code, action.text)
                logged = False
                if isinstance(event, Login):
                    self.log.login_refused(peer, event.name, action.code, action.text)
            elif isinstance(action, Answer):
                self._answer(peer, action)
            elif isinstance(action, Expire):
                self.log.group_expired(peer, self.hub.name_of(peer), action.group)
            elif isinstance(action, Joined):
                self.log.member_added(peer, self.hub.name_of(peer), action.group, action.member)
            elif isinstance(action, Disconnect):
                reason = CloseReason.REPLACED if action.code else _reason(peer, event)
                self.close(action.cid, reason)
            else:
                assert_never(action)
        if logged:
            self.log.executed(peer, event, name)
            if type(event) is Login:
                self.logins.logged_in(peer)
                self._fast_path.update(peer)
        return Waiting.NOTHING

    def _refuse_login(self, peer: Peer, event: Login, refusal: Refusal) -> None:
        """Tell a connection that it may not log in, and log it."""
        self._refuse(peer, event, refusal.code, refusal.text)
        # If the application has failed, the log has a line about that already.
        if refusal is not FAILED:
            self.log.login_refused(peer, event.name, refusal.code, refusal.text)

    def _end_foreign(self, peer: Peer, line: bytes) -> bool:
        """End a connection that has not logged in, if a bad line belongs to another protocol.

        Returns:
            Whether the connection has ended.
        """
        if peer.phase is not Phase.OPEN or self.hub.name_of(peer) is not None:
            return False
        reason = foreign_protocol(line)
        if reason is None:
            return False
        # At once, so that nothing that was queued for it before reaches it.
        self.abort(peer, reason)
        return True

    def _deliver(
        self, peer: Peer, event: Event, action: Deliver[Peer], undelivered: Collection[Peer]
    ) -> bool:
        """Deliver a message to those of its recipients who can take it now.

        Returns:
            Whether the sender can go on; otherwise it waits for the other recipients.
        """
        line = encode(action.message)
        if not undelivered and has_long_line(line, self.limits.max_line):
            text = "the line would be too long for its recipients"
            self._refuse(peer, event, ErrorCode.LINE_TOO_LONG, text)
            return True
        to = action.to
        if undelivered:
            left = set(undelivered)
            to = tuple(each for each in to if each in left)
        recipients = len(to)
        if self._cluster is not None and not self._cluster.reachable:
            local = self._cluster.split(to)[0]
            if len(local) < len(to):
                self._refuse(peer, event, ErrorCode.UNAVAILABLE, UNREACHABLE)
                to = tuple(local)
        blockers = self.flow.blockers(to)
        if blockers:
            # Before the line is queued: that may close the sender, or a recipient that it waits
            # for.
            self.flow.wait(peer, next(iter(blockers)))
            if undelivered or len(blockers) < len(to):
                self.buffers.keep(peer, b"", tuple(blockers))
            to = tuple(each for each in to if each not in blockers)
        elif type(event) is not Send or peer not in action.to:
            self.log.counters.messages += 1
        self.work.charge(len(to))
        if self._cluster is None:
            self.log.counters.deliveries += len(to)
            self.queue_messages(to, line, action.group)
        else:
            local, remote = self._cluster.split(to)
            self.log.counters.deliveries += len(local)
            self.queue_messages(local, line, action.group)
            sender = peer if type(event) is Send and event.to != GROUPS_NAME else None
            before = len(undelivered)
            self._cluster.send(remote, line, sender, recipients, action.group, before)
        return not blockers

    def queue_messages(self, to: Collection[Peer], lines: bytes, group: str) -> None:
        """Queue messages, with their group for those recipients that have asked for labels.

        Args:
            to: The recipients.
            lines: What each of them gets.
            group: The group that they were broadcast to; empty for messages to a user.
        """
        labelled = self.hub.labelled
        if group and labelled and not labelled.keys().isdisjoint(to):
            slow = [
                *self.buffers.queue([each for each in to if each not in labelled], lines),
                *self.buffers.queue(
                    [each for each in to if each in labelled], self._with_labels(lines, group)
                ),
            ]
            for peer, reason in slow:
                self.abort(peer, reason)
        else:
            self._queue(to, lines)

    def _with_labels(self, lines: bytes, group: str) -> bytes:
        """Add to messages the group that they come from.

        If that makes one too long, it goes without: what a recipient has chosen is no reason to
        refuse it.
        """
        each = [line + b"\n" for line in lines.split(b"\n")[:-1]]
        labels = [with_label(line, group) for line in each]
        most = self.limits.max_line
        return b"".join(
            line if has_long_line(label, most) else label
            for line, label in zip(each, labels, strict=True)
        )

    def _answer(self, peer: Peer, answer: Answer[Peer]) -> None:
        """Answer a request about groups."""
        self.work.charge(len(answer.names) // 16)
        lines = b"".join(answer_lines(answer, self.limits.max_line))
        if self.flow.high_water + len(lines) > self.limits.queue_bytes:
            # The long answer would close the connection, which has done nothing wrong.
            too_many = Answer(peer, f"refused {ErrorCode.TOO_MANY} {answer.head}", ())
            [lines] = answer_lines(too_many, self.limits.max_line)
        self._queue((peer,), lines)

    def _execute_eof(self, peer: Peer) -> None:
        if peer.eof and peer.phase is Phase.OPEN and peer.waiting is Waiting.NOTHING:
            for event in peer.connection.receive_eof():
                # The event before, an unfinished line, may have closed the connection.
                if peer.phase is Phase.OPEN:
                    self._execute(peer, event)

    def _resume(self, peer: Peer) -> None:
        """End the wait of a connection: execute what it has sent up to now."""
        if self._cluster is not None and type(peer) is not Peer:
            self._cluster.released(peer)
            return
        begun = peer.waiting in UNFINISHED
        peer.waiting = Waiting.NOTHING
        self.work.charge(1)
        self.flow.start_age(peer)
        unparsed, undelivered = self.buffers.take_kept(peer)
        self._fast_path.update(peer)
        self._run(peer, unparsed, begun=begun, undelivered=undelivered)
        self._execute_eof(peer)

    def _wait(self, peer: Peer, waiting: Waiting, unparsed: bytes) -> None:
        """Let a connection wait, and keep what it has sent."""
        peer.waiting = waiting
        self._fast_path.update(peer)
        if waiting is Waiting.TURN:
            self._runnable[peer] = None
        else:
            self.flow.stop_age(peer)
            if waiting is Waiting.RATE:
                self._paused.start(peer, self.now)
        self._keep(peer, unparsed)

    def _keep(self, peer: Peer, unparsed: bytes) -> None:
        self.buffers.keep(peer, unparsed)
        for each in self.buffers.largest():
            self.abort(each, CloseReason.FULL_QUEUES)

    def _in_round(self, items: Iterator[T]) -> Iterator[T]:
        """Take items until the round is over; the next round takes the rest."""
        while self.work.round < ROUND:
            try:
                item = next(items)
            except StopIteration:
                return
            self.work.charge(1)
            yield item

    def _forget(self, peer: Peer) -> None:
        """End what a connection waits for, and release those who wait for it."""
        self._runnable.pop(peer, None)
        self._paused.stop(peer)
        self.flow.forget(peer)
        if self._cluster is not None:
            self._cluster.forget(peer)
        if self.hooks is not None:
            self.hooks.forget(peer)

    def _source(self, peer: Peer) -> str | None:
        """Where a connection comes from: its network, or its name if it has none."""
        return peer.network or self.hub.name_of(peer)

    def _exceeds(self, rate_limiter: RateLimiter, data: bytes, at: int) -> bool:
        """Whether the next line, if it is whole, exceeds a connection's rate."""
        if data.find(b"\n", at) < 0 or rate_limiter.allow(self.now):
            return False
        self.log.counters.paused += 1
        return True

    def _refuse(self, peer: Peer, event: Event, code: str, text: str) -> None:
        """Tell a connection why its event is not executed, within its limit on notices."""
        # The codes of hooks count together: there may be any number of them.
        known = ErrorCode(code) if code in CODES else ErrorCode.REFUSED
        self.log.counters.refusals[known] += 1
        if line := self._notices.refusal(peer, event, code, text, self.now):
            self._queue((peer,), line)

    def _queue(self, to: Collection[Peer], line: bytes) -> None:
        for peer, reason in self.buffers.queue(to, line):
            self.abort(peer, reason)

    def _cost(self, event: Event) -> int:
        """The work that an event takes besides deliveries."""
        if isinstance(event, Invalid):
            return 2 + event.line.count(b" ")
        if isinstance(event, Broadcast):
            return 1 + self.hub.members(event.group)
        if isinstance(event, Group):
            return 1 + len(event.members)
        return 3 if isinstance(event, Login) else 1


def _pause(limits: Limits) -> float:
    """How many seconds a connection waits after it has sent more lines than it may."""
    return 1 / (limits.rate or 1.0)


def _refuses(event: Event, actions: Sequence[Action[Peer]]) -> bool:
    """Whether a message is refused because of who is online, or in which groups."""
    return (
        type(event) in (Send, Broadcast)
        and len(actions) == 1
        and isinstance(actions[0], Refuse)
        and actions[0].code is not ErrorCode.NOT_LOGGED_IN
    )


def _reason(peer: Peer, event: Event) -> CloseReason:
    """Why an event ends the connection that it comes from."""
    if type(event) is Logout:
        return CloseReason.LOGGED_OUT
    return CloseReason.EOF if peer.eof else CloseReason.BAD_LINES
