"""What happens in a world: its rules, and what its clients and the network do, as data.

A world holds no chance any more: run twice, it does the same twice. So it can run on two brokers,
and after a failure it can be made smaller piece by piece.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from random import Random
from typing import Final, NamedTuple, TypeAlias

from chatproto import (
    GROUPS_NAME,
    Adding,
    Broadcasting,
    DuplicateLogin,
    GroupMade,
    Limits,
    NameRule,
    Policy,
)

ENDLESS: Final = 1 << 40
"""A budget in bytes that is never used up."""

LAST: Final = b"last"
"""The end of the data of the last messages in a world."""


class Kind(Enum):
    """What a line is."""

    LOGIN = auto()
    LOGOUT = auto()
    SEND = auto()
    BROADCAST = auto()
    GROUP = auto()
    LEAVE = auto()
    REQUEST = auto()
    """Something that is sent to `*groups*`, be it a request or not."""
    FOREIGN = auto()
    """A line of another protocol. Before the first LOGIN, nothing behind it may be executed."""
    BAD = auto()
    """A line that no server may execute. What it holds may look like a message."""


class Line(NamedTuple):
    """A line that a client sends."""

    cid: int
    """The connection of the sender."""
    number: int
    """Its place among the lines of this connection. No other line of it has the same."""
    kind: Kind
    name: str
    """The recipient, the group, or the name in a LOGIN."""
    data: bytes
    """The data of a message, which begins with `cid` and `number`, or of a request."""
    raw: bytes
    """The line with its end."""


@dataclass(frozen=True, slots=True)
class Connect:
    """A client connects."""

    cid: int
    address: str = ""
    secured: bool = True
    """False when its TLS handshake is still to come."""


@dataclass(frozen=True, slots=True)
class Secure:
    """A TLS handshake is complete."""

    cid: int
    identities: tuple[str, ...] | None
    """The names in the certificate."""


@dataclass(frozen=True, slots=True)
class Say:
    """A client writes lines. They wait until the server reads them."""

    cid: int
    lines: tuple[Line, ...]
    half: bytes = b""
    """A line without an end. The client writes nothing after that."""


@dataclass(frozen=True, slots=True)
class Take:
    """A client changes how much it reads."""

    cid: int
    budget: int
    """Bytes for each `Wake`."""


@dataclass(frozen=True, slots=True)
class End:
    """A client ends its half of the stream, after what it has written."""

    cid: int


@dataclass(frozen=True, slots=True)
class Reset:
    """A connection is lost."""

    cid: int


@dataclass(frozen=True, slots=True)
class Wake:
    """The adapter wakes up: time has passed, and sockets are ready."""

    seconds: float
    """The time since the last one."""
    size: int
    """Bytes that are read from each connection at most."""
    turn: int
    """How the order of the connections is rotated."""
    at_once: bool
    """Whether the adapter uses the methods for many connections."""
    settle: bool
    """Whether it goes on until the broker is not busy any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Somebody decides on a login."""

    which: int
    """Which of the open questions, modulo their number."""
    allowed: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """The server is told to shut down."""


Step: TypeAlias = Connect | Secure | Say | Take | End | Reset | Wake | Answer | Drain


@dataclass(frozen=True, slots=True)
class World:
    """A broker's settings, and all that happens."""

    limits: Limits
    policy: Policy
    notices: bool
    ask: bool
    polite: bool
    """Whether clients close their half when the server has closed its own."""
    groups: Mapping[str, tuple[str, ...]]
    """The members in each GROUP line of a group."""
    restored: tuple[GroupMade, ...]
    """The groups that there are from the start."""
    steps: tuple[Step, ...]

    def describe(self) -> Iterator[str]:
        """The world in lines of text."""
        default = Limits()
        limits = [
            f"{field.name}={getattr(self.limits, field.name)}"
            for field in fields(Limits)
            if getattr(self.limits, field.name) != getattr(default, field.name)
        ]
        yield f"Limits({', '.join(limits)})"
        policy = self.policy
        yield f"{policy.duplicate_login}, {policy.broadcasting}, {policy.names}, {policy.adding}"
        yield f"services={policy.services}, groups={dict(self.groups)}"
        yield from map(str, self.restored)
        yield f"notices={self.notices}, ask={self.ask}, polite={self.polite}"
        for step in self.steps:
            if isinstance(step, Say):
                lines = _runs([line.raw for line in step.lines])
                half = [f"{_short(step.half)} (no end)"] if step.half else []
                yield f"Say({step.cid}):"
                yield from (f"    {line}" for line in [*lines, *half])
            else:
                yield str(step)


