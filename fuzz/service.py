"""A slow chat server, written straight from sections 2, 3 and 5 of docs/protocol.md.

It has no queues, no limits on groups, and no clock: each line is executed at once, and all of it
reaches everybody whom it concerns. The broker has to do the same as long as nobody is slow.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .grammar import Bad, Read, Reader, is_name

MAX_LINE: Final = 512
"""The longest line in bytes, its LF included."""
BAD_LINES: Final = 5
"""After how many bad lines in a row a connection is closed."""
COMMANDS: Final = (b"LOGIN", b"LOGOUT", b"SEND", b"BROADCAST", b"GROUP", b"LEAVE", b"RECEIVE")


@dataclass(frozen=True, slots=True)
class Line:
    """What a connection gets: a RECEIVE, or the beginning of one."""

    text: bytes
    """The line with its LF; of a notice, what comes before the words for people."""

    def fits(self, line: bytes) -> bool:
        """Whether a line that has arrived, its LF included, is this one."""
        return line.startswith(self.text) if self.text.endswith(b" ") else line == self.text


Outgoing: TypeAlias = dict[int, list[Line]]
"""What each connection gets, in order."""


@dataclass(slots=True)
class Connection:
    """One connection, which is logged in from the start."""

    name: str
    reader: Reader
    unread: bytes = b""
    """The line that it has begun and not ended."""
    skipping: bool = False
    """Whether that line is too long already."""
    labels: bool = False
    """Whether it wants to know the group of each broadcast."""
    closed: bool = False


@dataclass(slots=True)
class Group:
    """A group of users, online or not."""

    creator: str
    members: list[str]


@dataclass(slots=True)
class Service:
    """All connections, and all groups."""

    connections: list[Connection]
    groups: dict[str, Group] = field(default_factory=dict)
    out: Outgoing = field(default_factory=dict)
    """What the input until now has made everybody get, and nobody has taken."""

    @classmethod
    def of(cls, *names: str) -> "Service":
        """A server with one connection for each name, logged in."""
        return cls(
            [Connection(name, Reader(True, MAX_LINE, BAD_LINES, logged_in=True)) for name in names]
        )

    def take(self) -> Outgoing:
        """Take what everybody gets."""
        out, self.out = self.out, {}
        return out

    def receive(self, at: int, data: bytes) -> None:
        """Receive the next bytes of a connection."""
        each = self.connections[at]
        *lines, rest = (each.unread + data).split(b"\n")
        for line in lines:
            if not each.skipping:
                self._execute(at, line + b"\n")
            each.skipping = False
        if not each.skipping and len(rest) >= MAX_LINE:
            self._execute(at, rest)
            each.skipping = True
        # Of a line that is skipped, only the end is of interest.
        each.unread = b"" if each.skipping else rest

    def receive_eof(self, at: int) -> None:
        """Receive the end of a connection's stream."""
        each = self.connections[at]
        self._execute(at, each.unread)
        each.closed = each.reader.closed = True

    def _execute(self, at: int, line: bytes) -> None:
        each = self.connections[at]
        read = each.reader.read(line)
        if read is None:
            return
        refused = self._refusal(at, read)
        # What is for the server is never answered.
        if refused is not None and not (isinstance(read, Bad) and _is_for_server(read.line)):
            self._notice(at, refused, _command(read))
        if isinstance(read, Bad) and each.reader.closed and read.code != "TRUNCATED":
            self._notice(at, "TOO_MANY", "-")
        each.closed |= each.reader.closed

    def _refusal(self, at: int, read: Read) -> str | None:
        """Execute a line, or say why not."""
        if isinstance(read, Bad):
            return read.code
        each = self.connections[at]
        match read:
            case ("LOGIN", str(name)):
                each.name = name
            case ("SEND", str(name), bytes(data)):
                return self._send(at, name, data)
            case ("BROADCAST", str(name), bytes(data)):
                return self._broadcast(at, name, data)
            case ("GROUP", str(name), *members):
                if name in self.groups:
                    return "GROUP_EXISTS"
                self.groups[name] = Group(each.name, _names(members))
            case ("LEAVE", str(name)):
                if name not in self.groups:
                    return "NO_SUCH_GROUP"
                group = self.groups[name]
                if each.name not in group.members:
                    return "NOT_A_MEMBER"
                group.members.remove(each.name)
                if not group.members:
                    del self.groups[name]
        return None

    def _send(self, at: int, name: str, data: bytes) -> str | None:
        if name == "*groups*":
            self._request(at, data)
        if name.startswith("*"):
            return None
        to = self._online(name)
        if not to:
            return "NO_SUCH_USER"
        line = _receive(self.connections[at].name, data)
        if len(line) > MAX_LINE:
            return "LINE_TOO_LONG"
        for other in to:
            self._deliver(other, line)
        return None

    def _broadcast(self, at: int, name: str, data: bytes) -> str | None:
        sender = self.connections[at].name
        if name.startswith("*"):
            return None
        if name not in self.groups:
            return "NO_SUCH_GROUP"
        group = self.groups[name]
        if sender not in group.members and sender != group.creator:
            return "NOT_A_MEMBER"
        to = [
            other
            for member in group.members
            for other in self._online(member)
            # A sender who is a member does not get the message back. The creator may be no member.
            if other != at
        ]
        line = _receive(sender, data)
        if to and len(line) > MAX_LINE:
            return "LINE_TOO_LONG"
        label = _receive("*groups*", b"in %b %b %b" % (name.encode(), sender.encode(), data))
        for other in to:
            labelled = self.connections[other].labels and len(label) <= MAX_LINE
            self._deliver(other, label if labelled else line)
        return None

    def _request(self, at: int, data: bytes) -> None:
        """Answer a request about groups (section 5)."""
        each = self.connections[at]
        raw = data.split(b" ")
        if not all(map(is_name, raw)):
            return
        match [word.decode() for word in raw]:
            case ["on" | "off" as word]:
                each.labels = word == "on"
                self._answer(at, word, [])
            case ["list"]:
                mine = [name for name, group in self.groups.items() if each.name in group.members]
                self._answer(at, "list", mine)
            case ["members", name]:
                group = self._known(each.name, name)
                if group is None:
                    self._answer(at, f"refused NO_SUCH_GROUP members {name}", [])
                else:
                    self._answer(at, f"members {name}", group.members)
            case ["add", name, member]:
                group = self._known(each.name, name)
                if group is None:
                    self._answer(at, f"refused NO_SUCH_GROUP add {name} {member}", [])
                elif group.creator != each.name:
                    self._answer(at, f"refused NOT_ALLOWED add {name} {member}", [])
                elif member.startswith("*"):
                    self._answer(at, f"refused NAME_RESERVED add {name} {member}", [])
                else:
                    if member not in group.members:
                        group.members.append(member)
                    for other in {at, *self._online(member)}:
                        self._answer(other, f"added {name} {member} {each.name}", [])

    def _known(self, user: str, name: str) -> Group | None:
        """A group, for its members and its creator."""
        group = self.groups.get(name)
        return group if group and user in (*group.members, group.creator) else None

    def _answer(self, at: int, head: str, names: list[str]) -> None:
        """Answer a request, in as many lines as it takes."""
        line = head.encode()
        for name in names:
            if len(_receive("*groups*", b"%b %b" % (line, name.encode()))) > MAX_LINE:
                self._deliver(at, _receive("*groups*", line))
                line = head.encode()
            line += b" " + name.encode()
        self._deliver(at, _receive("*groups*", line))

    def _online(self, name: str) -> list[int]:
        return [
            at
            for at, each in enumerate(self.connections)
            if each.name == name and not each.closed and not each.reader.closed
        ]

    def _notice(self, at: int, code: str, command: str) -> None:
        self._deliver(at, f"CHAT/1.0 RECEIVE *server* ERR {code} {command} ".encode())

    def _deliver(self, at: int, line: bytes) -> None:
        self.out.setdefault(at, []).append(Line(line))


def _receive(sender: str, data: bytes) -> bytes:
    return b"CHAT/1.0 RECEIVE %b %b\n" % (sender.encode(), data)


def _names(words: list[str | bytes]) -> list[str]:
    """The names in some words, each once."""
    return list(dict.fromkeys(word for word in words if isinstance(word, str)))


def _command(read: Read) -> str:
    """The command that a line names, for the notice about it."""
    if not isinstance(read, Bad):
        return str(read[0])
    words = read.line.split(b" ")
    return words[1].decode() if len(words) > 1 and words[1] in COMMANDS else "-"


def _is_for_server(line: bytes) -> bool:
    """Whether a line is a message to a reserved name."""
    words = line.split(b" ")
    return len(words) > 2 and words[1] in (b"SEND", b"BROADCAST") and words[2].startswith(b"*")
