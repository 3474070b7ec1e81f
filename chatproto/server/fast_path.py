"""The fast path for messages: from the sender's line to the recipients' lines without an event.

Theory of operation
===================

A RECEIVE differs from the SEND or BROADCAST that it comes from only in what stands before the data.
So to relay a message, it is enough to replace its beginning, without an event, an action or an
encoder. The fast path does just that, in a third of the time of the general path. Both make the
same of each line; a property test compares them.

* A SEND that arrives alone is split once and joined once. That happens in one loop for all
  connections from which something has arrived (`deliver`).
* Data holds no LF. So in a run of messages to one name, each `LF beginning` is where the next line
  starts: one `split` finds all lines, and one `join` inserts the new beginning (`deliver_run`).

The fast path takes only messages that certainly need no closer look. It leaves all else to the
general path, which states each rule: invalid lines, other commands, lines that may be too long,
recipients who are offline or not allowed, full queues.

`Peer.prefix` says whether a connection may take the fast path. It is the beginning of the lines
that the recipients get. It is empty while the general path has to look at each line of the
connection. If the fast path is not enabled, it is empty for all connections.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from ..routing.actions import Refuse
from ..routing.hub import ChatHub
from ..wire.codec import receive_prefix, split_message, with_label
from ..wire.names import NAMES
from .buffers import Buffers
from .counters import Counters
from .limits import Limits
from .peer import Peer, Phase, Waiting
from .replication import Replication
from .work import FEW, TURN, Work

SHORTEST: Final = len(b"CHAT/1.0 SEND b ")
"""The fewest bytes that can stand before the data of a message."""


class FastPath:
    """Delivers messages that need no closer look.

    Args:
        hub: Who is online, and in which groups.
        by_id: All connections, by the adapter's ids.
        buffers: The send queues.
        limits: How long a line may be.
        counters: Where to count messages.
        work: Where to count work.
        cluster: The cluster that the server is a node of; None for none.
        enabled: Whether there is a fast path.
    """

    def __init__(
        self,
        hub: ChatHub[Peer],
        by_id: Mapping[Any, Peer],
        buffers: Buffers,
        limits: Limits,
        counters: Counters,
        work: Work,
        cluster: Replication | None,
        *,
        enabled: bool,
    ) -> None:
        self._hub = hub
        self._by_id = by_id
        self._buffers = buffers
        # A relayed line is longer by its new beginning, and shorter by its old one.
        self._longest = limits.max_line + SHORTEST
        self._counters = counters
        self._work = work
        self._cluster = cluster
        self._enabled = enabled

    def reconfigure(self, limits: Limits) -> None:
        """Use another bound on lines from now on. Then `update` each connection."""
        self._longest = limits.max_line + SHORTEST

    def update(self, peer: Peer) -> None:
        """Decide anew whether a connection's messages may take the fast path."""
        if (
            not self._enabled
            or peer.rate_limiter is not None
            or peer.phase is not Phase.OPEN
            or peer.waiting is not Waiting.NOTHING
            or not peer.connection.at_line_start
            or (name := self._hub.name_of(peer)) is None
        ):
            peer.prefix = b""
        else:
            peer.prefix = receive_prefix(name)

    def deliver(
        self, received: Iterable[tuple[Any, bytes]]
    ) -> Generator[tuple[Peer, bytes], None, None]:
        """Deliver SENDs that arrive alone, from any number of connections.

        `deliver_run` would do the same with them. One loop, with all that it needs in local
        variables, saves a third of the time.

        Args:
            received: The connections' ids, and what each has sent.

        Yields:
            What it has not delivered. Execute each before you ask for the next, to keep the order.
        """
        by_id, queue = self._by_id, self._buffers.queue_unless_full
        names, online = NAMES, self._hub.online
        longest, counters = self._longest, self._counters
        cluster, recipients = self._cluster, self._hub.recipients
        # Counted here, and added in the end, which pays for the look at who the recipients are.
        messages = 0
        try:
            for cid, data in received:
                peer = by_id[cid]
                prefix = peer.prefix
                if prefix and len(data) + len(prefix) <= longest:
                    message = split_message(data)
                    if message is not None:
                        _, command, name, rest = message
                        # Nobody is online under a name that was never received.
                        if (
                            command == b"SEND"
                            and (to := online.get(names.get(name, "")))
                            and len(to) <= FEW
                            and rest.find(b"\n") + 1 == len(rest)
                            and queue(to, prefix + rest)
                        ):
                            if peer not in to:
                                messages += 1
                            counters.deliveries += len(to)
                            continue
                        if (
                            cluster is not None
                            and command == b"SEND"
                            and len(to := recipients(names.get(name, ""))) == 1
                            and type(to[0]) is not Peer
                            and rest.find(b"\n") + 1 == len(rest)
                            and cluster.send_one(to[0], prefix + rest, peer)
                        ):
                            messages += 1
                            continue
                yield peer, data
        finally:
            counters.messages += messages

    def deliver_run(self, peer: Peer, data: bytes) -> int:
        """Deliver messages of one connection.

        Args:
            peer: The connection.
            data: Whole lines, or a part of one.

        Returns:
            The bytes of the whole lines that were delivered; 0 when the first one needs a closer
            look.
        """
        message = split_message(data)
        if message is None:
            return 0
        _, command, raw_name, rest = message
        name = NAMES.get(raw_name, "")
        looked_up = 0
        cluster = self._cluster
        to: Collection[Peer] | Refuse[Peer] = ()
        if command == b"SEND":
            to = self._hub.online.get(name, ())
            if to:
                # All of them are here.
                cluster = None
            else:
                to = self._hub.recipients(name)
        elif command == b"BROADCAST":
            looked_up, to = self._hub.members(name), self._hub.audience(peer, name)
        if not to or isinstance(to, Refuse):
            return 0
        beginning, prefix = data[: -len(rest)], peer.prefix
        texts = rest.split(b"\n" + beginning)
        if len(texts) != rest.count(b"\n"):
            return self._deliver_each(peer, data)
        size = len(beginning) + max(map(len, texts)) + 1
        if size + len(prefix) > self._longest:
            return 0
        lines = prefix + (b"\n" + prefix).join(texts)
        remote: Mapping[Any, list[Any]] | None = None
        recipients = len(to)
        if cluster is not None:
            to, remote = cluster.split(to)
            if remote and not (cluster.reachable and cluster.has_room(remote)):
                return 0
        labelled = self._hub.labelled
        if labelled and command == b"BROADCAST" and not labelled.keys().isdisjoint(to):
            label = with_label(prefix, name)
            queued = size + len(label) <= self._longest and self._buffers.queue_both_unless_full(
                [each for each in to if each not in labelled],
                lines,
                [each for each in to if each in labelled],
                label + (b"\n" + label).join(texts),
            )
        else:
            queued = self._buffers.queue_unless_full(to, lines)
        if not queued:
            return 0
        if remote and cluster is not None:
            if command == b"SEND":
                cluster.send(remote, lines, peer, recipients)
            else:
                cluster.send(remote, lines, group=name)
        if command == b"BROADCAST" or peer not in to:
            self._counters.messages += len(texts)
        self._counters.deliveries += len(texts) * len(to)
        self._work.charge(1 + len(to) + looked_up)
        return len(data)

    def _deliver_each(self, peer: Peer, data: bytes) -> int:
        """The same for lines that begin differently, until the turn is over."""
        at, work, counters = 0, self._work, self._counters

        def lines() -> Iterator[tuple[Any, bytes]]:
            nonlocal at
            while at < len(data) and work.turn < TURN:
                start, at = at, data.index(b"\n", at) + 1
                charged, delivered = work.turn, counters.deliveries
                yield peer.cid, data[start:at]
                if work.turn == charged:
                    work.charge(1 + counters.deliveries - delivered)

        # Closed at once, so that what it has delivered is counted now.
        with closing(self.deliver(lines())) as rest:
            for _, line in rest:
                if not self.deliver_run(peer, line):
                    return at - len(line)
        return at
