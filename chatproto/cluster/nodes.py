"""The nodes of a cluster, and the connections that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .mail import IncomingMail, OutgoingMail

if TYPE_CHECKING:
    from ..server.peer import Peer


class Remote:
    """A connection of another node. In this node's hub, the object serves as its id.

    Args:
        node: The node that has it.
        number: The number that the node gave it, as it stands in mails.
    """

    __slots__ = ("node", "number")

    def __init__(self, node: Node, number: bytes) -> None:
        self.node: Node = node
        self.number: bytes = number


class Node:
    """What one node knows of another, or of itself.

    Args:
        name: Its name in the ledger: `ID#incarnation`.
        applied: The number of its last entry that was applied.
        now: The time in seconds.
    """

    __slots__ = (
        "applied",
        "applied_id",
        "heard",
        "highest",
        "holds",
        "incoming",
        "name",
        "outgoing",
        "remotes",
    )

    def __init__(self, name: str, applied: int, now: float) -> None:
        self.name: str = name
        self.applied: int = applied
        self.applied_id: str = ""
        """What the ledger calls that entry; empty if it came with a snapshot."""
        self.highest: int = 0
        """The highest number of its connections so far. Smaller ones never come back."""
        self.remotes: dict[int, Remote] = {}
        """Its connections that have tried to log in, by number."""
        self.heard: float = now
        """When its last entry came, in seconds."""
        self.outgoing: OutgoingMail = OutgoingMail()
        self.incoming: IncomingMail = IncomingMail()
        self.holds: dict[Peer, Hold] = {}
        """The local queues that it was told are full."""

    def restart_mail(self) -> None:
        """Begin anew with mails: the node knows us under another name from now on."""
        self.outgoing, self.incoming = OutgoingMail(), IncomingMail()

    @property
    def id(self) -> str:
        """What the operator calls the node. A node that joins anew keeps it."""
        return self.name.rpartition("#")[0]


class Hold:
    """A node whose senders wait for a local queue. In flow control, the object is the sender.

    Args:
        node: The node.
        peer: The connection that the queue belongs to.
        number: Its number.
    """

    __slots__ = ("node", "number", "peer")

    def __init__(self, node: Node, peer: Peer, number: int) -> None:
        self.node: Node = node
        self.peer: Peer = peer
        self.number: int = number
