"""A faithful model of the server that CHAT/1.0 was published with, its defects included.

It does what that server does with each byte: the reader cuts at 4096 bytes and trims Unicode white
space, nothing is checked or answered, and a SEND looks at every connection. That server has one
thread of control for each connection. What they do to each other when they run at the same moment,
which depends on luck there, always happens here.
"""

from typing import Final

BUFFER: Final = 4096
"""Bytes of the reader's buffer: a longer line is cut there."""

SYSTEM: Final = 1 << 20
"""Bytes that the system takes for a client that reads nothing. Then a writer blocks."""

SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What `strings.TrimSpace` removes in Go."""

CROWD: Final = 8
"""Connections that come or go during one SEND, after which the process has died for sure."""


def trim(word: bytes) -> bytes:
    return word.decode("utf-8", "surrogateescape").strip(SPACE).encode("utf-8", "surrogateescape")


class Connection:
    def __init__(self, cid: str) -> None:
        self.cid = cid
        self.name = b""
        self.unread = bytearray()
        self.at_end = False
        self.closed = False
        self.in_set = True
        self.paused = False
        self.unwritten = 0
        self.blocked = False


class ReferenceWorld:
    """The model as a server in memory."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._groups: dict[bytes, list[bytes]] = {}
        self._out: list[tuple[str, bytes | None]] = []
        self._crowd = 0
        self.dead = False
        # Who has written to whom since the last `take`, and where that stands in `_out`.
        self._writers: dict[str, dict[str, int]] = {}

    def connect(self, client: str) -> None:
        self._crowd += 1
        self._connections[client] = Connection(client)
        if self.dead:
            self._close(self._connections[client])

    def write(self, client: str, data: bytes) -> None:
        self._connections[client].unread += data

    def end(self, client: str) -> None:
        self._connections[client].at_end = True

    def reset(self, client: str) -> None:
        # The unfinished line is read as a whole one before the error is.
        self._crowd += 1
        connection = self._connections[client]
        connection.at_end = connection.closed = True

    def pause(self, client: str) -> None:
        self._connections[client].paused = True

    def take(self, now: float) -> list[tuple[str, bytes | None]]:  # noqa: ARG002
        self._writers = {}
        for connection in list(self._connections.values()):
            while not connection.blocked and (line := self._read(connection)) is not None:
                self._handle(connection, line)
            if connection.at_end and not connection.blocked:
                # Out of the set, but the descriptor stays open.
                connection.in_set = False
        self._crowd = 0
        self._lose_messages()
        taken, self._out = self._out, []
        return taken

    def _read(self, connection: Connection) -> bytes | None:
        """What `bufio.Reader.ReadLine` returns, whether it is the whole line or not."""
        unread = connection.unread
        end = unread.find(b"\n", 0, BUFFER)
        if end >= 0:
            line = bytes(unread[:end]).removesuffix(b"\r")
            del unread[: end + 1]
            return line
        if len(unread) >= BUFFER or (connection.at_end and unread):
            size = BUFFER - 1 if unread[:BUFFER].endswith(b"\r") else BUFFER
            line = bytes(unread[:size])
            del unread[:size]
            return line
        return None

    def _handle(self, connection: Connection, line: bytes) -> None:
        parts = line.split(b" ")
        if len(parts) < 2 or trim(parts[0]).split(b"/") != [b"CHAT", b"1.0"]:
            return
        match trim(parts[1]), len(parts):
            case b"SEND", number if number >= 4:
                name = trim(parts[2])
                self._deliver(connection, b" ".join(parts[3:]), lambda to: to.name == name)
            case b"BROADCAST", number if number >= 4:
                members = self._groups.get(trim(parts[2]))
                if members is not None:
                    self._deliver(
                        connection,
                        b" ".join(parts[3:]),
                        lambda to: to is not connection and to.name in members,
                    )
            case b"LOGIN", 3:
                connection.name = trim(parts[2])
            case b"LOGOUT", 2:
                self._crowd += 1
                connection.in_set = False
                self._close(connection)
            case b"GROUP", number if number >= 5:
                self._groups.setdefault(trim(parts[2]), parts[3:])
            case b"LEAVE", number if number >= 3:
                group = trim(parts[2])
                if group in self._groups:
                    self._groups[group] = [
                        each for each in self._groups[group] if each != connection.name
                    ]

    def _deliver(self, sender: Connection, data: bytes, is_for: object) -> None:
        if self._crowd >= CROWD:
            # "concurrent map iteration and map write"
            self.dead = True
            for each in self._connections.values():
                self._close(each)
        assert callable(is_for)
        for to in self._connections.values():
            if not (to.in_set and is_for(to)) or to.closed:
                continue
            line = b"CHAT/1.0 RECEIVE %b %b\n" % (sender.name, data)
            if to.paused:
                to.unwritten += len(line)
                sender.blocked = to.unwritten > SYSTEM
                continue
            self._writers.setdefault(to.cid, {})[sender.cid] = len(self._out)
            self._out.append((to.cid, line))

    def _lose_messages(self) -> None:
        """Several writers that share a buffer without a lock overwrite what is in it."""
        lost = {cid for cid, writers in self._writers.items() if len(writers) > 2}
        self._out = [
            (cid, data)
            for at, (cid, data) in enumerate(self._out)
            if cid not in lost or data is None or at in self._writers[cid].values()
        ]

    def _close(self, connection: Connection) -> None:
        if not connection.closed:
            connection.closed = True
            self._out.append((connection.cid, None))
