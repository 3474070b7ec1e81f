"""Many messages to one addressee, rewritten for the recipients at once."""

from ._codec import encode, read_heading
from ._events import Broadcast, Receive, Send


class Run:
    """Lines that differ in their data only.

    What a line is to become depends on its heading alone, so lines with the same one need not be
    taken apart: each `LF heading` is replaced in one call. Data holds no LF, so that finds the
    headings and nothing else. A hundred lines cost little more than one.

    Args:
        heading: What each line begins with, up to its data.
        event: Such a line, without data.
        sender: Who says it.
    """

    __slots__ = ("_again", "_growth", "_heading", "_their_again", "_their_heading", "event")

    def __init__(self, heading: bytes, event: Send | Broadcast, sender: str) -> None:
        self.event = event
        self._heading = heading
        self._again = b"\n" + heading
        self._their_heading = encode(Receive(sender, b""))[:-1]
        self._their_again = b"\n" + self._their_heading
        self._growth = max(len(self._their_heading) - len(heading), 0)

    @classmethod
    def begin(cls, data: bytes, sender: str) -> "Run | None":
        """The run that the first of some lines begins; None when it is no message."""
        first = read_heading(data)
        if first is None:
            return None
        heading, word, name = first
        if word == b"RECEIVE":
            return None
        event = Send(name, b"") if word == b"SEND" else Broadcast(name, b"")
        return cls(heading, event, sender)

    def rewrite(self, data: bytes, max_line: int) -> bytes:
        """What the recipients get.

        Args:
            data: Whole lines, of at most `max_line` octets each if they are all.
            max_line: The longest line in octets that may come out.

        Returns:
            As many lines; nothing when not all of these are of this run, or when one of them needs
            a second look.
        """
        if not data.startswith(self._heading) or b"\r" in data:
            return b""
        lines = self._their_heading + data[len(self._heading) :]
        others = data.count(b"\n") - 1
        if others:
            if data.count(self._again) != others:
                return b""
            lines = lines.replace(self._again, self._their_again)
        longest = len(data)
        if others and longest + self._growth > max_line:
            longest = max(map(len, data.split(b"\n"))) + 1
        return lines if longest + self._growth <= max_line else b""
