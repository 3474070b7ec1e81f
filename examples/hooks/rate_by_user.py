"""A rate for each user: however many connections share a name, they share its rate too.

    cd examples/hooks
    chatproto serve --hooks rate_by_user:HOOKS

The option `--rate` lets a connection wait that sends too much. This refuses the message instead.
Messages that clients send to themselves pass: clients use them to see how far the server is.
"""

import time
from collections.abc import Callable

from chatproto import Broadcast, Hooks, HookVerdict, Refusal, Said, Send

MAX_NAMES = 10_000
"""How many names are remembered at most, so that nobody can fill the memory with new ones."""


class Rate:
    """Refuses messages of users who send too many.

    Args:
        per_second: How many messages a user may send a second, on average.
        burst: How many at once.
        clock: Returns seconds that do not run backwards.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = 1 / per_second
        self._most = burst * self._pause
        self._clock = clock
        # When each user will have the whole burst again, the names that sent last at the end.
        self._full_at: dict[str, float] = {}

    def __call__(self, said: Said) -> HookVerdict | None:
        """Refuse a message if its sender has sent too many."""
        if said.name is None or getattr(said.event, "to", None) == said.name:
            return None
        now = self._clock()
        full_at = max(self._full_at.pop(said.name, now), now) + self._pause
        # A burst of 5 may differ from 5 pauses by a rounding error.
        too_many = full_at - now > self._most + self._pause / 1000
        self._full_at[said.name] = full_at - self._pause if too_many else full_at
        while len(self._full_at) > MAX_NAMES:
            del self._full_at[next(iter(self._full_at))]
        if too_many:
            return Refusal("TOO_FAST", f"send at most one message in {self._pause:g} s")
        return None


_rate = Rate(per_second=1.0, burst=5)

HOOKS: Hooks = {Send: [_rate], Broadcast: [_rate]}
