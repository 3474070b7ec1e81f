"""Questions that only the application can answer, one for each connection at a time."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from .peer import Peer
from .timers import Timers

Subject = TypeVar("Subject")
Verdict = TypeVar("Verdict")


class Questions(Generic[Subject, Verdict]):
    """The questions of one kind, from `ask` until their connection resumes with the verdict.

    Args:
        timeout: How many seconds an answer may take.
        late: The verdict when none has come by then.
    """

    def __init__(self, timeout: float, late: Verdict) -> None:
        self._late = late
        self._undecided: Timers[Peer] = Timers(timeout)
        # In this order: the questions that nobody has taken yet; the open questions by token, and
        # their tokens by connection; the verdicts that wait for their connection to resume.
        self._new: dict[int, tuple[Peer, Subject]] = {}
        self._open: dict[int, tuple[Peer, Subject]] = {}
        self._tokens: dict[Peer, int] = {}
        self._verdicts: dict[Peer, Verdict] = {}
        self._count = 0

    def reconfigure(self, timeout: float) -> None:
        """Use another timeout from now on, also for open questions."""
        self._undecided.span = timeout

    def ask(self, peer: Peer, subject: Subject, now: float) -> None:
        """Ask a question. The connection waits until it resumes with the verdict.

        Args:
            peer: The connection.
            subject: What the question is about.
            now: The time in seconds.
        """
        self._count += 1
        self._tokens[peer] = self._count
        self._new[self._count] = self._open[self._count] = peer, subject
        self._undecided.start(peer, now)

    def take(self) -> list[tuple[int, Peer, Subject]]:
        """The questions since the last call that are still open, each with its token."""
        taken = [(token, peer, subject) for token, (peer, subject) in self._new.items()]
        self._new.clear()
        return taken

    def find(self, token: int) -> tuple[Peer, Subject] | None:
        """The connection that waits for an answer, and what it is about; None when none waits."""
        return self._open.get(token)

    def decide(self, token: int, verdict: Verdict) -> tuple[Peer, Subject] | None:
        """Take an answer.

        Returns:
            The connection that waits for it, and what it is about; None when none waits.
        """
        asked = self._open.get(token)
        if asked is not None:
            self._decide(asked[0], verdict)
        return asked

    def take_verdict(self, peer: Peer) -> Verdict | None:
        """The verdict on what a connection has sent; None when there is none."""
        return self._verdicts.pop(peer, None)

    def take_unanswered(self, now: float) -> Iterator[tuple[Peer, int]]:
        """The connections whose question was not answered in time, with its token.

        They may resume.
        """
        for peer in self._undecided.take_expired(now):
            token = self._tokens[peer]
            self._decide(peer, self._late)
            yield peer, token

    def forget(self, peer: Peer) -> int | None:
        """Forget a connection that is being closed.

        Returns:
            The token of its question; None when none is open.
        """
        self._undecided.stop(peer)
        self._verdicts.pop(peer, None)
        token = self._tokens.pop(peer, None)
        if token is not None:
            self._close(token)
        return token

    def _decide(self, peer: Peer, verdict: Verdict) -> None:
        self._verdicts[peer] = verdict
        self._undecided.stop(peer)
        self._close(self._tokens.pop(peer))

    def _close(self, token: int) -> None:
        del self._open[token]
        self._new.pop(token, None)
