"""How much is done for one connection, and for all of them, before others have their turn."""

from typing import Final

TURN: Final = 1000
"""Work done for one connection before the others have their turn, in the unit of `Work`."""

ROUND: Final = 2 * TURN
"""Work done for all connections together before the adapter looks for new input."""


BYTES: Final = 512
"""How many bytes of a line count as a unit of work."""

FEW: Final = 16
"""A line to at most so many connections is so little work that others need no protection."""


class Work:
    """Counts the work of the current turn and of the current round.

    A unit is about the work of a line, of a name that is looked up, or of a delivery: some
    microseconds. A run of messages to one name counts as one line.
    """

    __slots__ = ("round", "turn")

    def __init__(self) -> None:
        self.turn: int = 0
        """Work done in the current turn."""
        self.round: int = 0
        """Work done in the current round."""

    def charge(self, units: int) -> None:
        """Count work."""
        self.turn += units
        self.round += units