def _short(raw: bytes) -> str:
    return repr(raw) if len(raw) < 90 else f"{raw[:60]!r}... {len(raw)} bytes ...{raw[-20:]!r}"


def _runs(lines: list[bytes]) -> Iterator[str]:
    if len(lines) <= 12:
        yield from map(_short, lines)
    else:
        yield from map(_short, lines[:6])
        yield f"... {len(lines) - 12} more ..."
        yield from map(_short, lines[-6:])


NAMES: Final = ("ann", "bob", "cat", "bücher")
NOBODY: Final = "nil"
HIDDEN: Final = "bo\u200bb"
"""A name that looks like another one, and is taken by one policy only."""
ALIKE: Final = "BOB"
"""A name that another one equals but for its case."""
GROUPS: Final = ("g", "h")

_SIZES: Final = (1, 7, 60, 500, 4096, 1 << 16, 1 << 16, 1 << 16)
_BUDGETS: Final = (0, 0, 1, 10, 300, 3000, ENDLESS, ENDLESS)
_SECONDS: Final = (0.0, 0.0, 0.01, 0.1, 0.1, 0.3, 1.0, 4.0)
_FILLERS: Final = (
    b"",
    b"",
    b"  hi  there ",
    b"\0\xff\x1b[2J",
    b"a\rb",
    b"CHAT/1.0 LOGOUT",
    b"CHAT/1.0 SEND bob 0:0:",
)
_TURN: Final = 1000
"""About the lines that a broker executes for one connection before others have their turn."""
_ALL_LINES: Final = 1 << 30
"""The log is not bounded: it tells why each connection has ended."""


def random_limits(random: Random) -> Limits:
    """Limits that bite, or mostly do not."""
    pick = random.choice
    if random.random() < 0.2:
        return Limits(notice_burst=1_000_000, log_lines=_ALL_LINES)
    queue = pick((512, 700, 1500, 5000, 1 << 20))
    return Limits(
        max_line=512,
        bad_lines=pick((1, 3, 100)),
        max_name=pick((3, 64, 64, 64)),
        max_groups=pick((1, 2, 100_000, 100_000)),
        max_groups_per_connection=pick((1, 1000, 1000)),
        max_members=pick((1, 2, 5000, 5000)),
        max_memberships=pick((2, 6, 1_000_000, 1_000_000)),
        max_memberships_per_address=pick((3, 100_000)),
        max_connections_per_name=pick((1, 2, 16)),
        max_handshakes=pick((1, 300)),
        log_lines=pick((2, _ALL_LINES, _ALL_LINES)),
        max_connections=pick((None, None, None, 4)),
        max_connections_per_address=pick((2, 1000)),
        handshake_timeout=pick((0.3, 10.0)),
        login_timeout=pick((0.3, 60.0, 60.0)),
        auth_timeout=pick((0.2, 3.0, 10.0)),
        rate=pick((None, None, None, None, 3.0, 40.0)),
        high_water=pick((1, 300, 1000, 1 << 16)),
        drain_rate=pick((1, 1000, 1 << 14)),
        queue_age=pick((0.3, 2.0, 10.0, 10.0)),
        queue_bytes=queue,
        total_queue_bytes=queue * pick((1, 2, 20, 1000)),
        linger=pick((0.5, 10.0)),
        close_timeout=pick((0.3, 2.0)),
        notice_burst=pick((1, 50, 1_000_000, 1_000_000)),
        notice_rate=pick((0.5, 20.0)),
    )


