"""What a node does and holds, in numbers."""

from dataclasses import dataclass, field

from .standing import Standing


@dataclass(slots=True)
class ClusterCounters:
    """What a node has done since it was made, and what there is now."""

    standing: Standing = Standing.JOINING
    """How the node stands with the others."""

    nodes: int = 0
    """Nodes of the chat now, this one included."""

    far_users: int = 0
    """Connections of other nodes that are logged in now."""

    ledger_position: int = 0
    """Entries of the ledger that this node has applied, since the chat began."""

    ledger_lag: float = 0.0
    """Seconds since the last entry of this node came back from the ledger."""

    syncs: int = 0
    """Refusals that waited until the ledger had confirmed them."""

    mails_sent: int = 0
    """Mails appended, without those that were appended once more."""

    mails_received: int = 0
    """Mails received, each once."""

    mail_bytes_sent: int = 0
    """Bytes in these mails."""

    mail_bytes_received: int = 0
    """Bytes in these mails."""

    resent: int = 0
    """Entries and mails appended once more after an interruption."""

    waited: int = 0
    """Mails that waited until the node had applied the ledger as far as their writers."""

    full_told: int = 0
    """Times that another node was told to let its senders wait."""

    returned: int = 0
    """Messages for a user who had left before they came."""

    garbled: int = 0
    """Entries and mails that could not be read."""

    unacknowledged: dict[str, int] = field(default_factory=dict)
    """Bytes of mail that each other node has not acknowledged, by the node's name."""

    full: tuple[str, ...] = ()
    """The nodes that senders wait for now."""
