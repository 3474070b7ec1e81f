"""What happens between the nodes, for the log."""

from enum import StrEnum
from typing import NamedTuple


class ClusterEventKind(StrEnum):
    """What has happened. The value is what the log says."""

    STANDING = "standing"
    """This node stands with the others in another way now."""

    NODE_JOINED = "node joined"
    """A node has joined the chat."""

    NODE_LEFT = "node left"
    """A node has left the chat."""

    NODE_DOWN = "node down"
    """A node was not heard of for the node timeout. Its users are offline."""

    FENCED = "fenced"
    """The others take this node for down. It closes its users' connections and joins anew."""

    LEDGER_LOST = "ledger lost"
    """Redis has lost a part of the ledger. The node closes its users' connections and joins again.
    """


class ClusterEvent(NamedTuple):
    """Something that has happened between the nodes."""

    kind: ClusterEventKind
    """What."""

    node: str
    """The node that it has happened to: `ID#incarnation`."""

    text: str
    """More about it, in words for people; may be empty."""

    @property
    def is_warning(self) -> bool:
        """Whether people who run the server should look at it."""
        return self.kind not in (ClusterEventKind.NODE_JOINED, ClusterEventKind.NODE_LEFT) and (
            self.kind is not ClusterEventKind.STANDING or self.text != "up"
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.node}" + (f": {self.text}" if self.text else "")
