"""How a node stands with the others, and which of the others are down.

Theory of operation
===================

Each node appends an entry to the ledger at least once in `HEARTBEAT` seconds, and reads all
entries. So a node knows how it stands by its own entries alone: while they come back, it can reach
Redis and hear of the others. When they stop coming back, it is LATE, and after the patience of its
operator ISOLATED.

A node that was not heard of for the node timeout is down, but only if our own entries came back all
that time. So when Redis itself is away nobody is taken for down, because nobody hears of anybody.
The observer appends a command that says so. All nodes execute it at the same position of the
ledger, also the one that it is about, should it still live.

A node that starts may find a node of its own ID in the ledger: itself before a crash, or another
server that was given the same ID by mistake. It listens for `LISTEN` seconds before it joins. If it
hears of that node, that one lives, and the newcomer must not take its place.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Final

from .nodes import Node
from .standing import Standing

HEARTBEAT: Final = 1.0
"""Seconds after which a node appends an entry, even if it has nothing to say."""

LATE_AFTER: Final = 2.5
"""Seconds without an entry of its own after which a node is late."""

LISTEN: Final = 2.0
"""Seconds without an entry after which a node of our own ID does not live any more."""

PAUSE: Final = 1.0
"""Seconds between two ticks above which this process itself has stood still."""


class Liveness:
    """Watches one node's own entries, and those of the others.

    Args:
        node_timeout: Seconds without an entry after which a node is down.
        patience: Seconds that a node stays late before it is isolated.
    """

    def __init__(self, node_timeout: float, patience: float) -> None:
        self.standing: Standing = Standing.JOINING
        self.now: float = -inf
        self.node_timeout: float = node_timeout
        self._patience = patience
        self._confirmed = -inf
        self._joining = -inf
        self._heartbeat = -inf
        self._listening = inf

    @property
    def lag(self) -> float:
        """Seconds since our last entry came back."""
        return self.now - self._confirmed if self._confirmed > -inf else 0.0

    @property
    def is_cut_off(self) -> bool:
        """Whether what needs the ledger is refused instead of waiting."""
        if self.standing is Standing.JOINING:
            return self.now - self._joining > self._patience
        return self.standing is Standing.ISOLATED

    def tick(self, now: float, nodes: Iterable[Node]) -> bool:
        """Advance the clock.

        Args:
            now: Seconds on a clock that does not run backwards.
            nodes: All nodes.

        Returns:
            Whether the standing has changed.
        """
        if self.now == -inf:
            self._joining = now
            self._hear_all(nodes, now)
        elif now - self.now > PAUSE:
            # The others were not silent: this process stood still. It reads first what has come.
            self._confirmed += now - self.now
            self._joining += now - self.now
            self._listening += now - self.now
            self._hear_all(nodes, now)
        self.now = now
        before = self.standing
        if before in (Standing.UP, Standing.LATE):
            if self.lag > LATE_AFTER + self._patience:
                self.standing = Standing.ISOLATED
            elif self.lag > LATE_AFTER:
                self.standing = Standing.LATE
        return self.standing is not before

    def join(self) -> None:
        """Begin to join."""
        self.standing = Standing.JOINING
        self._joining = self.now
        self._heartbeat = -inf

    def confirmed(self, nodes: Iterable[Node]) -> bool:
        """Note that an entry of ours has come back.

        Returns:
            Whether the standing has changed.
        """
        self._confirmed = self.now
        if self.standing is Standing.UP:
            return False
        self.standing = Standing.UP
        self._hear_all(nodes, self.now)
        return True

    @property
    def is_listening(self) -> bool:
        """Whether this node listens for another one of its ID."""
        return self._listening < inf

    def listen(self) -> bool:
        """Listen for another node of the same ID, or go on with that.

        Returns:
            Whether it takes longer.
        """
        self._listening = min(self._listening, self.now)
        return self.now < self._listening + LISTEN

    def stop_listening(self) -> None:
        """Begin anew when `listen` is called next."""
        self._listening = inf

    def take_heartbeat(self) -> bool:
        """Whether it is time for another entry. `note_entry` notes that there is one."""
        return self.now >= self._heartbeat + HEARTBEAT

    def note_entry(self) -> None:
        """Note that an entry is appended."""
        self._heartbeat = self.now

    def silent(self, nodes: Iterable[Node]) -> Iterator[Node]:
        """The nodes that were not heard of for the node timeout."""
        for node in nodes:
            if self.now - node.heard >= self.node_timeout:
                yield node

    @staticmethod
    def _hear_all(nodes: Iterable[Node], now: float) -> None:
        for node in nodes:
            node.heard = now
