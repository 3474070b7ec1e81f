"""One node of a cluster: all servers of a chat that act as one."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

from ..routing.actions import Deliver, Disconnect, Refuse
from ..routing.policy import Policy
from ..server.bans import Bans
from ..server.close_reason import CloseReason
from ..server.dispatcher import UNREACHABLE
from ..server.limits import Limits
from ..server.peer import Peer, Phase
from ..server.replication import Outcome, Proposal
from ..wire.errors import ErrorCode
from ..wire.events import Event
from .counters import ClusterCounters
from .events import ClusterEvent, ClusterEventKind
from .flow import ClusterFlow
from .hub import ReplicatedHub
from .ledger import (
    NO_NETWORK,
    Author,
    Batch,
    Entry,
    Wait,
    describe_config,
    differences,
    parse_entry,
    parse_event,
)
from .liveness import Liveness
from .mailroom import Mailroom
from .nodes import Hold, Node, Remote
from .snapshot import ClusterSnapshot, Header, groups_snapshot, read_snapshot, write_snapshot
from .standing import Standing

if TYPE_CHECKING:
    from ..server.dispatcher import Dispatcher

ACKNOWLEDGE_AFTER: Final = 0.01
"""Seconds between two mails to a node that only acknowledge. A busy loop ticks more often."""

SNAPSHOT_ENTRIES = 10_000
"""Fewest entries of the ledger between two snapshots."""


class Cluster:
    """What makes the server of a `ChatBroker` one node of a chat of many.

    Give it to one broker, and to an adapter that can append to streams and read them in order, such
    as those of Redis. There is one ledger, which all nodes write and read, and one mailbox for each
    node. The adapter

    1. gives `load` the snapshot that is stored, and `receive_ledger` all entries that follow it;
    2. calls `set_connected`, and appends what `take_appends` returns, now and after each round;
    3. gives `receive_ledger` and `receive_mail` what comes, each stream in order;
    4. stores what `take_snapshot` returns;
    5. begins again with `lose_ledger` when the ledger does not hold the entry that it has read
       last, or one of `doubts`.

    `ChatBroker.tick` advances the clock. Nothing that the streams say has to come exactly once:
    when the outcome of an append is unknown, the adapter calls `set_connected` again.

    Args:
        node: What the operator calls the node; different for each, without spaces and `#`.
        token: Random characters, different each time. They tell a node from those of the same name
            that were there before.
        node_timeout: Seconds without an entry after which a node is down. Its users are offline
            then.
        patience: Seconds that connections wait while the ledger does not answer.

    Raises:
        ValueError: `node` or `token` is empty or has other characters.
    """

    def __init__(
        self, node: str, *, token: str, node_timeout: float = 10.0, patience: float = 3.0
    ) -> None:
        for word in (node, token):
            if not word or not word.isprintable() or set(word) & set(" #"):
                raise ValueError(f"{word!r} is no name of a node: use letters, digits, - and .")
        if not (node_timeout > 0 and patience > 0):
            raise ValueError("node_timeout and patience are positive numbers of seconds")
        self._id = node
        self._token = token
        self._incarnations = 0
        self._liveness = Liveness(node_timeout, patience)
        self._counters = ClusterCounters()
        self._events: list[ClusterEvent] = []
        self._nodes: dict[str, Node] = {}
        self._declared: set[str] = set()
        # The local connections that the other nodes know, both ways; those whose end is in the
        # ledger, or on its way there.
        self._numbers: dict[Peer, int] = {}
        self._by_number: dict[int, Peer] = {}
        self._ending: set[Peer] = set()
        self._count = 0
        self._waiting: dict[Peer, Wait] = {}
        self._outcomes: dict[Peer, Outcome] = {}
        self._position = 0
        self._entries = 0
        # The bans as the ledger has them. Those of this node are in force before they are there.
        self._bans = Bans()
        # What the ledger calls the entry that is being executed.
        self._entry_id = ""
        self._config = ""
        self._writer: Iterator[bytes] | None = None
        self._written: list[bytes] = []
        self._snapshot_id = ""
        self._snapshot: ClusterSnapshot | None = None
        self._connected = False
        self._again = False
        # Whether it is time to acknowledge what no other mail has, and when it last was.
        self._acknowledge = False
        self._acknowledged = -inf
        # Whether this incarnation may append entries: no other node of the ID lives.
        self._has_entered = False
        # Whether this node is about to leave; whether it has appended that.
        self._leaving = False
        self._has_left = False
        # What differs from the configuration of those who run the chat, and since when we know.
        self._refused = ""
        self._refused_at = 0.0
        self.left: bool = False
        """Whether the ledger says that this node has left, see `leave`."""
        self.refusal: str = ""
        """Why the chat does not take this node, in words for people; empty while it does. The
        server has to end."""
        self.doubts: set[str] = set()
        """The ids of entries behind which some are missing. If the ledger still holds such an
        entry, it has lost nothing behind it: its author appends once more what is missing, so
        discard the id. Otherwise this node alone has missed something: begin again with
        `lose_ledger`."""
        self.name: str = ""
        """The node's name in the ledger, `ID#incarnation`, and the one of its mailbox. It changes
        when the node joins anew."""
        self._author: Author
        self._dispatcher: Dispatcher
        self._hub: ReplicatedHub
        self._flow: ClusterFlow
        self._mailroom: Mailroom

    # For the adapter

    @property
    def standing(self) -> Standing:
        """How this node stands with the others."""
        return self._liveness.standing

    def load(self, snapshot: bytes | None) -> None:
        """Begin with a snapshot. The next entry of the ledger is the one that follows it.

        Args:
            snapshot: The snapshot that is stored; None when there is none.

        Raises:
            ClusterError: It is damaged, or from another version.
        """
        self._position, self._entries, self._config = 0, 0, ""
        if snapshot is not None:
            header = read_snapshot(snapshot, self._hub, self._liveness.now)
            for ban in header.bans:
                self._bans.add(ban)
                self._dispatcher.apply_ban(ban, "")
            self._position, self._entries = header.position, header.entries
            self._config = header.config
            self._nodes.update((node.name, node) for node in header.nodes)
        self._mailroom.reset(self._position)

    def set_connected(self, connected: bool) -> None:
        """Note whether appends can be made.

        Args:
            connected: False as soon as they can't. True when they can, after everything was read
                that the streams had; then all that has not come back is appended once more.
        """
        self._connected = connected
        self._again = connected
        self._liveness.stop_listening()

    def take_appends(self) -> list[tuple[str | None, bytes]]:
        """What to append, in this order.

        Returns:
            For each, the node to whose mailbox it goes, or None for the ledger; and the entry.
        """
        if not self._connected or (not self._has_entered and self._listens()):
            return []
        self._has_entered = True
        appends: list[tuple[str | None, bytes]] = []
        if self._again:
            self._again = False
            appends += [(None, batch.entry) for batch in self._author.unconfirmed]
            self._counters.resent += len(appends)
            appends += self._mailroom.take_again()
        while self._author.has_news or self._liveness.take_heartbeat():
            appends.append((None, self._author.take()))
            self._liveness.note_entry()
        if self._acknowledge:
            self._acknowledge = False
            appends += self._mailroom.take_mails(self.name)
            appends += self._mailroom.take_acknowledgements(self.name)
        else:
            appends += self._mailroom.take_mails(self.name)
        return appends

    def receive_ledger(self, entry: bytes, entry_id: str) -> None:
        """Execute the next entry of the ledger, from any node.

        Args:
            entry: The entry.
            entry_id: What the ledger calls it, for the snapshot.
        """
        self._position += 1
        self._entries += 1
        self._entry_id = entry_id
        author = ""
        try:
            parsed = parse_entry(entry)
            author = parsed.node
            batch = self._execute(parsed)
        except ValueError:
            self._counters.garbled += 1
            batch = None
        self._mailroom.ledger_applied(self._position)
        if self._entries >= max(SNAPSHOT_ENTRIES, self._hub.users + self._hub.groups):
            self._entries = 0
            # If this node has missed something, its hub differs from the others.
            is_ours = author == self.name and author in self._nodes
            if is_ours and self._writer is None and not self.doubts:
                self._begin_snapshot(entry_id)
        if batch is not None:
            self._resume(batch)

    def receive_mail(self, entry: bytes) -> None:
        """Receive the next entry of this node's mailbox."""
        self._mailroom.receive(entry)

    def take_snapshot(self) -> ClusterSnapshot | None:
        """A snapshot to be stored; None most of the time."""
        snapshot, self._snapshot = self._snapshot, None
        return snapshot

    def lose_ledger(self) -> bytes:
        """Begin anew, because Redis has lost a part of the ledger, or all of it.

        All who are logged in are disconnected with UNAVAILABLE: nobody knows which of their
        messages were lost. Call `load` afterwards.

        Returns:
            A snapshot of the groups. Store it before you `load` it, if Redis has lost both the
            ledger and the snapshot. If another node has stored one meanwhile, load that one.
        """
        self._note(ClusterEventKind.LEDGER_LOST, self.name)
        config = self._config or self._own_config
        data = groups_snapshot(self._hub, config, self._bans.all())
        self._end_users()
        self._abandon_snapshot()
        for node in self._others():
            self._mailroom.forget(node)
        self._nodes.clear()
        self._hub.reset()
        # Some may have been lifted in what this node has not read.
        self._dispatcher.bans.clear()
        self._bans.clear()
        self.doubts.clear()
        self._join()
        return data

    def leave(self) -> None:
        """Take this node off the ledger, once its mail is acknowledged. Then `left` is true."""
        self._leaving = True

    def take_events(self) -> list[ClusterEvent]:
        """What has happened between the nodes since the last call, for the log."""
        events, self._events = self._events, []
        return events

    def snapshot(self) -> ClusterCounters:
        """The counters as they stand now. Other threads may call it."""
        # Copied in one step, because nodes come and go meanwhile.
        others = [node for node in list(self._nodes.values()) if node.name != self.name]
        return replace(
            self._counters,
            standing=self.standing,
            nodes=len(self._nodes),
            far_users=self._hub.remotes,
            ledger_position=self._position,
            ledger_lag=self._liveness.lag,
            unacknowledged={node.name: node.outgoing.size for node in others},
            full=tuple(node.name for node in others if node in self._flow.full),
        )

    # For the broker; see `Replication`

    @property
    def reachable(self) -> bool:
        """Whether messages to other nodes are accepted."""
        return self.standing in (Standing.UP, Standing.LATE)

    def new_hub(self, policy: Policy, limits: Limits) -> ReplicatedHub:
        """The hub for the dispatcher."""
        self._own_config = describe_config(policy, limits)
        self._hub = ReplicatedHub(policy, limits, self._numbers)
        return self._hub

    def new_flow(self, limits: Limits, source: Callable[[Any], Hashable]) -> ClusterFlow:
        """The flow control for the dispatcher."""
        self._flow = ClusterFlow(limits, source)
        return self._flow

    def attach(self, dispatcher: "Dispatcher") -> None:
        """Begin to work for a dispatcher.

        Raises:
            ValueError: It works for one already.
        """
        if self.name:
            raise ValueError("a cluster belongs to one broker")
        self._dispatcher = dispatcher
        self._mailroom = Mailroom(
            self._nodes, self._flow, self._numbers, self._by_number, self._counters
        )
        self._mailroom.attach(dispatcher)
        self._join()

    def tick(self, now: float) -> None:
        """Advance the clock."""
        liveness = self._liveness
        if liveness.tick(now, self._nodes.values()):
            self._note_standing()
            if liveness.standing is Standing.ISOLATED:
                self._isolate()
        if liveness.standing is Standing.JOINING and liveness.is_cut_off:
            self._isolate()
        self._mailroom.tick()
        if now >= self._acknowledged + ACKNOWLEDGE_AFTER:
            self._acknowledged = now
            self._acknowledge = True
        if self._refused:
            self._insist()
        elif liveness.standing is Standing.UP:
            for node in liveness.silent(self._others()):
                if node.name not in self._declared:
                    self._declared.add(node.name)
                    self._author.add(f"D {node.name}")
        if (
            self._leaving
            and not self._has_left
            and all(node.outgoing.is_empty for node in self._others())
        ):
            self._has_left = True
            self._author.add(f"D {self.name}")
        if self._writer is not None:
            self._go_on_with_snapshot(self._writer)

    def propose(self, peer: Peer, event: Event) -> Proposal:
        """Have all nodes handle an event, if what comes of it depends on them."""
        if self._hub.decides_alone(peer, event):
            return Proposal.LOCAL
        if self._hub.is_query(event):
            return self.confirm(peer)
        if self._liveness.is_cut_off:
            return Proposal.UNAVAILABLE
        number = self._numbers.get(peer)
        if number is None:
            self._count += 1
            number = self._numbers[peer] = self._count
            self._by_number[number] = peer
        self._author.add_event(peer, number, peer.network, event)
        self._waiting[peer] = Wait.COMMAND
        return Proposal.WAITING

    def confirm(self, peer: Peer) -> Proposal:
        """Have a connection wait until the hub knows all that was done before, on any node."""
        if self._liveness.is_cut_off:
            return Proposal.UNAVAILABLE
        self._counters.syncs += 1
        self._author.add_sync(peer)
        self._waiting[peer] = Wait.SYNC
        return Proposal.WAITING

    def take_outcome(self, peer: Peer) -> Outcome | None:
        """What has come of the event that a connection waited for."""
        outcome = self._outcomes.pop(peer, None)
        if outcome is None or outcome.actions is None:
            return outcome
        # Since the hub decided, some recipients may have ended.
        actions = [
            Deliver(tuple(filter(_is_open, each.to)), each.message, each.group)
            if isinstance(each, Deliver)
            else each
            for each in outcome.actions
        ]
        return Outcome(actions, outcome.name)

    def check_config(self, policy: Policy, limits: Limits) -> None:
        """Check that all nodes would still agree.

        Raises:
            ValueError: They would not.
        """
        differs = differences(self._own_config, describe_config(policy, limits))
        if differs:
            raise ValueError(
                "the policy and the limits on groups belong to the chat, not to one server: "
                f"{differs}. To change them, stop all servers of the chat and start them anew"
            )

    def split(self, to: Collection[Any]) -> tuple[Collection[Peer], Mapping[Node, list[Remote]]]:
        """Divide recipients into local ones and those of each other node."""
        return self._mailroom.split(to)

    def has_room(self, remote: Mapping[Node, list[Remote]]) -> bool:
        """Whether no sender has to wait for any of these recipients."""
        return self._mailroom.has_room(remote)

    def send(
        self,
        remote: Mapping[Node, list[Remote]],
        lines: bytes,
        sender: Peer | None = None,
        recipients: int = 0,
        group: str = "",
        before: int = 0,
    ) -> None:
        """Mail lines to connections of other nodes; see `Replication`."""
        self._mailroom.send(remote, lines, sender, recipients, group, before)

    def send_one(self, remote: Remote, line: bytes, sender: Peer) -> bool:
        """Mail a line to the one connection of a user; see `Replication`."""
        return self.reachable and self._mailroom.send_one(remote, line, sender)

    def kick(self, remote: Remote, text: str) -> None:
        """Have another node end one of its connections."""
        self._mailroom.kick(remote, text)

    def command(self, line: str) -> None:
        """Have all nodes do something that no connection has asked for."""
        self._author.add(line)

    def released(self, waiter: Hold) -> None:
        """Tell a node that its senders need not wait for a local queue any more."""
        self._mailroom.released(waiter)

    def forget(self, peer: Peer) -> None:
        """Forget what a connection waits for, and tell the others that it ends."""
        self._waiting.pop(peer, None)
        self._outcomes.pop(peer, None)
        self._mailroom.forget_sender(peer)
        number = self._numbers.get(peer)
        if number is not None and peer not in self._ending:
            self._ending.add(peer)
            self._author.add(f"O {number}")

    # The ledger

    def _execute(self, entry: Entry) -> Batch | None:
        """Execute an entry.

        Returns:
            What waited for it, if it is ours.
        """
        own = entry.node == self.name
        node = self._nodes.get(entry.node)
        if node is not None:
            if not self._has_entered and self._liveness.is_listening and node.id == self._id:
                self.refusal = (
                    f"node {self._id} is running already: "
                    "give each server of the chat a node ID of its own"
                )
            node.heard = self._liveness.now
            if entry.seq != node.applied + 1:
                # It came before, or others are missing in front of it. While this node joins, all
                # nodes read the same: what is missing then has never been in the ledger, or comes
                # later.
                if entry.seq > node.applied and self.standing is not Standing.JOINING:
                    self.doubts.add(node.applied_id)
                return None
            node.applied, node.applied_id = entry.seq, self._entry_id
        batch = self._author.confirm(entry.seq) if own else None
        for at, line in enumerate(entry.lines):
            letter, _, rest = line.partition(" ")
            if letter == "J":
                node = self._joined(entry, rest)
            elif letter == "D":
                self._down(rest)
            elif letter in ("A", "R", "B", "U") and node is not None:
                self._operate(letter, *rest.split(" ", 1))
            elif node is not None and self._nodes.get(entry.node) is node:
                event = batch.events.get(at, (None, None))[1] if batch is not None else None
                self._command(node, letter, rest, event)
        if own and self._nodes.get(self.name) is node and node is not None:
            if self._liveness.confirmed(self._nodes.values()):
                self._note_standing()
            return batch
        return None

    def _joined(self, entry: Entry, config: str) -> Node | None:
        """A node joins: the one of the same ID that was there before is gone."""
        node = Node(entry.node, entry.seq, self._liveness.now)
        node.applied_id = self._entry_id
        for other in [each for each in self._nodes.values() if each.id == node.id]:
            if other.name == self.name:
                self.refusal = (
                    f"another server has joined the chat as node {self._id}: "
                    "give each server a node ID of its own"
                )
            self._remove(other)
        if self._nodes and config != self._config:
            if entry.node == self.name:
                self._refused = differences(self._config, config)
                self._refused_at = self._liveness.now
                self._author.unconfirmed.clear()
                for other in self._nodes.values():
                    other.heard = self._refused_at
            return None
        self._config = config
        self._nodes[node.name] = node
        if entry.node == self.name:
            self._mailroom.since = self._position
        else:
            self._note_other(ClusterEventKind.NODE_JOINED, node.name)
        return node

    def _down(self, name: str) -> None:
        """A node is down, or leaves."""
        node = self._nodes.get(name)
        if node is None:
            return
        if name != self.name:
            kind = ClusterEventKind.NODE_LEFT
            if self._liveness.now - node.heard > self._liveness.node_timeout / 2:
                kind = ClusterEventKind.NODE_DOWN
            self._note_other(kind, name)
            self._remove(node)
        else:
            self._remove(node)
            self.left = self._has_left
            if not self.left:
                self._note(ClusterEventKind.FENCED, name)
                self._join()

    def _remove(self, node: Node) -> None:
        """Take a node and all its connections off the hub."""
        del self._nodes[node.name]
        self._declared.discard(node.name)
        if node.name == self.name:
            self._end_users()
            for other in self._nodes.values():
                self._mailroom.forget(other)
                other.restart_mail()
            return
        self._mailroom.forget(node)
        for remote in node.remotes.values():
            self._hub.disconnect(remote)

    def _command(self, node: Node, letter: str, rest: str, event: Event | None) -> None:
        """Execute a command of a connection."""
        own = node.name == self.name
        word, _, rest = rest.partition(" ")
        number = int(word)
        cid: Any = (self._by_number if own else node.remotes).get(number)
        if letter == "I":
            network, _, rest = rest.partition(" ")
            if not own and number > node.highest:
                cid = node.remotes[number] = Remote(node, word.encode())
                self._hub.connect(cid, "" if network == NO_NETWORK else network)
            node.highest = max(node.highest, number)
        if cid is None:
            # It is gone, or another one has replaced it.
            return
        if letter == "O":
            self._departed(node, number, cid)
            return
        if event is None:
            event = parse_event(letter, rest)
        before = self._hub.name_of(cid)
        actions = self._hub.handle(cid, event)
        for action in actions:
            if isinstance(action, Disconnect):
                self._replaced(action.cid)
        if self._hub.name_of(cid) is None:
            # Its next LOGIN gets another number.
            self._departed(node, number, cid)
        if own and self._waiting.get(cid) is Wait.COMMAND:
            kept = [each for each in actions if not isinstance(each, Disconnect)]
            self._outcomes[cid] = Outcome(kept, before)

    def _operate(self, letter: str, what: str, rest: str = "") -> None:
        """Execute a command of those who run the servers."""
        if letter == "A" and self._hub.table.get(what) is not None:
            self._hub.add_member(what, rest)
        elif letter == "R":
            self._hub.remove_member(what, rest)
        elif letter == "B":
            self._bans.add(what)
            self._dispatcher.apply_ban(what, rest)
        else:
            self._bans.remove(what)
            self._dispatcher.bans.remove(what)

    def _departed(self, node: Node, number: int, cid: Any) -> None:
        """The others know a connection no more."""
        if type(cid) is Remote:
            del node.remotes[number]
            self._flow.release(cid)
            self._hub.disconnect(cid)
        else:
            if cid in self._ending:
                self._hub.depart(cid)
            self._drop_number(cid)

    def _replaced(self, cid: Any) -> None:
        """Another connection has taken the name of one over."""
        if type(cid) is Remote:
            del cid.node.remotes[int(cid.number)]
            self._flow.release(cid)
            self._hub.disconnect(cid)
        else:
            self._drop_number(cid)
            if cid.phase is Phase.OPEN:
                self._dispatcher.close(cid, CloseReason.REPLACED)

    def _drop_number(self, peer: Peer) -> None:
        del self._by_number[self._numbers.pop(peer)]
        self._ending.discard(peer)

    def _resume(self, batch: Batch) -> None:
        """Resume the connections that have waited for an entry."""
        for peer in batch.syncs:
            if self._waiting.get(peer) is Wait.SYNC:
                self._outcomes[peer] = Outcome(None, None)
        for peer in [*batch.syncs, *[peer for peer, _ in batch.events.values()]]:
            if peer in self._outcomes and self._waiting.pop(peer, None) is not None:
                self._dispatcher.resume(peer)

    # This node's place in the chat

    def _join(self) -> None:
        """Join the chat, for the first time or anew, as another incarnation."""
        # The others take no more entries of the incarnation before. What its operators have done
        # since it was cut off must not be lost with them.
        carried = self._author.operator_lines() if self._incarnations else []
        self._incarnations += 1
        self._has_entered = False
        self.name = f"{self._id}#{self._token}.{self._incarnations}"
        self._author = Author(self.name)
        for line in (f"J {self._own_config}", *carried):
            self._author.add(line)
        # What an earlier incarnation has said of others, and of itself, may be lost.
        self._declared.clear()
        self._has_left = False
        self._refused = ""
        self._mailroom.since = inf
        self._liveness.join()
        if self._incarnations > 1:
            self._note_standing()

    def _listens(self) -> bool:
        """Whether another node of this one's ID may live, so that this one has to wait."""
        ours = f"{self._id}#{self._token}."
        others = (node for node in self._nodes.values() if node.id == self._id)
        if all(node.name.startswith(ours) for node in others):
            return False
        return self._liveness.listen()

    def _insist(self) -> None:
        """Give up if a node with another configuration lives; otherwise join in its place."""
        nodes = list(self._nodes.values())
        if any(node.heard > self._refused_at for node in nodes):
            self.refusal = (
                f"the chat is run by servers with another configuration: {self._refused}. "
                "All nodes of a chat need the same"
            )
        elif len(list(self._liveness.silent(nodes))) == len(nodes):
            self._refused = ""
            for node in nodes:
                self._author.add(f"D {node.name}")
            self._author.add(f"J {self._own_config}")

    def _isolate(self) -> None:
        """Refuse what waits for other nodes, and end connections whose command may be executed."""
        refused = self._author.take_back()
        refused += [peer for peer, wait in self._waiting.items() if wait is Wait.SYNC]
        for peer in refused:
            if self._waiting.pop(peer, None) is None:
                # It has ended meanwhile: what those before it have sent next may end others.
                continue
            name = self._hub.name_of(peer)
            if name is None:
                self._drop_number(peer)
            refusal = Refuse(peer, ErrorCode.UNAVAILABLE, UNREACHABLE)
            self._outcomes[peer] = Outcome([refusal], name)
            self._dispatcher.resume(peer)
        for peer in list(self._waiting):
            self._dispatcher.close(peer, CloseReason.UNAVAILABLE)
        self._mailroom.release_senders()

    def _end_users(self) -> None:
        """Disconnect all connections that the others know."""
        for peer in list(self._numbers):
            self._ending.add(peer)
            if peer.phase is Phase.OPEN:
                self._dispatcher.close(peer, CloseReason.UNAVAILABLE)
            self._hub.depart(peer)
            self._drop_number(peer)

    def _others(self) -> Iterator[Node]:
        return (node for node in self._nodes.values() if node.name != self.name)

    def _note(self, kind: ClusterEventKind, node: str, text: str = "") -> None:
        self._events.append(ClusterEvent(kind, node, text))

    def _note_other(self, kind: ClusterEventKind, node: str) -> None:
        """Note what happens to another node; but not what this one reads again when it joins."""
        if self.standing is not Standing.JOINING:
            self._note(kind, node)

    def _note_standing(self) -> None:
        self._note(ClusterEventKind.STANDING, self.name, self.standing)

    # Snapshots

    def _begin_snapshot(self, entry_id: str) -> None:
        self._snapshot_id = entry_id
        header = Header(
            self._position,
            0,
            self._config,
            list(self._nodes.values()),
            self._bans.all(),
        )
        own = self._nodes[self.name]
        numbers = dict(self._numbers)

        def locate(cid: Any) -> tuple[Node, int] | None:
            return (own, numbers[cid]) if cid in numbers else None

        self._written = []
        self._writer = write_snapshot(self._hub, header, locate)
        self._go_on_with_snapshot(self._writer)

    def _go_on_with_snapshot(self, writer: Iterator[bytes]) -> None:
        part = next(writer, None)
        if part is not None:
            self._written.append(part)
            return
        self._writer = None
        self._snapshot = ClusterSnapshot(self._snapshot_id, b"".join(self._written))
        self._written = []

    def _abandon_snapshot(self) -> None:
        self._writer, self._written, self._snapshot = None, [], None
        self._hub.table.copy_on_write = False


def _is_open(cid: Any) -> bool:
    return type(cid) is Remote or cid.phase is Phase.OPEN
