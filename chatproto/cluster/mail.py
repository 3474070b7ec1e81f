r"""Mail: what one node tells another, in order and once.

Theory of operation
===================

Each node reads a mailbox of its own. The others append mails to it. A mail begins with a line

    NODE SEQ ACK POSITION LF

SEQ numbers the mails of one node to another. ACK is the SEQ of the last mail that this node has
received from the other. POSITION is how many entries of the ledger the writer had applied: the
reader waits with the mail until it has applied as many. So nobody can see an answer before the
login that it depends on. A mail that only acknowledges has no number of its own: its SEQ is that of
the mail before, with a minus. After the line come frames:

    NUMBERS LENGTH LF lines           messages for these connections of the reader
    NUMBERS LENGTH KEY LF lines       the same, to be returned if somebody does not get them
    NUMBERS LENGTH * GROUP LF lines   broadcasts to a group
    F NUMBER LF                       this connection's queue is full: let senders wait
    R NUMBER LF                       it has room again
    S NUMBER LF                       it has stopped: let nobody wait for it
    K NUMBER LENGTH LF text           end that connection of the reader, with these last words
    B SEQ KEY COUNT LF                so many of the connections were gone that the messages with
                                      that KEY in your mail SEQ were for

The writer keeps each mail until it is acknowledged. After an interruption it appends all that it
still has once more. The reader takes only the mail with the next number. So each mail is received
once, whatever happened to the connections to Redis.

The writer of messages also keeps who is to be told if nobody gets them. So an acknowledgement comes
behind all that its mail has led to: it stands in the last of the mails that are appended together,
and the reader ignores it while it misses one that came before.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

MAIL_SIZE: Final = 1 << 16
"""Bytes after which a mail is finished. So one mail is little work for its reader."""


class Messages(NamedTuple):
    """A frame: lines for some of the reader's connections."""

    numbers: list[bytes]
    key: bytes
    """What to return if nobody gets them; empty for nothing."""
    group: str
    """The group that they were broadcast to; empty for messages to a user."""
    lines: bytes


class Signal(NamedTuple):
    """A frame: the queue of one of the writer's connections is full, has room, or has stopped."""

    letter: bytes
    number: int


class Returned(NamedTuple):
    """A frame: some of the connections were gone that messages were for."""

    seq: int
    key: int
    gone: int
    """How many."""


class Kick(NamedTuple):
    """A frame: one of the reader's connections is to end."""

    number: int
    text: str


Frame: TypeAlias = Messages | Signal | Returned | Kick
"""A part of a mail."""


class Mail(NamedTuple):
    """A mail as its reader gets it."""

    node: str
    seq: int
    ack: int
    position: int
    size: int
    frames: list[Frame]


def parse_mail(entry: bytes) -> Mail:
    """Parse a mail.

    Raises:
        ValueError: It is none.
    """
    end = entry.index(b"\n")
    name, *counts = entry[:end].split(b" ")
    mail_seq, ack, position = map(int, counts)
    at = end + 1
    frames: list[Frame] = []
    while at < len(entry):
        end = entry.index(b"\n", at)
        words = entry[at:end].split(b" ")
        at = end + 1
        match words:
            case [b"B", seq, key, gone]:
                frames.append(Returned(int(seq), int(key), int(gone)))
            case [b"F" | b"R" | b"S" as letter, number]:
                frames.append(Signal(letter, int(number)))
            case [b"K", number, length]:
                end = at + int(length)
                frames.append(Kick(int(number), entry[at:end].decode()))
                at = end
            case [numbers, length, b"*", group]:
                end = at + int(length)
                frames.append(Messages(numbers.split(b","), b"", group.decode(), entry[at:end]))
                at = end
            case [numbers, length, *key]:
                end = at + int(length)
                frames.append(Messages(numbers.split(b","), b"".join(key), "", entry[at:end]))
                at = end
            case _:
                raise ValueError(f"{words} begin no frame")
    return Mail(name.decode(), mail_seq, ack, position, len(entry), frames)


class Tracked:
    """Messages to a user whose sender is told if no connection of the user gets them.

    Args:
        sender: The sender's connection.
        name: The user's name.
        left: How many connections may still get them.
    """

    __slots__ = ("left", "name", "sender")

    def __init__(self, sender: Any, name: str, left: int) -> None:
        self.sender: Any = sender
        self.name: str = name
        self.left: int = left


