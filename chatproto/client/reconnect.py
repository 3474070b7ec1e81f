"""Whether and when a client connects again."""

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
    """How long a client waits before it connects again, and for how long it tries.

    Each wait is twice the one before. Half of it is random, so that the clients of a server that
    restarts do not all connect at once.

    Raises:
        TypeError: A field has another type.
        ValueError: A field makes no sense.
    """

    first: float = 0.5
    """The longest wait before the first attempt, in seconds."""

    cap: float = 30.0
    """The longest wait before any attempt, in seconds. The waits start from `first` again after a
    connection that lasted at least as long; after a shorter one they continue to grow."""

    give_up: float = 600.0
    """Seconds without a connection after which the client makes no more attempts; `math.inf` to
    try for ever."""

    at_start: bool = False
    """Whether the first connection is tried again too, for a server that is not there yet. Then
    `timeout` holds for each attempt, and `give_up` for all of them."""

    def __post_init__(self) -> None:
        for name in ("first", "cap", "give_up"):
            if not isinstance(value := getattr(self, name), int | float):
                hint = "; math.inf is for ever" if name == "give_up" else ""
                raise TypeError(f"{name} is a number of seconds, not {value!r}{hint}")
        # The conditions are written so that NaN fails them.
        if not 0 < self.first <= self.cap:
            raise ValueError("first is more than 0 and at most cap")
        if not self.give_up >= 0:
            raise ValueError("give_up is at least 0")


def backoff_of(reconnect: Backoff | bool) -> Backoff | None:
    """The backoff that the parameter `reconnect` of clients stands for; None for no attempt.

    Raises:
        TypeError: It is of another type.
    """
    if not reconnect:
        return None
    if reconnect is True:
        return Backoff()
    if not isinstance(reconnect, Backoff):
        raise TypeError(f"reconnect is True, False or a Backoff(...), not {reconnect!r}")
    return reconnect


class ReconnectState:
    """Decides whether and when a client connects again.

    Report when the first attempt begins, each loss of the connection, and how each attempt ended.
    Then `error` tells whether to make another attempt, and `next_attempt` when. All times are
    seconds on one clock that does not run backwards.

    Args:
        backoff: How long to wait and when to give up; None to make no attempt at all.
        random: Returns numbers of at least 0 and less than 1.
    """

    __slots__ = (
        "_attempts",
        "_backoff",
        "_connected_at",
        "_is_first",
        "_lost_at",
        "_random",
        "error",
        "next_attempt",
    )

    def __init__(self, backoff: Backoff | None, random: Callable[[], float]) -> None:
        self._backoff = backoff
        self._random = random
        self._attempts = 0
        self._connected_at = float("-inf")
        self._lost_at = 0.0
        # Whether there has been no connection so far.
        self._is_first = False
        self.next_attempt: float = 0.0
        """When to make the next attempt."""
        self.error: ChatProtocolError | None = None
        """Why there will be no further attempt; None as long as there may be one."""

    def begin(self, now: float) -> None:
        """Report that the first attempt begins.

        Args:
            now: The time.
        """
        self._is_first = True
        self._lost_at = self.next_attempt = now

    def connection_lost(self, error: ChatProtocolError, now: float) -> None:
        """Report that the connection is lost.

        Args:
            error: Why.
            now: The time.
        """
        if self._backoff is not None and now - self._connected_at >= self._backoff.cap:
            self._attempts = 0
        self._lost_at = now
        self._plan(error, now)

    def attempt_failed(self, error: ChatProtocolError, now: float) -> None:
        """Report that an attempt has failed.

        Args:
            error: Why.
            now: The time.
        """
        # `stop` may have been called during the attempt.
        if self.error is None:
            self._plan(error, now)

    def connected(self, now: float) -> float:
        """Report that an attempt has succeeded.

        Args:
            now: The time.

        Returns:
            Seconds without a connection.
        """
        self._connected_at = now
        self._is_first = False
        return now - self._lost_at

    def stop(self, error: ChatProtocolError) -> None:
        """Make no further attempt.

        Args:
            error: Why.
        """
        self.error = error

    def _plan(self, error: ChatProtocolError, now: float) -> None:
        backoff = self._backoff
        if backoff is not None and self._is_first and not backoff.at_start:
            backoff = None
        if backoff is not None and _may_succeed_after(error):
            # The exponent is bounded, because a float can't hold 2.0 ** 1024.
            longest = min(backoff.cap, backoff.first * 2.0 ** min(self._attempts, 64))
            self._attempts += 1
            self.next_attempt = now + longest * (1 + self._random()) / 2
            if self.next_attempt - self._lost_at <= backoff.give_up:
                return
        if isinstance(error, ChatTimeoutError):
            # Later callers get this error at once: it must not claim that they have waited.
            lost = ConnectionLostError(f"can't connect again: {error}")
            lost.__cause__ = error
            error = lost
        self.error = error


# After AUTH_FAILED, another attempt would fail too. After NAME_IN_USE, it would take the name back
# from the client that has taken it over, and that client would then do the same.
_FINAL = (ErrorCode.NAME_IN_USE, ErrorCode.AUTH_FAILED)

# The server may take a while to notice that the connection before is dead, and to reach the other
# servers of its chat.
_PASSING = (ErrorCode.NAME_IN_USE, ErrorCode.UNAVAILABLE)


def _may_succeed_after(error: ChatProtocolError) -> bool:
    """Whether a further attempt may succeed after a connection or an attempt ended with this."""
    match error:
        case LoginRefusedError():
            return error.code in _PASSING
        case ConnectionLostError():
            return error.code not in _FINAL
        case ChatTimeoutError():
            return True
        case _:
            return False
