"""Who may log in. The hub decides what happens when somebody has the name already."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Generic, TypeAlias

from ..routing.actions import ConnectionId
from ..wire.errors import ErrorCode
from .bans import Bans
from .close_reason import CloseReason
from .handshakes import Handshakes
from .hooks import Refusal
from .limits import Limits
from .peer import Peer
from .questions import Questions
from .timers import Timers


class Decision(Enum):
    """Whether a connection may log in. A `Refusal` takes the place of a no."""

    ALLOWED = auto()
    UNDECIDED = auto()
    """A question is open; the connection has to wait for the answer."""


Verdict: TypeAlias = Decision | Refusal
"""What `Logins.check` says of a LOGIN."""

TIMED_OUT: Final = Refusal(
    ErrorCode.AUTH_FAILED, "it was not decided in time whether you may log in"
)
FAILED: Final = Refusal(ErrorCode.AUTH_FAILED, "the server could not decide whether you may log in")
BANNED: Final = Refusal(ErrorCode.REFUSED, "that name is banned from this server")
REFUSED: Final = Refusal(ErrorCode.AUTH_FAILED, "you may not log in under that name")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The process at the other end of a Unix socket, as the system knows it."""

    pid: int
    """The id of the process that has connected."""

    uid: int
    """The id of its user."""

    gid: int
    """The id of its group."""


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What is known of a client that wants to log in, for the `authenticate` of a server."""

    name: str
    """The name that it wants to have."""

    peer: str
    """Where it comes from: `192.0.2.1:49152`, `[2001:db8::1]:49152`, `unix`."""

    certificate: Mapping[str, Any] | None
    """The certificate that it has proved to own, as `ssl.SSLSocket.getpeercert` gives it; None
    when there is none."""

    credentials: Credentials | None
    """Its process on this machine; None when it does not come through a Unix socket."""


@dataclass(frozen=True, slots=True)
class Question(Generic[ConnectionId]):
    """The question whether a connection may log in. `ChatBroker.answer` takes the answer."""

    token: int
    """What to give `ChatBroker.answer`."""

    cid: ConnectionId
    """The connection."""

    name: str
    """The name that it wants to have."""


class Logins:
    """The steps before a connection gets its name: PROXY header, TLS handshake, permission.

    Args:
        limits: How long a login may take, and how long a name may be.
        bans: The names that nobody may have.
        ask: Whether to ask a question about each LOGIN.
    """

    def __init__(self, limits: Limits, bans: Bans, *, ask: bool) -> None:
        self.handshakes: Handshakes = Handshakes(limits)
        self._limits = limits
        self._bans = bans
        self._ask = ask
        self._anonymous: Timers[Peer] = Timers(limits.login_timeout)
        self._insecure: Timers[Peer] = Timers(limits.handshake_timeout)
        self._unidentified: Timers[Peer] = Timers(limits.handshake_timeout)
        self._questions: Questions[str, Verdict] = Questions(limits.auth_timeout, TIMED_OUT)

    def reconfigure(self, limits: Limits) -> None:
        """Use other bounds from now on, also for logins under way."""
        self.handshakes.reconfigure(limits)
        self._limits = limits
        self._anonymous.span = limits.login_timeout
        self._insecure.span = limits.handshake_timeout
        self._unidentified.span = limits.handshake_timeout
        self._questions.reconfigure(limits.auth_timeout)

    def begin(self, peer: Peer, now: float, *, secured: bool, proxied: bool) -> None:
        """Start the time that a connection has for its LOGIN, and for what comes before it.

        Args:
            peer: The connection.
            now: The time in seconds.
            secured: False when a TLS handshake comes first.
            proxied: Whether a PROXY header comes first.
        """
        self._anonymous.start(peer, now)
        if proxied:
            self._unidentified.start(peer, now)
        if not secured:
            self._insecure.start(peer, now)

    def secured(self, peer: Peer, identities: Collection[str] | None) -> None:
        """Note that a connection has completed its TLS handshake.

        Args:
            peer: The connection.
            identities: The names that it has proved to own; None when nobody asked for a proof.
        """
        peer.identities = identities
        self._insecure.stop(peer)
        self.handshakes.end(peer)

    def identified(self, peer: Peer) -> None:
        """Note that the PROXY header of a connection has arrived."""
        self._unidentified.stop(peer)

    def logged_in(self, peer: Peer) -> None:
        """Note that a connection has logged in."""
        self._anonymous.stop(peer)

    def forget(self, peer: Peer) -> None:
        """Forget a connection that will not log in any more."""
        for timers in (self._anonymous, self._insecure, self._unidentified):
            timers.stop(peer)
        self.handshakes.end(peer)
        self._questions.forget(peer)

    def check(self, peer: Peer, name: str, now: float) -> Verdict:
        """Decide whether a connection may have a name, or ask a question about it.

        Args:
            peer: The connection.
            name: The name in its LOGIN.
            now: The time in seconds.
        """
        # Before any return: the verdict holds for this LOGIN only.
        verdict = self._questions.take_verdict(peer)
        if len(name.encode()) > self._limits.max_name:
            text = f"a name has at most {self._limits.max_name} bytes here"
            return Refusal(ErrorCode.BAD_NAME, text)
        if peer.identities is not None and name not in peer.identities:
            return Refusal(ErrorCode.AUTH_FAILED, "your certificate is for somebody else")
        if self._bans.has_name(name):
            return BANNED
        if not self._ask:
            return Decision.ALLOWED
        if verdict is not None:
            return verdict
        self._questions.ask(peer, name, now)
        return Decision.UNDECIDED

    def take_questions(self) -> list[Question[Any]]:
        """The questions since the last call that are still open."""
        return [Question(token, peer.cid, name) for token, peer, name in self._questions.take()]

    def answer(self, token: int, *, allowed: bool, failed: bool = False) -> tuple[Peer, str] | None:
        """Take an answer.

        Args:
            token: The question's.
            allowed: Whether the connection may log in.
            failed: Whether the application could not decide that.

        Returns:
            The connection that waits for it, and the name that it wants; None when none waits.
        """
        refusal = FAILED if failed else REFUSED
        return self._questions.decide(token, Decision.ALLOWED if allowed else refusal)

    def take_overdue(self, now: float) -> Iterator[tuple[Peer, CloseReason]]:
        """The connections that have not logged in in time, each with the reason to close it."""
        for peer in self._unidentified.take_expired(now):
            yield peer, CloseReason.PROXY_HEADER_TIMEOUT
        for peer in self._insecure.take_expired(now):
            yield peer, CloseReason.HANDSHAKE_TIMEOUT
        for peer in self._anonymous.take_expired(now):
            yield peer, CloseReason.LOGIN_TIMEOUT

    def take_unanswered(self, now: float) -> Iterator[Peer]:
        """The connections whose question was not answered in time; they are refused."""
        for peer, _ in self._questions.take_unanswered(now):
            yield peer
