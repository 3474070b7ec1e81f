"""The conversation with one Redis, from the greeting until one of its two connections fails.

Theory of operation
===================

Two connections lead to the same Redis. One of them, the reader, always waits in an XREAD for new
entries of the ledger and of the mailbox together. The other one, the writer, appends entries and
does the rest.

The key `snapshot` is a hash with `id` and `data`: the hub as it was after the entry of the ledger
with that id. It exists as long as the chat does, because the first node makes it, and makes it
atomically. Its third field, `epoch`, is random and never changes. So a node whose epoch is not the
one in Redis any more knows that the data there are gone, for example after FLUSHALL, even if other
nodes have appended to the ledger since. A node whose last entry is gone, but not the epoch, has met
a failover to a replica that had not got it yet, or was away for so long that the ledger has been
cut off behind it. In each of these cases `Cluster.lose_ledger` and `Cluster.load` begin anew.

Redis may refuse an entry, for lack of memory say, and take the next one before the writer reads of
that. Then all nodes see a gap until the entry is appended once more. Another gap looks the same:
the ledger was cut off behind a node that stood still, and Redis skips what is missing without a
word. `Cluster.doubts` says which entry is still there in the first case, and not in the second.
"""

import logging
import secrets
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import quote

from chatproto import Cluster, ClusterError, ClusterSnapshot, visible

from .connection import Command, RedisConnection, Reply, Then, ignore, pack
from .url import RedisURL

BLOCK: Final = 1000
"""Milliseconds that Redis waits for a new entry before it answers that there is none."""

BATCH: Final = 256
"""Most entries of the ledger, and of the mailbox, in one answer."""

PART: Final = 1 << 16
"""Bytes of entries after which the broker's connections are written to, before more is received."""

MAILBOX_TTL: Final = 600
"""Seconds after which Redis removes a mailbox that nobody appends to any more."""

EXPIRE_PAUSE: Final = 60.0
"""Seconds between two renewals of that time, at least."""

CHECK_PAUSE: Final = 1.0
"""Seconds between two looks at the epoch, and between two trims of the mailbox, at least."""

OLDEST: Final = [6, 2]
"""The oldest version of Redis that has all that is used here: XTRIM by MINID."""

START: Final = b"0-0"
"""The id before all entries of a stream."""

logger: Final = logging.getLogger("chatproto.server")


@dataclass(slots=True)
class Position:
    """Up to where a node has received its ledger and its mailbox. It outlives a session."""

    epoch: bytes = b""
    """The epoch of the chat; empty before anything is loaded."""
    ledger: bytes = START
    """The id of the last entry of the ledger that the cluster has got, or of its snapshot."""
    mailbox: str = ""
    """The name of the mailbox."""
    mail: bytes = START
    """The id of the last entry in it that the cluster has got."""
    groups: bytes = b""
    """The snapshot to store if there is none."""


_Entry: TypeAlias = tuple[bool, bytes, bytes]
"""Whether it is mail, its id, and its data."""


