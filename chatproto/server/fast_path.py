"""The short way for messages: from the sender's line to the recipients' without an event."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from ..routing.actions import Refuse
from ..routing.hub import ChatHub
from ..wire.codec import VERSION
from ..wire.limits import Limits
from ..wire.line_buffer import CR
from ..wire.names import NAMES
from .log_events import Counters
from .peer import Link
from .peers import TURN, Links

FEW: Final = 16
"""Connections that a message by itself goes to without being counted as work."""


class Relay:
    """Delivers what `ChatConnection`, `ChatHub` and `Exchange` would deliver, for a third of it.

    What a line is to become depends on what stands before its data alone. So a line by itself is
    split once and put together once. So are several lines to one addressee: data holds no LF, so
    each `LF heading` in them is where the next line begins, and one call finds them all.

    Whatever needs a second look is left to the long way: a line that is no message or no good one,
    a recipient who is not there, a queue that is full.

    Args:
        hub: Who is who.
        links: What is queued for whom.
        limits: How long a line may be.
        counters: What to count messages in.
    """

    def __init__(
        self, hub: ChatHub[Link], links: Links, limits: Limits, counters: Counters
    ) -> None:
        self._hub = hub
        self._links = links
        self._max_line = limits.max_line
        self._counters = counters

    def deliver(self, news: Iterable[tuple[Any, bytes]]) -> Iterator[tuple[Link, bytes]]:
        """Deliver SENDs that come by themselves, from any number of connections.

        `deliver_run` would do the same. But in a loop all that it needs is at hand, and that saves
        a third of the time.

        Args:
            news: The connections' ids, and what each has said next.

        Returns:
            All else. Each is to be acted on before the next is asked for, so that it is in order.
        """
        by_id, queue_all = self._links.by_id, self._links.queue_all
        names, online = NAMES, self._hub.online
        most, counters = self._max_line, self._counters
        for cid, data in news:
            link = by_id[cid]
            words = data.split(b" ", 3)
            if (
                link.heading
                and link.undisturbed
                and not link.held
                and len(words) == 4
                and words[0] == VERSION
                and words[1] == b"SEND"
                and CR not in (rest := words[3])
                and 0 < len(rest) == rest.find(b"\n") + 1
                and (to := online.get(names.get(words[2], "")))
            ):
                line, number = link.heading + rest, len(to)
                if (
                    number <= FEW
                    and len(line) <= most
                    and len(data) <= most
                    and queue_all(to, line)
                ):
                    counters.messages += 1
                    counters.deliveries += number
                    continue
            yield link, data

    def deliver_run(self, link: Link, data: bytes) -> int:
        """Deliver messages of a connection that is logged in.

        Args:
            link: Whose.
            data: Whole lines, or part of one.

        Returns:
            How many octets of whole lines were delivered; 0 when the first one needs a second look.
        """
        words = data.split(b" ", 3)
        if len(words) < 4:
            return 0
        version, word, octets, rest = words
        if version != VERSION or CR in rest or not rest.endswith(b"\n"):
            return 0
        # Names that were never heard of are not online.
        name = NAMES.get(octets, "")
        looked_up = 0
        to: Collection[Link] | Refuse[Link] = ()
        if word == b"SEND":
            to = self._hub.online.get(name, ())
        elif word == b"BROADCAST":
            looked_up, to = self._hub.members(name), self._hub.audience(link, name)
        if not to or isinstance(to, Refuse):
            return 0
        ours, theirs = data[: -len(rest)], link.heading
        texts = rest[:-1].split(b"\n" + ours)
        if len(texts) != rest.count(b"\n"):
            return self._deliver_each(link, data)
        # Its LF included, before and after.
        longest = max(len(ours), len(theirs)) + max(map(len, texts)) + 1
        lines = theirs + (b"\n" + theirs).join(texts) + b"\n"
        if longest > self._max_line or not self._links.queue_all(to, lines):
            return 0
        self._counters.messages += len(texts)
        self._counters.deliveries += len(texts) * len(to)
        self._links.work += looked_up
        return len(data)

    def _deliver_each(self, link: Link, data: bytes) -> int:
        """The same for lines that begin differently, until the turn is over."""
        at = 0

        def lines() -> Iterator[tuple[Any, bytes]]:
            nonlocal at
            while at < len(data) and self._links.work < TURN:
                start, at = at, data.index(b"\n", at) + 1
                yield link.cid, data[start:at]

        for _, line in self.deliver(lines()):
            if not self.deliver_run(link, line):
                return at - len(line)
        return at