def random_world(random: Random) -> World:
    """A world in which about five clients do what they should, and what they should not."""
    limits = random_limits(random)
    policy = Policy(
        duplicate_login=random.choice(
            (DuplicateLogin.SHARE, DuplicateLogin.SHARE, *DuplicateLogin)
        ),
        broadcasting=random.choice(list(Broadcasting)),
        names=random.choice(list(NameRule)),
        adding=random.choice(list(Adding)),
        services=random.random() < 0.9,
    )
    groups = {
        group: tuple(random.sample((*NAMES, NOBODY), random.randint(1, 5))) for group in GROUPS
    }
    ask = random.random() < 0.15
    crowded = random.random() < 0.15
    if crowded:
        limits = replace(
            limits,
            high_water=random.choice((1, 300, 1000)),
            queue_bytes=5000,
            total_queue_bytes=1 << 20,
            drain_rate=1,
            rate=None,
            max_members=5000,
            max_memberships=1_000_000,
        )
        policy = replace(policy, adding=Adding.MEMBERS, services=True)
    author = _Author(random, limits, groups, crowded=crowded)
    steps: list[Step] = []
    for _ in range(random.randint(2, 6)):
        steps += author.arrival()
        if random.random() < 0.3:
            steps.append(author.wake())
    steps += [Answer(0, allowed=True)] * (4 * ask)
    for _ in range(random.randint(4, 12)):
        steps += author.happening(ask=ask)
        if random.random() < 0.7:
            steps.append(author.wake())
    if random.random() < 0.1:
        steps.append(Drain())
        steps += [author.wake(), *author.happening(ask=ask), author.wake()]
    return World(
        limits=limits,
        policy=policy,
        notices=random.random() < 0.7,
        ask=ask,
        polite=random.random() < 0.8,
        groups=groups,
        restored=tuple(
            GroupMade(group, random.choice(NAMES), members)
            for group, members in groups.items()
            if random.random() < 0.1
        ),
        steps=tuple(steps),
    )


