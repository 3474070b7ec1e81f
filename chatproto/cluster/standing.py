"""How a node stands with the others."""

from enum import StrEnum


class Standing(StrEnum):
    """How a node stands with the others. The value is fit for a log."""

    JOINING = "joining"
    """The node reads the ledger, or waits for its own entry in it. Logins wait."""

    UP = "up"
    """The node's own entries come back in time."""

    LATE = "late"
    """No entry of its own has come back for a while. What needs the ledger waits."""

    ISOLATED = "isolated"
    """The same for longer. What needs the ledger or another node is refused with UNAVAILABLE."""
