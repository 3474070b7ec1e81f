"""Who may log in, as far as that is not a question of who else is there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias

from ..routing.actions import ConnectionId
from ..wire.errors import ErrorCode
from ..wire.limits import Limits
from .log_events import CloseReason
from .peer import Link
from .timers import Deadlines

Refusal: TypeAlias = tuple[ErrorCode, str]
"""Why somebody may not log in: the code, and words for people."""

UNDECIDED: Final = (ErrorCode.AUTH_FAILED, "it was not decided in time whether you may log in")
REFUSED: Final = (ErrorCode.AUTH_FAILED, "you may not log in under that name")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is at the other end of a Unix socket, as the system knows it."""

    pid: int
    """The process that has connected."""
    uid: int
    """Its user."""
    gid: int
    """Its group."""


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What is known of somebody who wants to log in, for the `authenticate` of a server."""

    name: str
    """The name that they want to have."""
    peer: str
    """Where they come from: `192.0.2.1:49152`, `[2001:db8::1]:49152`, `unix`."""
    certificate: Mapping[str, Any] | None
    """The certificate that they have proved to hold, as `ssl.SSLSocket.getpeercert` gives it; None
    when there is none."""
    credentials: Credentials | None
    """Who they are on this machine; None when they do not come by a Unix socket."""


@dataclass(frozen=True, slots=True)
class Question(Generic[ConnectionId]):
    """Whether somebody may log in, to be answered with `ChatBroker.answer`."""

    token: int
    """What to answer with."""
    cid: ConnectionId
    """The connection."""
    name: str
    """The name that it wants to have."""


class Logins:
    """What stands between a connection and its name.

    Args:
        limits: How long it may take, and how long a name may be.
        ask: Whether there is somebody to ask.
    """

    def __init__(self, limits: Limits, *, ask: bool) -> None:
        self._limits = limits
        self._ask = ask
        self._anonymous: Deadlines[Link] = Deadlines(limits.login_timeout)
        self._insecure: Deadlines[Link] = Deadlines(limits.handshake_timeout)
        self._undecided: Deadlines[Link] = Deadlines(limits.auth_timeout)
        # The open question of each connection that has one; those among them that have not been
        # taken yet; the answers that have come.
        self._questions: dict[int, Question[Any]] = {}
        self._tokens: dict[Link, int] = {}
        self._asked: dict[int, Link] = {}
        self._answers: dict[Link, Refusal | None] = {}
        self._count = 0

    def begin(self, link: Link, now: float, *, secured: bool) -> None:
        """Give a connection its time to log in, and to do its TLS handshake if it has to."""
        self._anonymous.start(link, now)
        if not secured:
            self._insecure.start(link, now)

    def secured(self, link: Link) -> None:
        """Take note that a connection has done its TLS handshake."""
        self._insecure.stop(link)

    def end(self, link: Link) -> None:
        """Take note that a connection has logged in."""
        self._anonymous.stop(link)

    def forget(self, link: Link) -> None:
        """Take note that a connection is not to log in any more."""
        for deadlines in (self._anonymous, self._insecure, self._undecided):
            deadlines.stop(link)
        self._answers.pop(link, None)
        token = self._tokens.pop(link, None)
        if token is not None:
            self._close(token)

    def check(self, link: Link, name: str, now: float) -> Refusal | bool:
        """Whether a connection may have a name.

        Returns:
            True; False when that is not decided yet, and `link` has to wait; or why not.
        """
        if len(name.encode()) > self._limits.max_name:
            return ErrorCode.BAD_NAME, f"a name has at most {self._limits.max_name} octets here"
        if link.identities is not None and name not in link.identities:
            return ErrorCode.AUTH_FAILED, "your certificate is for somebody else"
        if not self._ask:
            return True
        if link in self._answers:
            return self._answers.pop(link) or True
        self._count += 1
        self._tokens[link] = self._count
        self._asked[self._count] = link
        self._questions[self._count] = Question(self._count, link.cid, name)
        self._undecided.start(link, now)
        return False

    def take_questions(self) -> list[Question[Any]]:
        """The questions since the last call, without those that are not open any more."""
        questions = list(self._questions.values())
        self._questions.clear()
        return questions

    def answer(self, token: int, *, allowed: bool) -> Link | None:
        """Take an answer.

        Returns:
            The connection that waits for it; None when none does any more.
        """
        link = self._asked.get(token)
        if link is not None:
            self._decide(link, None if allowed else REFUSED)
        return link

    def take_late(self, now: float) -> Iterator[tuple[Link, CloseReason]]:
        """Those that have not logged in in time, and why that is not forgiven."""
        for link in self._insecure.take_expired(now):
            yield link, CloseReason.HANDSHAKE_TIMEOUT
        for link in self._anonymous.take_expired(now):
            yield link, CloseReason.LOGIN_TIMEOUT

    def take_undecided(self, now: float) -> Iterator[Link]:
        """Those that can go on because their question was not answered in time."""
        for link in self._undecided.take_expired(now):
            self._decide(link, UNDECIDED)
            yield link

    def _decide(self, link: Link, refusal: Refusal | None) -> None:
        self._answers[link] = refusal
        self._undecided.stop(link)
        self._close(self._tokens.pop(link))

    def _close(self, token: int) -> None:
        del self._asked[token]
        self._questions.pop(token, None)