class _Author:
    """Writes the steps of a world.

    Args:
        random: Its chance.
        limits: The broker's.
        groups: The members of each group.
        crowded: Whether new members of groups often have full queues.
    """

    def __init__(
        self,
        random: Random,
        limits: Limits,
        groups: Mapping[str, tuple[str, ...]],
        *,
        crowded: bool,
    ) -> None:
        self._random = random
        self._crowded = crowded
        self._max_line = limits.max_line
        self._rated = limits.rate is not None
        self._groups = groups
        # For each connection, how many lines it has written; those that may write more; and the
        # name in the last LOGIN of each.
        self._written: list[int] = []
        self._writing: list[int] = []
        self._name: dict[int, str] = {}

    def wake(self) -> Wake:
        random = self._random
        return Wake(
            seconds=random.choice(_SECONDS),
            size=random.choice(_SIZES),
            turn=random.randrange(8),
            at_once=random.random() < 0.6,
            settle=random.random() < 0.8,
        )

    def arrival(self) -> Iterator[Step]:
        """Somebody connects, and most log in at once."""
        random, cid = self._random, len(self._written)
        self._written.append(0)
        self._writing.append(cid)
        secured = random.random() < 0.95
        yield Connect(cid, random.choice(("", "", "192.0.2.1")), secured)
        if not secured and random.random() < 0.8:
            yield Secure(cid, random.choice((None, NAMES[:1], NAMES)))
        lines: list[Line] = []
        if random.random() < 0.1:
            lines += self._message(cid, random.choice(NAMES))
        if random.random() < 0.05:
            lines += self._foreign(cid)
        if random.random() < 0.95:
            lines += self._login(cid)
            lines += self._ping(cid)
        if random.random() < 0.4:
            lines += self._group(cid)
        if random.random() < 0.4:
            lines.append(self._request(cid, b"on"))
        if lines:
            yield Say(cid, tuple(lines))
        if random.random() < 0.3:
            yield Take(cid, random.choice(_BUDGETS))

    def happening(self, *, ask: bool) -> Iterator[Step]:
        """Somebody does something."""
        random = self._random
        if ask and random.random() < 0.3:
            yield Answer(random.randrange(3), random.random() < 0.8)
        if not self._writing or random.random() < 0.05:
            yield from self.arrival()
        if self._crowded and random.random() < 0.5:
            yield from self._addition()
        if not self._writing:
            return
        cid = random.choice(self._writing)
        dice = random.random()
        if dice < 0.75:
            yield Say(cid, tuple(self._lines(cid)))
        elif dice < 0.9:
            yield Take(random.randrange(len(self._written)), random.choice(_BUDGETS))
        else:
            self._writing.remove(cid)
            if dice < 0.93:
                half = self._new(cid, Kind.BAD, "", b"CHAT/1.0 SEND bob %b").raw[:-1]
                yield Say(cid, (), half[: random.randint(1, len(half))])
            if dice < 0.98:
                yield End(cid)
            else:
                yield Reset(cid)

    def _addition(self) -> Iterator[Step]:
        """Somebody becomes a member whose queue is full, and may leave before it knows."""
        random = self._random
        asking, member, other = random.choices(self._writing, k=3)
        name, group = self._name.get(member, NOBODY), random.choice(GROUPS)
        yield Take(member, random.choice((10, 60, 300)))
        yield Say(other, tuple(self._new(other, *_to(name), 300) for _ in range(9)))
        yield self.wake()
        yield Say(asking, (self._request(asking, f"add {group} {name}".encode()),))
        if random.random() < 0.5:
            asking_name = self._name.get(asking, NOBODY)
            yield Take(asking, 60)
            yield Say(other, tuple(self._new(other, *_to(asking_name), 300) for _ in range(9)))
        yield self.wake()
        if random.random() < 0.5:
            yield Say(member, tuple(self._leave(member)))
        yield Take(member, ENDLESS)
        yield self.wake()

    def _lines(self, cid: int) -> Iterator[Line]:
        """Some lines of one client."""
        random = self._random
        if random.random() < 0.002 and not self._rated:
            yield from self._more_than_a_turn(cid)
        for _ in range(random.choice((1, 1, 2, 4))):
            dice = random.random()
            if dice < 0.45:
                yield from self._message(cid, random.choice(NAMES))
            elif dice < 0.65:
                yield from self._message(cid, random.choice(GROUPS), b"BROADCAST")
            elif dice < 0.72:
                for _ in range(random.choice((1, 1, 1, 2, 9))):
                    yield self._request(cid)
            elif dice < 0.75:
                group, member = random.choice(GROUPS), random.choice(NAMES)
                yield self._request(cid, f"add {group} {member}".encode())
            elif dice < 0.8:
                yield from self._group(cid)
            elif dice < 0.83:
                yield from self._leave(cid)
            elif dice < 0.87:
                yield from self._login(cid)
            elif dice < 0.88:
                yield self._new(cid, Kind.LOGOUT, "", b"CHAT/1.0 LOGOUT")
            elif dice < 0.93:
                yield from self._message(cid, random.choice((NOBODY, "*server*", "*x")))
            elif dice < 0.935:
                yield from self._foreign(cid)
            else:
                for _ in range(random.choice((1, 1, 3))):
                    yield self._bad(cid)
        if random.random() < 0.8:
            yield from self._ping(cid)

    def _ping(self, cid: int) -> Iterator[Line]:
        """A message to oneself, if the name is known."""
        name = self._name.get(cid)
        if name is not None:
            yield self._new(cid, Kind.SEND, name, b"CHAT/1.0 SEND %b " % name.encode())

    def _login(self, cid: int) -> Iterator[Line]:
        self._name[cid] = name = self._random.choice((*4 * NAMES, HIDDEN, ALIKE))
        yield self._new(cid, Kind.LOGIN, name, b"CHAT/1.0 LOGIN %b" % name.encode())

    def _group(self, cid: int) -> Iterator[Line]:
        group = self._random.choice(GROUPS)
        words = " ".join(["CHAT/1.0 GROUP", group, *self._groups[group]])
        yield self._new(cid, Kind.GROUP, group, words.encode())

    def _request(self, cid: int, data: bytes = b"") -> Line:
        """A request about groups, or something that is none."""
        random = self._random
        if not data:
            group = random.choice((*4 * GROUPS, NOBODY))
            member = random.choice((*4 * NAMES, NOBODY, HIDDEN, ALIKE, "*x"))
            pattern = random.choice(_REQUESTS)
            data = pattern.replace("%g", group).replace("%m", member).encode()
        head = f"CHAT/1.0 SEND {GROUPS_NAME} ".encode()
        return self._new(cid, Kind.REQUEST, GROUPS_NAME, head + data, data=data)

    def _leave(self, cid: int) -> Iterator[Line]:
        group = self._random.choice(GROUPS)
        yield self._new(cid, Kind.LEAVE, group, b"CHAT/1.0 LEAVE %b" % group.encode())

    def _foreign(self, cid: int) -> Iterator[Line]:
        """Another protocol, in which somebody has hidden lines."""
        yield self._new(cid, Kind.FOREIGN, "", self._random.choice(_FOREIGN))
        yield from self._login(cid)
        yield from self._message(cid, self._random.choice(NAMES))

    def _message(self, cid: int, name: str, command: bytes = b"SEND") -> Iterator[Line]:
        """Messages to one name: one, or a few in a row."""
        random = self._random
        kind = Kind.SEND if command == b"SEND" else Kind.BROADCAST
        head = b"CHAT/1.0 %b %b " % (command, name.encode())
        size = random.choice((0, 0, 10, 100, 300))
        if random.random() < 0.05:
            # The line just fits, or what it turns into does not.
            size = self._max_line - len(head) - random.choice((1, 2, 8, 12, 40))
        for _ in range(random.choice((1, 1, 1, 1, 1, 2, 3, 9, 20))):
            yield self._new(cid, kind, name, head, size)

    def _more_than_a_turn(self, cid: int) -> Iterator[Line]:
        random = self._random
        names = random.choice(((NAMES[0],), NAMES, (NOBODY,), (*NAMES, NOBODY)))
        heads = [(name, b"CHAT/1.0 SEND %b " % name.encode()) for name in names]
        for at in range(random.randint(_TURN // 2, 3 * _TURN)):
            name, head = heads[at % len(heads)]
            yield self._new(cid, Kind.SEND, name, head)

    def _bad(self, cid: int) -> Line:
        """A line that may not be executed, whatever is in it."""
        random = self._random
        pattern = random.choice(_BAD)
        if pattern is not None:
            return self._new(cid, Kind.BAD, "", pattern)
        # Too long. What follows where a reader may cut it looks like a message.
        cut = random.choice((self._max_line, self._max_line - 1, 4096, 2 * self._max_line))
        tail = b"%bCHAT/1.0 SEND bob %%b" % (b"\r" * random.randrange(2))
        return self._new(cid, Kind.BAD, "", b"CHAT/1.0 SEND bob ".ljust(cut, b".") + tail)

    def _new(
        self, cid: int, kind: Kind, name: str, head: bytes, size: int = 0, data: bytes = b""
    ) -> Line:
        """One more line.

        Args:
            cid: The connection.
            kind: What it is.
            name: The recipient, the group, or the name in a LOGIN.
            head: What comes before the data, or for a bad line, all of it around the data.
            size: The bytes of the data at least.
            data: The data of a request, which `head` has already.
        """
        random = self._random
        number = self._written[cid]
        self._written[cid] = number + 1
        if kind in (Kind.SEND, Kind.BROADCAST):
            data = b"%d:%d:%b" % (cid, number, random.choice(_FILLERS))
            if size > len(data):
                data = data.ljust(size, b".")
            raw = head + data
        elif kind is Kind.BAD:
            raw = head.replace(b"%b", b"%d:%d:forged" % (cid, number))
        else:
            raw = head
        return Line(cid, number, kind, name, data, raw + random.choice((b"\n", b"\n", b"\r\n")))


def _to(name: str) -> tuple[Kind, str, bytes]:
    """What a message to some name is made of."""
    return Kind.SEND, name, b"CHAT/1.0 SEND %b " % name.encode()


_BAD: Final = (
    b"",
    b" ",
    b"%b",
    b"CHAT/1.0",
    b"CHAT/1.0 ",
    b"CHAT/1.0 SEND",
    b"CHAT/1.0 SEND bob",
    b"CHAT/1.0 SEND  bob %b",
    b"CHAT/1.0  SEND bob %b",
    b" CHAT/1.0 SEND bob %b",
    b"chat/1.0 SEND bob %b",
    b"CHAT/1.0 send bob %b",
    b"CHAT/1.1 SEND bob %b",
    b"CHAT/1.0\tSEND bob %b",
    b"CHAT/1.0 SEND b\xffob %b",
    b"CHAT/1.0 SEND bob\xc2\xa0 %b",
    b"CHAT/1.0 SEND bob %b\r\r",
    b"CHAT/1.0 RECEIVE bob %b",
    b"CHAT/1.0 RECEIVE *server* ERR TOO_MANY - %b",
    b"CHAT/1.0 LOGIN",
    b"CHAT/1.0 LOGIN *server*",
    b"CHAT/1.0 LOGIN ann ",
    b"CHAT/1.0 LOGIN " + b"n" * 65,
    b"CHAT/1.0 LOGOUT ",
    b"CHAT/1.0 GROUP g ann *server*",
    b"CHAT/1.0 GROUP *g ann",
    b"CHAT/1.0 GROUP g  ann",
    *[None] * 6,
)
"""What bad lines are; None for one that is too long."""

_REQUESTS: Final = (
    *4 * ("on", "off", "list"),
    *6 * ("members %g", "add %g %m"),
    "",
    "on off",
    " on",
    "list ",
    "members",
    "members %g %m",
    "add %g",
    "add %g %m %m",
    "added %g %m %m",
    "in %g %m on",
    "hello",
)
"""What is sent to `*groups*`."""

_FOREIGN: Final = (
    b"GET / HTTP/1.1",
    b"POST /x HTTP/1.1",
    b"Host: localhost",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"SSH-2.0-OpenSSH_9.2",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2",
    b"\x00\x03\x00\x24\x21\x12\xa4\x42 nobody",
    b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00x",
    b"*3",
)
"""How other protocols begin."""