class OutgoingMail:
    """The mails to one node: those being written, and those not acknowledged yet."""

    __slots__ = ("_finished", "_pieces", "_seq", "_size", "_told", "_tracked", "_unacked", "size")

    def __init__(self) -> None:
        self.size: int = 0
        """Bytes of all that is not acknowledged."""
        self._seq = 0
        # The last mail of the reader that it knows to be received.
        self._told = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._tracked: list[Tracked | None] = []
        # Finished mails that were not taken yet; mails that were taken. None stands for messages of
        # which it is known who got them.
        self._finished: deque[tuple[int, bytes, list[Tracked | None]]] = deque()
        self._unacked: deque[tuple[int, bytes, list[Tracked | None]]] = deque()

    def add(self, *pieces: bytes) -> None:
        """Add a frame to the mail that is being written."""
        self._pieces += pieces
        size = sum(map(len, pieces))
        self._size += size
        self.size += size
        if self._size >= MAIL_SIZE:
            self._finish()

    def add_broadcasts(self, numbers: bytes, lines: bytes, group: str) -> None:
        """Add broadcasts.

        Args:
            numbers: The recipients' numbers, with commas between.
            lines: The lines that each of them gets.
            group: The group that they are for.
        """
        self.add(b"%s %d * %s\n" % (numbers, len(lines), group.encode()), lines)

    def add_messages(self, numbers: bytes, lines: bytes, tracked: Tracked | None) -> None:
        """Add messages.

        Args:
            numbers: The recipients' numbers, with commas between.
            lines: The lines that each of them gets.
            tracked: What to do if nobody gets them; None for nothing.
        """
        if tracked is None:
            self.add(b"%s %d\n" % (numbers, len(lines)), lines)
        else:
            self._tracked.append(tracked)
            self.add(b"%s %d %d\n" % (numbers, len(lines), len(self._tracked) - 1), lines)

    def take(self, name: bytes, ack: int, position: int) -> Iterator[bytes]:
        """The mails to append now; none when nothing is to be said.

        Args:
            name: The node that they come from.
            ack: The number of the last mail received from the reader.
            position: How many entries of the ledger have been applied.
        """
        if self._pieces:
            self._finish()
        while self._finished:
            seq, body, tracked = self._finished.popleft()
            if not self._finished:
                self._told = ack
            entry = b"%s %d %d %d\n%s" % (name, seq, self._told, position, body)
            self._unacked.append((seq, entry, tracked))
            yield entry

    def again(self) -> list[bytes]:
        """The mails that were taken and are not acknowledged, to be appended once more."""
        return [entry for _, entry, _ in self._unacked]

    @property
    def is_empty(self) -> bool:
        """Whether all is acknowledged."""
        return not self.size

    def acknowledge(self, ack: int) -> None:
        """Forget the mails up to a number: the reader has them."""
        while self._unacked and self._unacked[0][0] <= ack:
            _, entry, _ = self._unacked.popleft()
            self.size -= len(entry) - entry.index(b"\n") - 1

    def acknowledgement(self, name: str, ack: int, position: int) -> bytes:
        """A mail that only acknowledges. Take the others first.

        Args:
            name: The node that it comes from.
            ack: The number of the last mail received from the reader.
            position: How many entries of the ledger have been applied.
        """
        self._told = ack
        return f"{name} -{self._seq} {ack} {position}\n".encode()

    def returned(self, frame: Returned) -> tuple[Tracked, int] | None:
        """Messages that did not get to some of their recipients, and how many messages these are.

        Returns:
            None if it was known before what has become of them.
        """
        for seq, entry, tracked in self._unacked:
            if seq != frame.seq:
                continue
            for each in _messages(entry):
                found = tracked[int(each.key)]
                if int(each.key) == frame.key and found is not None:
                    tracked[frame.key] = None
                    return found, each.lines.count(b"\n")
        return None

    def unacknowledged(self) -> Iterator[tuple[Tracked, int, int]]:
        """What users would have got by the mails that are not acknowledged.

        Returns:
            Of messages to a user: whom to tell if nobody gets them; how many of the user's
            connections they are for; and how many messages these are.
        """
        if self._pieces:
            self._finish()
        # Those that were not taken yet have no first line.
        finished = [(seq, b"- 0 0 0\n" + body, tracked) for seq, body, tracked in self._finished]
        for _, entry, tracked in (*self._unacked, *finished):
            for frame in _messages(entry):
                found = tracked[int(frame.key)]
                if found is not None:
                    yield found, len(frame.numbers), frame.lines.count(b"\n")

    def _finish(self) -> None:
        self._seq += 1
        self._finished.append((self._seq, b"".join(self._pieces), self._tracked))
        self._pieces, self._size, self._tracked = [], 0, []


def _messages(entry: bytes) -> Iterator[Messages]:
    """The messages in a mail whose senders are told if nobody gets them."""
    for frame in parse_mail(entry).frames:
        if isinstance(frame, Messages) and frame.key:
            yield frame


class IncomingMail:
    """What was received from one node."""

    __slots__ = ("is_told", "received", "size")

    def __init__(self) -> None:
        self.received: int = 0
        """The number of the last mail."""
        self.size: int = 0
        """Bytes that the writer does not know to be received."""
        self.is_told: bool = True
        """Whether the writer was told of all that was received."""

    def receive(self, mail: Mail) -> None:
        """Note that the next mail has come."""
        self.received = mail.seq
        self.size += mail.size
        self.is_told = False

    def note_told(self) -> None:
        """Note that a mail to the writer acknowledges all that was received."""
        self.size = 0
        self.is_told = True
