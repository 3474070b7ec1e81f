"""Sends messages to other nodes and receives theirs."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final

from ..server.close_reason import CloseReason
from ..server.peer import Peer, Phase
from .counters import ClusterCounters
from .flow import ClusterFlow
from .mail import Frame, Kick, Mail, Messages, Returned, Signal, Tracked, parse_mail
from .nodes import Hold, Node, Remote

if TYPE_CHECKING:
    from ..server.dispatcher import Dispatcher

WINDOW: Final = 480 << 10
"""Most bytes on their way to one node. With more, senders wait."""

NOWHERE: Final[Mapping[Node, list[Remote]]] = {}
"""No recipients on other nodes."""


class Mailroom:
    """The mail of one node.

    Args:
        nodes: The nodes of the chat, by name.
        flow: The flow control.
        numbers: The local connections that other nodes know, with their numbers.
        by_number: The same by number.
        counters: Where to count.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        flow: ClusterFlow,
        numbers: Mapping[Peer, int],
        by_number: Mapping[int, Peer],
        counters: ClusterCounters,
    ) -> None:
        self._nodes = nodes
        self._flow = flow
        self._numbers = numbers
        self._by_number = by_number
        self._counters = counters
        self._dispatcher: Dispatcher
        self._name_of: Callable[[Any], str | None]
        self.since: float = inf
        """The position at which this node has joined. Mails from before were for an incarnation
        before."""
        self._position = 0
        self._window = WINDOW
        # Mails that came before the entries of the ledger that they build on.
        self._early: deque[Mail] = deque()
        # What senders have sent to some connections of a user, while they wait for the others.
        self._begun: dict[Peer, Tracked] = {}

    def attach(self, dispatcher: "Dispatcher") -> None:
        """Work for a dispatcher."""
        self._dispatcher = dispatcher
        self._name_of = dispatcher.hub.name_of

    # Messages to other nodes

    @staticmethod
    def split(to: Collection[Any]) -> tuple[Collection[Peer], Mapping[Node, list[Remote]]]:
        """Divide recipients into local ones and those of each other node."""
        if Remote not in map(type, to):
            return to, NOWHERE
        local: list[Peer] = []
        remote: dict[Node, list[Remote]] = {}
        for each in to:
            if type(each) is Remote:
                remote.setdefault(each.node, []).append(each)
            else:
                local.append(each)
        return local, remote

    def has_room(self, remote: Mapping[Node, list[Remote]]) -> bool:
        """Whether no sender has to wait for any of these recipients."""
        full = self._flow.full
        if not full:
            return True
        return full.keys().isdisjoint(remote) and all(
            full.keys().isdisjoint(each) for each in remote.values()
        )

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
        tracked = None
        if sender is not None and before:
            tracked = self._go_on(sender, before - recipients)
            sender = None
        for node, connections in remote.items():
            if sender is not None and tracked is None:
                name = self._name_of(connections[0]) or ""
                tracked = Tracked(sender, name, recipients)
                if self._flow.blocked_by(sender) is not None:
                    self._begun[sender] = tracked
            numbers = (
                connections[0].number
                if len(connections) == 1
                else b",".join([each.number for each in connections])
            )
            if group:
                node.outgoing.add_broadcasts(numbers, lines, group)
            else:
                node.outgoing.add_messages(numbers, lines, tracked)
            if node.outgoing.size > self._window and node not in self._flow.full:
                self._flow.hold(node)

    def send_one(self, remote: Remote, line: bytes, sender: Peer) -> bool:
        """Mail a line to the one connection of a user, if nobody has to wait for it.

        The same as `send`, in half the time.
        """
        node, full = remote.node, self._flow.full
        if full and (remote in full or node in full):
            return False
        outgoing = node.outgoing
        outgoing.add_messages(remote.number, line, Tracked(sender, self._name_of(remote) or "", 1))
        if outgoing.size > self._window:
            self._flow.hold(node)
        return True

    @staticmethod
    def kick(remote: Remote, text: str) -> None:
        """Have another node end one of its connections."""
        words = text.encode()
        remote.node.outgoing.add(b"K %s %d\n" % (remote.number, len(words)), words)

    def tick(self) -> None:
        """Find out how much may be on its way to each node: there may be more nodes now."""
        limits = self._dispatcher.limits
        share = (limits.queue_bytes - self._flow.high_water) // max(1, len(self._nodes) - 1)
        self._window = max(min(WINDOW, share), limits.max_line)

    # What goes to Redis, and what comes from there

    def take_mails(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The mails to append now, each with the node that it goes to.

        Args:
            name: This node's name.
        """
        for node in self._nodes.values():
            if node.name == name:
                continue
            incoming = node.incoming
            for entry in node.outgoing.take(name.encode(), incoming.received, self._position):
                incoming.note_told()
                self._counters.mails_sent += 1
                self._counters.mail_bytes_sent += len(entry)
                yield node.name, entry
            if incoming.size > self._window // 4:
                yield node.name, self._acknowledgement(name, node)

    def take_acknowledgements(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The mails that acknowledge what no other mail has acknowledged for a while."""
        for node in self._nodes.values():
            if not node.incoming.is_told:
                yield node.name, self._acknowledgement(name, node)

    def take_again(self) -> Iterator[tuple[str, bytes]]:
        """The mails to append once more after an interruption."""
        for node in self._nodes.values():
            # The last acknowledgement may be lost, too.
            node.incoming.is_told = not node.incoming.received
            for entry in node.outgoing.again():
                self._counters.resent += 1
                yield node.name, entry

    def receive(self, entry: bytes) -> None:
        """Receive a mail."""
        try:
            mail = parse_mail(entry)
        except ValueError:
            self._counters.garbled += 1
            return
        if mail.position > self._position:
            self._counters.waited += 1
            self._early.append(mail)
        else:
            self._read(mail)

    def ledger_applied(self, position: int) -> None:
        """Read the mails that have waited for the ledger.

        Args:
            position: How many entries have been applied.
        """
        self._position = position
        for _ in range(len(self._early)):
            mail = self._early.popleft()
            if mail.position > position:
                self._early.append(mail)
            else:
                self._read(mail)

    def reset(self, position: int) -> None:
        """Begin anew, at a position of the ledger."""
        self._position = position
        self._early.clear()

    def forget(self, node: Node) -> None:
        """Forget a node that is down. Nobody knows what its users have got of its last mails."""
        for tracked, count, messages in node.outgoing.unacknowledged():
            self._missed(tracked, count, messages)
        for hold in node.holds.values():
            self._flow.forget(hold)
        node.holds.clear()
        for remote in node.remotes.values():
            self._flow.release(remote)
        self._flow.release(node)

    def forget_sender(self, peer: Peer) -> None:
        """Forget what a connection has begun to send: it has ended."""
        self._begun.pop(peer, None)

    def release_senders(self) -> None:
        """Let the senders resume that wait for queues on other nodes."""
        for queue in list(self._flow.full):
            if type(queue) is not Peer:
                self._flow.release_senders(queue)

    def released(self, hold: Hold) -> None:
        """Tell a node that its senders need not wait for a local queue any more."""
        del hold.node.holds[hold.peer]
        letter = b"S" if hold.peer in self._flow.full else b"R"
        hold.node.outgoing.add(b"%s %d\n" % (letter, hold.number))

    def _acknowledgement(self, name: str, node: Node) -> bytes:
        node.incoming.note_told()
        return node.outgoing.acknowledgement(name, node.incoming.received, self._position)

    def _read(self, mail: Mail) -> None:
        node = self._nodes.get(mail.node)
        if node is None or mail.position < self.since:
            # That node is down, or one of both has joined anew under another name.
            return
        if mail.seq == node.incoming.received + 1:
            node.incoming.receive(mail)
            self._counters.mails_received += 1
            self._counters.mail_bytes_received += mail.size
            for frame in mail.frames:
                self._read_frame(node, mail.seq, frame)
        elif mail.seq > 0:
            # It came before. Its writer may not know that.
            node.incoming.is_told = False
        if abs(mail.seq) > node.incoming.received:
            # One before it is missing. What it acknowledges may have led to something in that one.
            return
        outgoing = node.outgoing
        outgoing.acknowledge(mail.ack)
        if node in self._flow.full and outgoing.size <= self._window // 2:
            self._flow.open(node)

    def _read_frame(self, node: Node, seq: int, frame: Frame) -> None:
        match frame:
            case Messages():
                self._deliver(node, seq, frame)
            case Signal(letter, number):
                remote = node.remotes.get(number)
                if remote is None:
                    return
                if letter == b"F":
                    self._flow.hold(remote)
                elif letter == b"R":
                    self._flow.open(remote)
                else:
                    self._flow.release(remote)
            case Kick(number, text):
                peer = self._by_number.get(number)
                if peer is not None and peer.phase is Phase.OPEN:
                    self._dispatcher.close(peer, CloseReason.KICKED, text)
            case _:
                self._returned(node, frame)

    def _deliver(self, node: Node, seq: int, messages: Messages) -> None:
        """Queue lines for local connections. The node that they come from may have to wait."""
        dispatcher, flow = self._dispatcher, self._flow
        numbers, key, group, lines = messages
        to: list[Peer] = []
        for number in numbers:
            peer = self._by_number.get(int(number))
            if peer is not None and peer.phase is Phase.OPEN:
                to.append(peer)
        if key and len(to) < len(numbers):
            node.outgoing.add(b"B %d %s %d\n" % (seq, key, len(numbers) - len(to)))
        dispatcher.log.counters.deliveries += lines.count(b"\n") * len(to)
        labelled = group and dispatcher.hub.labelled
        if not labelled and dispatcher.buffers.queue_unless_full(to, lines):
            return
        dispatcher.queue_messages(to, lines, group)
        for peer in flow.blockers(tuple(to)):
            if peer not in node.holds:
                self._counters.full_told += 1
                hold = node.holds[peer] = Hold(node, peer, self._numbers[peer])
                flow.wait(hold, peer)
                node.outgoing.add(b"F %d\n" % hold.number)

    def _returned(self, node: Node, frame: Returned) -> None:
        """Note that some connections have not received messages."""
        found = node.outgoing.returned(frame)
        if found is not None:
            tracked, messages = found
            self._missed(tracked, frame.gone, messages)

    def _go_on(self, sender: Peer, gone: int) -> Tracked | None:
        """Go on with a message that others have got, or may get, already.

        Args:
            sender: Its sender, which has waited for the connections that are left.
            gone: How many of these are not left any more.
        """
        tracked = self._begun.pop(sender, None)
        if tracked is not None:
            if self._flow.blocked_by(sender) is not None:
                self._begun[sender] = tracked
            self._missed(tracked, gone, 1)
        return tracked

    def _missed(self, tracked: Tracked, count: int, messages: int) -> None:
        """Tell the sender of messages if nobody is left who may get them.

        Args:
            tracked: Whom to tell.
            count: How many more connections will not get them.
            messages: How many messages these are.
        """
        tracked.left -= count
        if count and not tracked.left:
            self._counters.returned += messages
            for _ in range(messages):
                self._dispatcher.tell_gone(tracked.sender, tracked.name)
