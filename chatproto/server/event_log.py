"""What a broker remembers for those who run it."""

from dataclasses import replace
from typing import Final

from ..wire.events import Event, Group, Leave, Login, Logout
from ..wire.limits import RateLimiter
from .log_events import RECORDED, CloseReason, Counters, Happening, Record
from .peer import Link

NEWS_BURST: Final = 20
"""Renames, groups made and groups left that one connection has told of at once."""
NEWS_RATE: Final = 1.0
"""And a second in the long run."""


class Journal:
    """Records for the log, and counters."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self.counters = Counters()
        """How much has happened; the fields that tell how much there is now are not kept here."""
        # So that a flood of connections is no flood of records.
        self._refusals = RateLimiter(1.0, 1)

    def heard(self, link: Link) -> None:
        """Take note of a connection's first octets. Who connects and says nothing is no news."""
        link.heard = True
        self._record(Happening.ACCEPTED, link)

    def obeyed(self, link: Link, event: Event, now: float) -> None:
        """Take note that an event of a type in `RECORDED` was obeyed."""
        subject, first = "", link.name is None
        match event:
            case Login(name):
                if name == link.name:
                    return
                link.name = name
                self.counters.logins += 1
            case Group(name=group) | Leave(group):
                subject = group
        if not first and type(event) is not Logout:
            # What can be said any number of times is told of in moderation.
            if link.news is None:
                link.news = RateLimiter(NEWS_RATE, NEWS_BURST)
            if not link.news.allow(now):
                return
        self._record(RECORDED[type(event)], link, subject)

    def turned_away(self, link: Link, reason: CloseReason, now: float) -> None:
        """Take note that a connection can't be taken on."""
        if self._refusals.allow(now):
            self._record(Happening.TURNED_AWAY, link, reason.value)

    def closed(self, link: Link) -> None:
        """Take note that a connection is gone."""
        reason = link.closing or CloseReason.LOST
        self.counters.closes[reason] += 1
        happening = Happening.CLOSED if link.heard else Happening.PROBED
        self._record(happening, link, reason.value)

    def take(self) -> list[Record]:
        """The records since the last call."""
        records, self._records = self._records, []
        return records

    def snapshot(self) -> Counters:
        """A copy of the counters."""
        return replace(
            self.counters,
            refusals=self.counters.refusals.copy(),
            closes=self.counters.closes.copy(),
        )

    def _record(self, happening: Happening, link: Link, subject: str = "") -> None:
        self._records.append(Record(happening, link.peer, link.name, subject))
