"""A log of what is said in groups, in SQLite. `SEND *log* tea 20` from a member of tea reads it.

    cd examples/hooks
    CHAT_LOG=chat.db chatproto serve --hooks chat_log:make_hooks

One thread writes all that has come in one transaction, and reads, so the server never waits for the
disk. If the disk is too slow, messages to groups are refused until the thread is up to date again.
Put this hook at the end of a list: then the log has what the other hooks have let pass.

People expect to be told that what they say is kept. A NAME PROVES NOTHING without client
certificates or `authenticate=`: on such a server everybody can become a member by name, and read.
"""

import atexit
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from chatproto import Broadcast, Drop, GroupInfo, Hooks, HookVerdict, Refusal, Reply, Said, Send

NAME = "*log*"
"""The reserved name that answers. Nobody can log in under it."""

MAX_WAITING = 10_000
"""How many messages may wait for the disk."""

MAX_READ = 100
"""How many messages a member can read at once."""

MAX_ANSWER = 4000
"""Bytes of an answer. The oldest messages are left out."""

MAX_DATA = 500
"""Bytes of one message in an answer."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS said (at REAL, sender TEXT, "group" TEXT, data BLOB);
CREATE INDEX IF NOT EXISTS by_group ON said ("group", at);
"""

logger = logging.getLogger("chat_log")

Row = tuple[float, str, str, bytes]
"""When it was said, by whom, in which group, and what."""

Request = tuple[str, str, int]
"""Who wants to read, which group, and how many messages."""


class CanTell(Protocol):
    """Every server."""

    def groups(self) -> Sequence[GroupInfo]:
        """All groups."""
        ...

    def tell(self, to: str, data: bytes, sender: str = ...) -> int:
        """Send a message to a user from a reserved name."""
        ...


class ChatLog:
    """Writes what is said in groups, and lets members read it.

    Args:
        path: The database. It is made if there is none.
        server: The server.
    """

    def __init__(self, path: str, server: CanTell) -> None:
        self._server = server
        # Here, so that a server does not start without its log. Only the thread uses it.
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(SCHEMA)
        # None ends the thread.
        self._queue: SimpleQueue[Row | Request | None] = SimpleQueue()
        # A daemon, so that the program can end; `atexit` then has it write what is left.
        self._thread = threading.Thread(target=self._run, name="chat-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, said: Said) -> HookVerdict | None:
        """The hook of BROADCAST: log a message."""
        if self._queue.qsize() >= MAX_WAITING:
            return Refusal("LOG_BUSY", "the log of this chat can't keep up; try again")
        match said:
            case Said(Broadcast(group, data), str(name), _):
                self._queue.put((time.time(), name, group, data))
        return None

    def read(self, said: Said) -> HookVerdict | None:
        """The hook of SEND: answer `*log*`, on the thread."""
        match said:
            case Said(Send(to, data), str(name), _) if to == NAME:
                match data.decode(errors="replace").split():
                    case [group, count] if count.isdecimal() and self._queue.qsize() < MAX_WAITING:
                        self._queue.put((name, group, min(int(count), MAX_READ)))
                        return Drop()
                return Reply(b"send me the name of a group, and how many messages to read", NAME)
        return None

    def close(self) -> None:
        """Write what is left, and end."""
        atexit.unregister(self.close)
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        items: list[Row | Request | None] = []
        while None not in items:
            items = [self._queue.get()]
            try:
                while len(items) < MAX_WAITING:
                    items.append(self._queue.get_nowait())
            except Empty:
                pass
            try:
                self._do(items)
            except Exception:
                # A full disk, for example. The thread goes on.
                logger.exception("messages may be missing in the log: %d", len(items))
        self._database.close()

    def _do(self, items: Sequence[Row | Request | None]) -> None:
        with self._database:
            rows = [each for each in items if each is not None and len(each) == 4]
            self._database.executemany("INSERT INTO said VALUES (?, ?, ?, ?)", rows)
        for each in items:
            if each is not None and len(each) == 3:
                self._server.tell(each[0], self._answer(*each), NAME)

    def _answer(self, name: str, group: str, count: int) -> bytes:
        if not any(each.group == group and name in each.members for each in self._server.groups()):
            return f"you are not in {group}".encode()
        query = 'SELECT at, sender, data FROM said WHERE "group" = ? ORDER BY at DESC LIMIT ?'
        answer: list[bytes] = []
        size = 0
        for at, sender, data in self._database.execute(query, (group, count)):
            clock = time.strftime("%H:%M", time.localtime(at))
            # No message ends with a CR, and what is cut off may have left one.
            answer.append(f"{clock} {sender}: ".encode() + data[:MAX_DATA].rstrip(b"\r"))
            size += len(answer[-1]) + 3
            if size > MAX_ANSWER:
                answer.pop()
                break
        return b" | ".join(reversed(answer)) or b"nothing was said"


def make_hooks(server: CanTell) -> Hooks:
    """The table, with the path from the environment."""
    log = ChatLog(os.environ.get("CHAT_LOG", "chat.db"), server)
    return {Broadcast: [log.write], Send: [log.read]}
