"""TLS handshakes in the time that is left."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

SHARE: Final = 0.5
"""The part of a core's time that handshakes may take. One costs as much as a hundred messages."""

BATCH: Final = 0.001
"""Seconds of handshakes, give or take one step, after which the other connections are served."""

BURST: Final = 0.05
"""Most seconds on the account: what is credited to it between two ticks of a driver."""


class Handshaking(Protocol):
    """A connection whose handshake is not complete."""

    def do_handshake(self) -> None:
        """Begin the handshake or go on with it, without waiting for the peer."""


class HandshakeQueue:
    """Does TLS handshakes step by step, with breaks.

    A step is one call of OpenSSL. It may take a millisecond, and cannot be divided. The CPU time
    that it takes is charged to an account, to which `SHARE` of all time is credited.

    Args:
        next_handshake: Returns the next connection to begin with; None when there is none.
        clock: Returns seconds that do not run backwards.
        cpu_clock: Returns the seconds of CPU time that this thread has used.
    """

    def __init__(
        self,
        next_handshake: Callable[[], Handshaking | None],
        clock: Callable[[], float],
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._next_handshake = next_handshake
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._begun: OrderedDict[Handshaking, None] = OrderedDict()
        self._credit = BURST
        self._credited = clock()
        self._finished = True

    @property
    def ready(self) -> bool:
        """Whether to call `run` as soon as others have been served. If not, any time will do."""
        return not self._finished and self._credit > 0

    def add(self, connection: Handshaking) -> None:
        """Queue a handshake that has begun, so that it goes on in its turn."""
        self._begun[connection] = None

    def discard(self, connection: Handshaking) -> None:
        """Forget a connection. An unknown one is fine."""
        self._begun.pop(connection, None)

    def run(self) -> bool:
        """Do as many steps as may be done now.

        Returns:
            Whether there was one.
        """
        now = self._clock()
        self._credit = min(self._credit + SHARE * (now - self._credited), BURST)
        self._credited = now
        start = used = self._cpu_clock()
        begun = done = False
        while self._credit > 0 and used - start < BATCH:
            begun = self._step()
            if not begun:
                break
            done = True
            before, used = used, self._cpu_clock()
            self._credit -= used - before
        self._finished = not begun
        return done

    def _step(self) -> bool:
        """Go on with one handshake and begin another, so that neither kind keeps the other waiting.

        Returns:
            Whether there was one of them.
        """
        begun = self._begun.popitem(last=False)[0] if self._begun else None
        new = self._next_handshake()
        for connection in (begun, new):
            if connection is not None:
                connection.do_handshake()
        return begun is not None or new is not None
