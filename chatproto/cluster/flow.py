"""Flow control across nodes: senders also wait for queues that are elsewhere."""

from collections.abc import Collection
from typing import Any

from ..server.flow_control import FlowControl
from .nodes import Node, Remote


class ClusterFlow(FlowControl[Any]):
    """Flow control that knows queues of other nodes.

    A connection elsewhere has its send queue on its own node. That node says when the queue is
    full, when it has room again and when it has stopped. Here, only senders wait for it.

    A node is a queue too. It is full while too much of what was sent to it is not acknowledged.
    """

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
        super().wait(cid, queue)
