"""Flow control across nodes: senders also wait for queues that are elsewhere."""

from collections.abc import Callable, Collection, Hashable
from typing import Any, Final

from ..server.flow_control import FlowControl
from ..server.limits import Limits
from .nodes import Node, Remote

EXCUSE: Final = 3.0
"""Seconds for which a wait for a queue on another node excuses a full queue."""


class ClusterFlow(FlowControl[Any]):
    """Flow control that knows queues of other nodes.

    A connection elsewhere has its send queue on its own node. That node says when the queue is
    full, when it has room again and when it has stopped. Here, only senders wait for it.

    A node is a queue too. It is full while too much of what was sent to it is not acknowledged.

    The owner of a queue elsewhere may wait for a connection here, which waits for that queue. No
    node sees the whole circle. So the excuse in rule 3 of `flow_control` ends after `EXCUSE`.
    """

    def __init__(self, limits: Limits, source: Callable[[Any], Hashable]) -> None:
        super().__init__(limits, source)
        # Since when senders wait for queues elsewhere.
        self._since: dict[Any, float] = {}

    def hold(self, queue: Node | Remote) -> None:
        """Let senders wait for a queue that is elsewhere."""
        self.full[queue] = 0
        self._draining.add(queue)
        # Its own node watches it, so it needs no trust here.
        self._proven.add(queue)
        self._opened.pop(queue, None)

    def open(self, queue: Node | Remote) -> None:
        """Note that a queue elsewhere has room again: its senders resume one after another."""
        self._mark_open(queue)
        self._proven.discard(queue)
        if queue in self._waiters:
            self._opened[queue] = None

    def release(self, queue: Node | Remote) -> None:
        """Let nobody wait for a queue elsewhere any more: it has stopped, or is gone."""
        self.forget(queue)

    def release_senders(self, queue: Node | Remote) -> None:
        """Let those resume that wait for a queue elsewhere. It stays full."""
        for sender in list(self._waiters.get(queue, ())):
            self._release(sender)

    def blockers(self, to: tuple[Any, ...]) -> Collection[Any]:
        """The recipients whose queues, or whose nodes, a message has to wait for."""
        blockers = super().blockers(to)
        if not self.full or Remote not in map(type, to):
            return blockers
        return dict.fromkeys(
            each
            for each in to
            if each in blockers or (type(each) is Remote and each.node in self.full)
        )

    def wait(self, cid: Any, queue: Any) -> None:
        """Let a sender wait for a full queue, or for the full node that the queue is on."""
        if type(queue) is Remote and queue.node in self.full:
            queue = queue.node
        if type(queue) in (Remote, Node):
            self._since[cid] = self._now
        super().wait(cid, queue)

    def _stop_waiting(self, sender: Any) -> None:
        self._since.pop(sender, None)
        super()._stop_waiting(sender)

    def _is_held_up(self, cid: Any) -> bool:
        if not super()._is_held_up(cid):
            return False
        # All but the last one in the chain wait for connections of this node.
        while cid in self._waits_for and cid not in self._since:
            cid = self._waits_for[cid]
        return self._now - self._since.get(cid, self._now) < EXCUSE
