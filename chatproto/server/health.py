"""Whether a server is well."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HANG: Final = 5.0
"""Seconds late after which the loop that serves counts as hanging."""


class HealthStatus(StrEnum):
    """How a server is, in a word."""

    OK = "ok"
    """It listens and serves."""

    STARTING = "starting"
    """It does not listen yet, or no longer."""

    DRAINING = "draining"
    """It shuts down: it accepts nobody, and its clients have a moment to leave."""

    HANGING = "hanging"
    """The loop that serves has served nobody for seconds."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a server is, as a balancer or a supervisor wants to know it."""

    listening: bool
    """Whether it accepts connections."""

    draining: bool
    """Whether it shuts down."""

    late: float
    """For how many seconds the loop that serves is overdue now; 0.0 while it keeps its time."""

    @property
    def status(self) -> HealthStatus:
        """All of it in a word. What is worse comes first."""
        if self.late > HANG:
            return HealthStatus.HANGING
        if self.draining:
            return HealthStatus.DRAINING
        return HealthStatus.OK if self.listening else HealthStatus.STARTING