class Session:
    """Moves entries between a cluster and one Redis.

    Args:
        cluster: The cluster.
        url: Says which chat it is, and has the password.
        position: Where to go on. The session changes it.
        writer: The connection that appends entries. It may not be connected yet.
    """

    def __init__(
        self, cluster: Cluster, url: RedisURL, position: Position, writer: RedisConnection
    ) -> None:
        self.is_up: bool = False
        """Whether the cluster has got all that was there at first, and may append entries."""
        self._cluster = cluster
        self._position = position
        self._url = url
        self._prefix = f"{{chat:{url.chat}}}:"
        self._ledger = f"{self._prefix}ledger".encode()
        self._snapshot = f"{self._prefix}snapshot".encode()
        self._inbox: deque[_Entry] = deque()
        # How far the reader is, ahead of `position` by what is in the inbox.
        self._read_ledger = START
        # Whether it is known from where to read on; whether an answer is on its way; whether all
        # that was there when the session began has been read.
        self._is_placed = False
        self._is_reading = False
        self._is_caught_up = False
        self._mail_to_trim = False
        self._expire_at: dict[str, float] = {}
        self._check_at = 0.0
        self._failure = ""
        self.reader: RedisConnection | None = None
        self.writer = writer
        self._greet(writer)

    @property
    def error(self) -> str:
        """Why the session is over; empty while it is not."""
        if self._failure or self.writer.error:
            return self._failure or self.writer.error
        return "" if self.reader is None else self.reader.error

    @property
    def refused(self) -> str:
        """The error that Redis has answered, as it stands, if that is why it is over."""
        return self.writer.refused or ("" if self.reader is None else self.reader.refused)

    def start_reading(self, reader: RedisConnection) -> None:
        """Begin with the reader, which is connected to where the writer is."""
        self.reader = reader
        self._greet(reader)
        if self._position.epoch:
            self._ask([("HGET", self._snapshot, "epoch")], self._compare_epoch)
        else:
            self._establish()

    def receive(self) -> bool:
        """Give the cluster the next entries that have come.

        Returns:
            Whether there were any. Then the broker's connections have to be written to, before the
            next call.
        """
        cluster, inbox, position = self._cluster, self._inbox, self._position
        size = 0
        while inbox and size < PART:
            is_mail, number, data = inbox.popleft()
            size += len(data)
            if is_mail:
                cluster.receive_mail(data)
                position.mail = number
                self._mail_to_trim = True
            else:
                cluster.receive_ledger(data, number.decode())
                position.ledger = number
        if self._is_placed and not self._is_reading and not inbox and not self.error:
            if self._is_caught_up and not self.is_up:
                self.is_up = True
                self.writer.be_lazy()
                cluster.set_connected(True)
            self._read_on()
        return size > 0

    def flush(self, now: float) -> None:
        """Append what the cluster has to append."""
        appends = self._cluster.take_appends()
        if not appends:
            return
        commands: list[bytes] = []
        for mailbox, data in appends:
            key = self._ledger if mailbox is None else self._mailbox(mailbox)
            commands.append(pack(("XADD", key, "*", "d", data)))
            if mailbox is not None and now >= self._expire_at.get(mailbox, 0.0):
                self._expire_at[mailbox] = now + EXPIRE_PAUSE
                commands.append(pack(("EXPIRE", key, MAILBOX_TTL)))
        self.writer.send(b"".join(commands), *[ignore] * len(commands))

    def tick(self, now: float) -> None:
        """Do what is to be done now and then, and notice what takes too long."""
        self.writer.tick(now)
        self.writer.read()
        if self.reader is not None:
            self.reader.tick(now)
        if not self.is_up or self.error:
            return
        for doubt in list(self._cluster.doubts):
            self._append([self._look_for(doubt.encode())], partial(self._check_doubt, doubt))
        snapshot = self._cluster.take_snapshot()
        if snapshot is not None:
            self._store(snapshot)
        if now < self._check_at:
            return
        self._check_at = now + CHECK_PAUSE
        self._append([("HGET", self._snapshot, "epoch")], self._check_epoch)
        last = self._position.ledger
        if last != START:
            self._append([self._look_for(last)], self._check_entry)
        if self._mail_to_trim:
            self._mail_to_trim = False
            milliseconds, _, number = self._position.mail.partition(b"-")
            after = b"%b-%d" % (milliseconds, int(number) + 1)
            mailbox = self._mailbox(self._position.mailbox)
            self._append([("XTRIM", mailbox, "MINID", after)])
        if len(self._expire_at) > BATCH:
            # Most of these mailboxes are of incarnations that have ended.
            self._expire_at.clear()

    def close(self) -> None:
        """End the session."""
        self.writer.close()
        if self.reader is not None:
            self.reader.close()

    # The greeting, and what has to be loaded

    def _greet(self, connection: RedisConnection) -> None:
        url = self._url
        name = f"chatproto-{quote(self._cluster.name.partition('#')[0], safe=':')}"
        user = ("AUTH", url.user or "default", url.password) if url.password else ()
        _send(connection, [("HELLO", "2", *user, "SETNAME", name)], self._greeted)

    def _greeted(self, reply: Reply) -> None:
        found = dict(zip(reply[::2], reply[1::2], strict=True))
        version = found[b"version"].decode()
        numbers = [int(each) for each in version.split(".")[:2] if each.isdecimal()]
        if numbers < OLDEST:
            self._fail(f"it is version {visible(version)}, and has to be 6.2 or newer")
        elif found[b"role"] != b"master":
            self._fail("it is a replica, which can't be written")

    def _establish(self) -> None:
        """Store a first snapshot, unless there is one. Then load the one that is there."""
        commands: list[Command] = [
            ("MULTI",),
            ("HSETNX", self._snapshot, "data", self._position.groups),
            ("HSETNX", self._snapshot, "epoch", secrets.token_hex(8)),
            ("EXEC",),
            ("HMGET", self._snapshot, "epoch", "id", "data"),
        ]
        self._ask(commands, self._load)

    def _load(self, reply: Reply) -> None:
        epoch, number, data = reply
        try:
            self._cluster.load(data or None)
        except ClusterError as error:
            self._fail(f"its snapshot of the chat can't be used: {error}")
            return
        position = self._position
        position.epoch, position.ledger, position.groups = epoch, number or START, b""
        self._place()

    def _compare_epoch(self, epoch: Reply) -> None:
        """Find out whether what this node has received still holds, after an outage."""
        position = self._position
        if epoch != position.epoch:
            self._lose("the data of the chat are not there any more")
        elif position.ledger == START:
            self._place()
        else:
            looks = map(self._look_for, [position.ledger, *map(str.encode, self._cluster.doubts)])
            self._ask([("MULTI",), *looks, ("EXEC",)], self._compare_entries)

    def _compare_entries(self, found: Reply) -> None:
        if all(found):
            self._cluster.doubts.clear()
            self._place()
        elif found[0]:
            self._lose("an entry is missing in it")
        else:
            self._lose("the last entry that this node has received is not in the ledger any more")

    def _lose(self, reason: str) -> None:
        logger.error(
            "the ledger of the chat %s has a gap: %s; this node joins anew, and its users have to"
            " log in again",
            self._url.chat,
            reason,
        )
        self._position.epoch = b""
        self._position.groups = self._cluster.lose_ledger()
        self._establish()

    # Reading

    def _place(self) -> None:
        """Have `receive` read on from where the cluster is."""
        self._read_ledger = self._position.ledger
        self._is_placed = True

    def _read_on(self) -> None:
        """Ask for the next entries; and wait for them, once all that was there has come."""
        self._is_reading = True
        if not self._is_caught_up:
            self._ask(
                [("XREAD", "COUNT", BATCH, "STREAMS", self._ledger, self._read_ledger)], self._take
            )
            return
        position = self._position
        if position.mailbox != self._cluster.name:
            position.mailbox, position.mail = self._cluster.name, START
        mailbox = self._mailbox(position.mailbox)
        wait: Command = ("XREAD", "COUNT", BATCH, "BLOCK", BLOCK, "STREAMS")
        self._ask([(*wait, self._ledger, mailbox, self._read_ledger, position.mail)], self._take)

    def _take(self, reply: Reply) -> None:
        self._is_reading = False
        ledger = 0
        for key, entries in reply or ():
            is_mail = key != self._ledger
            for number, fields in entries:
                self._inbox.append((is_mail, number, fields[1]))
            if not is_mail:
                ledger = len(entries)
                self._read_ledger = entries[-1][0]
        if ledger < BATCH:
            self._is_caught_up = True

    # Writing

    def _store(self, snapshot: ClusterSnapshot) -> None:
        """Store a snapshot, and cut the ledger off at the one before."""

        def store(reply: Reply) -> None:
            before, epoch = reply
            number = snapshot.id.encode()
            if epoch != self._position.epoch:
                # The data of the chat are gone, and others have begun anew already.
                return
            if before is not None and _order(before) >= _order(number):
                # Another node has stored a newer one.
                return
            commands: list[Command] = [
                ("MULTI",),
                ("HSET", self._snapshot, "id", number, "data", snapshot.data),
            ]
            if before is not None:
                commands.append(("XTRIM", self._ledger, "MINID", before))
            self._append([*commands, ("EXEC",)])

        self._append([("HMGET", self._snapshot, "id", "epoch")], store)

    def _check_epoch(self, epoch: Reply) -> None:
        if epoch != self._position.epoch:
            self._fail("the data of the chat are not there any more")

    def _check_entry(self, entries: Reply) -> None:
        if not entries:
            # Redis skips what is missing without a word.
            self._fail("the ledger was cut off behind the last entry that this node has received")

    def _check_doubt(self, doubt: str, entries: Reply) -> None:
        if entries:
            self._cluster.doubts.discard(doubt)
        else:
            self._fail("an entry is missing in the ledger")

    def _look_for(self, number: bytes) -> Command:
        """The command that returns an entry of the ledger, if it is there."""
        return "XRANGE", self._ledger, number or START, number or START

    def _mailbox(self, name: str) -> bytes:
        return f"{self._prefix}mail:{name}".encode()

    def _append(self, commands: list[Command], then: Then = ignore) -> None:
        """Send commands to the writer, and do something with the reply to the last one."""
        _send(self.writer, commands, then)

    def _ask(self, commands: list[Command], then: Then) -> None:
        """Send commands to the reader, and do something with the reply to the last one."""
        if self.reader is not None:
            _send(self.reader, commands, then)

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        self.close()


def _send(connection: RedisConnection, commands: list[Command], then: Then) -> None:
    packed = b"".join(map(pack, commands))
    connection.send(packed, *[ignore] * (len(commands) - 1), then)


def _order(number: bytes) -> tuple[int, int]:
    """The id of an entry as something that can be compared."""
    milliseconds, _, rest = number.partition(b"-")
    return int(milliseconds), int(rest)
