"""Which transcript comes next, and what the results say about each row."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from .play import Play
from .transcript import Row, Side, Suite, Transcript, parse_transcript

PROBE: Final = parse_transcript(
    "probe",
    "row: whether there is a server, and whether it sends notices\n\n"
    "alice + alice°\nalice > STAR\nalice <? UNSUPPORTED_COMMAND -\nalice ~ alice°\n",
)
"""Comes before all others, and again when the server may be gone."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_RUN: Final = 5


class Status(Enum):
    """How a row or a transcript ended."""

    PASSED = "pass"
    FAILED = "FAIL"
    SKIPPED = "skip"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one transcript."""

    transcript: Transcript
    """The transcript."""
    status: Status
    """How it ended."""
    reason: str = ""
    """Why, for people; empty if it passed."""
    step: int | None = None
    """The number of the step that did not hold, from 0; None if there is none."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What came of one row."""

    row: Row
    """The row."""
    status: Status
    """How it ended."""
    reasons: tuple[str, ...] = ()
    """Why it failed or was skipped, for people; none if it passed."""
    follows: str = ""
    """Which settings or policies the server follows, if it has a choice and the row passed."""
    results: tuple[Result, ...] = ()
    """What came of each of its transcripts."""


class Check:
    """Plays all transcripts of a suite, one after the other.

    Play what `next_play` returns, and give it to `finish`, until there is none.

    Args:
        suite: The rows and transcripts.
        seed: Any number that no other check at this time has. It makes the names unique.
        timeout: Seconds after which something that can't be asked for counts as missing.
        patience: Seconds after which to ask whether a line is still to come.
        reads_after_end: Whether a client can read once it has ended its half of the stream. Over
            TLS it can't.
    """

    def __init__(
        self,
        suite: Suite,
        seed: int,
        *,
        timeout: float = 2.0,
        patience: float = 0.2,
        reads_after_end: bool = True,
    ) -> None:
        self.suite: Suite = suite
        """The rows and transcripts."""
        self.notices: bool = True
        """Whether the server sends notices. The first play finds out."""
        self.gone: str = ""
        """Why nothing more is played: the server does not answer. Empty as long as it does."""
        self.rows: list[RowResult] = []
        """What came of the rows up to now."""
        self._seed = seed
        self._timeout, self._patience = timeout, patience
        self._reads_after_end = reads_after_end
        self._played = 0
        self._probing = suite.side is Side.SERVER
        self._transcripts = self._order()
        self._rows = iter(suite.rows)
        self._row = next(self._rows)
        self._results: list[Result] = []

    @property
    def passed(self) -> bool:
        """Whether no row has failed."""
        return all(each.status is not Status.FAILED for each in self.rows)

    @property
    def nothing_played(self) -> bool:
        """Whether the server did not answer from the beginning."""
        return bool(self.gone) and self._played == 1

    def next_play(self) -> Play | None:
        """The next transcript to play; None if there is none."""
        transcript = None
        if not self.gone:
            transcript = PROBE if self._probing else next(self._transcripts, None)
        if transcript is None:
            return None
        run = self._seed + self._played
        self._played += 1
        return Play(
            transcript,
            "".join(_DIGITS[run // 36**place % 36] for place in range(_RUN)),
            side=self.suite.side,
            notices=None if self._probing else self.notices,
            timeout=self._timeout,
            patience=self._patience,
            reads_after_end=self._reads_after_end,
        )

    def finish(self, play: Play) -> list[RowResult]:
        """Take what came of a play.

        Args:
            play: What `next_play` returned, with its verdict.

        Returns:
            The rows that are complete now.

        Raises:
            ValueError: The play has no verdict.
        """
        verdict = play.verdict
        if verdict is None:
            raise ValueError("the play goes on")
        if self._probing:
            self._probing = False
            if verdict.passed:
                self.notices = bool(play.notices)
            else:
                self.gone = verdict.reason
        else:
            status = Status.PASSED if verdict.passed else Status.FAILED
            self._results.append(Result(play.transcript, status, verdict.reason, verdict.step))
            self._probing = verdict.unanswered and self.suite.side is Side.SERVER
        return list(self._complete())

    def _order(self) -> Iterator[Transcript]:
        for row in self.suite.rows:
            yield from self.suite.of_row(row)

    def _complete(self) -> Iterator[RowResult]:
        """The rows whose transcripts are all played, or never will be."""
        while len(self.rows) < len(self.suite.rows):
            if self.gone:
                played = {each.transcript for each in self._results}
                for each in self.suite.of_row(self._row):
                    if each not in played:
                        reason = f"not played, because the server does not answer: {self.gone}"
                        self._results.append(Result(each, Status.FAILED, reason))
            if len(self._results) < len(self.suite.of_row(self._row)):
                return
            result = judge(self._row, self._results)
            self.rows.append(result)
            self._results = []
            self._row = next(self._rows, self._row)
            yield result


def judge(row: Row, results: list[Result]) -> RowResult:
    """Decide what the results of a row's transcripts say about it.

    Each transcript for all servers has to pass. Of those that are for one setting or policy, all
    transcripts of at least one have to pass. In a row with the label P, transcripts are for the
    default if they do not say for which.

    Args:
        row: The row.
        results: What came of each of its transcripts.
    """
    if row.unseen:
        return RowResult(row, Status.SKIPPED, (row.unseen,))
    settings: dict[str, list[Result]] = {}
    for each in results:
        default = "default" if row.label == "P" else ""
        settings.setdefault(each.transcript.server or default, []).append(each)
    common = settings.pop("", [])
    reasons = _reasons(common)
    follows = [name for name, group in settings.items() if not _reasons(group)]
    if settings and not follows:
        reasons += [
            f"with the setting {name}, {reason}"
            for name, group in settings.items()
            for reason in _reasons(group)[:1]
        ]
    if reasons:
        return RowResult(row, Status.FAILED, tuple(reasons), results=tuple(results))
    return RowResult(row, Status.PASSED, (), " or ".join(follows), tuple(results))


def _reasons(results: list[Result]) -> list[str]:
    """Why some of the transcripts have failed, with equal reasons once."""
    reasons = (each for each in results if each.status is Status.FAILED)
    return list(
        dict.fromkeys(
            each.reason
            if each.reason.startswith("not played")
            else f"{each.transcript.name}: {each.reason}"
            for each in reasons
        )
    )
