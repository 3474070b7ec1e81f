"""When to try again."""

from collections.abc import Callable
from dataclasses import dataclass

from ..wire.errors import (
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LoginRefusedError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How a client goes about getting its connection back.

    The wait before each attempt is twice the one before, and half of it is random, so that the
    clients of a server that comes back do not all come at once.

    Raises:
        ValueError: A field makes no sense.
    """

    first: float = 0.5
    """The longest wait before the first attempt, in seconds."""

    cap: float = 30.0
    """The longest wait before any attempt, in seconds. A connection that did not last as long goes
    on where the attempts before it had come to."""

    give_up: float = 600.0
    """Seconds without a connection after which no more attempts are made; `math.inf` for never."""

    def __post_init__(self) -> None:
        # NaN is not less than or equal to anything.
        if not 0 < self.first <= self.cap:
            raise ValueError("first is more than 0 and at most cap")
        if not self.give_up >= 0:
            raise ValueError("give_up is at least 0")


class Outages:
    """A client's record of its outages, from which follows whether and when to try again.

    Args:
        backoff: How to go about it; None for not at all.
        random: What gives numbers of at least 0 and less than 1.
    """

    __slots__ = ("_attempts", "_backoff", "_random", "_since", "_until", "due")

    def __init__(self, backoff: Backoff | None, random: Callable[[], float]) -> None:
        self._backoff = backoff
        self._random = random
        self._attempts = 0
        self._since = 0.0
        self._until = float("-inf")
        self.due = 0.0
        """When to try next, by the clock that the methods are given."""

    def begin(self, error: ChatProtocolError, now: float) -> bool:
        """Take note that the connection is lost.

        Args:
            error: Why.
            now: Seconds on a clock that does not run backwards.

        Returns:
            Whether to try again.
        """
        if self._backoff is not None and now - self._until >= self._backoff.cap:
            self._attempts = 0
        self._since = now
        return self.failed(error, now)

    def failed(self, error: ChatProtocolError, now: float) -> bool:
        """Take note that an attempt has failed.

        Args:
            error: Why.
            now: Seconds on the same clock.

        Returns:
            Whether to go on trying.
        """
        backoff = self._backoff
        if backoff is None or not _may_get_better(error):
            return False
        # The exponent is bounded, because floats are.
        longest = min(backoff.cap, backoff.first * 2.0 ** min(self._attempts, 64))
        self._attempts += 1
        self.due = now + longest * (1 + self._random()) / 2
        return self.due - self._since <= backoff.give_up

    def end(self, now: float) -> float:
        """Take note that the connection is there again.

        Args:
            now: Seconds on the same clock.

        Returns:
            How many seconds it was not.
        """
        self._until = now
        return now - self._since


def final(error: ChatProtocolError) -> ChatProtocolError:
    """What is wrong for good when the last attempt has ended like this: not that time has passed.

    Args:
        error: How it has ended.
    """
    if not isinstance(error, ChatTimeoutError):
        return error
    lost = ConnectionLostError(f"can't connect again: {error}")
    lost.__cause__ = error
    return lost


# Trying again would end the same way, or take the name back from whoever has taken it over, who
# would do the same.
_FINAL = (ErrorCode.NAME_IN_USE, ErrorCode.AUTH_FAILED)


def _may_get_better(error: ChatProtocolError) -> bool:
    """Whether another attempt may succeed after one, or a connection, that ended like this."""
    match error:
        case LoginRefusedError():
            # The server may take a while to notice that the connection before is dead.
            return error.code == ErrorCode.NAME_IN_USE
        case ConnectionLostError():
            return error.code not in _FINAL
        case ChatTimeoutError():
            return True
        case _:
            return False
