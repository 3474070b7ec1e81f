r"""The ledger: the commands that all nodes execute in one order.

Theory of operation
===================

A hub is a pure function of what it has handled. So if all nodes handle the same commands in the
same order, all hubs are equal, and each node decides with the code that decides on a single server.
Redis keeps the order and decides nothing. An entry of the ledger is

    NODE SEQ LF

and after that one command a line:

    J CONFIG                      the node joins the chat
    D NODE                        that node is down, or leaves
    I NUMBER NETWORK NAME         LOGIN of a connection of this node
    O NUMBER                      the connection is gone
    G NUMBER GROUP MEMBER...      GROUP
    L NUMBER GROUP                LEAVE
    S NUMBER DATA                 a request to `*groups*` that changes something

and of those who run the servers:

    A GROUP MEMBER                add a member to a group
    R GROUP MEMBER                remove one
    B BAN TEXT                    ban a name, an address or a network, with these last words
    U BAN                         lift a ban

An entry without commands tells that the node lives. SEQ numbers the entries of one node. The node
keeps each until it comes back, and after an interruption it appends all that it still has once
more. The others take only the entry with the next number. So each entry is executed once.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, Final, NamedTuple
from unicodedata import unidata_version

from ..routing.limits import GroupLimits
from ..routing.policy import NameRule, Policy
from ..wire.errors import LocalProtocolError
from ..wire.events import Event, Group, Leave, Login, Send
from ..wire.names import GROUPS_NAME

VERSION: Final = "1"
"""The version of the ledger, of mails and of snapshots."""

NO_NETWORK: Final = "-"

MOST_LINES: Final = 500
"""Most commands in one entry, so that one entry is little work for its readers."""


class Entry(NamedTuple):
    """An entry of the ledger."""

    node: str
    seq: int
    lines: list[str]


def parse_entry(entry: bytes) -> Entry:
    """Parse an entry of the ledger.

    Raises:
        ValueError: It is none.
    """
    header, *lines = entry.decode().split("\n")
    node, seq = header.split(" ")
    return Entry(node, int(seq), lines)


def event_line(number: int, network: str, event: Event) -> str:
    """The command that an event of a connection is in the ledger."""
    match event:
        case Login(name):
            return f"I {number} {network or NO_NETWORK} {name}"
        case Group(name, members):
            return " ".join([f"G {number} {name}", *members])
        case Leave(group):
            return f"L {number} {group}"
        case Send(_, data):
            return f"S {number} {data.decode()}"
        case _:
            raise TypeError(f"{event!r} has no place in the ledger")


def parse_event(letter: str, rest: str) -> Event:
    """The event that a command is, see `event_line`.

    Args:
        letter: Its first letter.
        rest: What follows the number; of a LOGIN, what follows the network.

    Raises:
        ValueError: It is no event.
    """
    try:
        match letter:
            case "I":
                return Login(rest)
            case "G":
                name, *members = rest.split(" ")
                return Group(name, members)
            case "L":
                return Leave(rest)
            case "S":
                return Send(GROUPS_NAME, rest.encode())
            case _:
                raise ValueError(f"{letter} is no command")
    except LocalProtocolError as error:
        raise ValueError(str(error)) from error


class Wait(Enum):
    """What a connection waits for."""

    COMMAND = "command"
    """Its command is to come back from the ledger."""

    SYNC = "sync"
    """Any entry of this node is to come back: then the hub knows all that was done before."""


@dataclass(slots=True)
class Batch:
    """An entry that has not come back yet.

    Args:
        seq: Its number.
        entry: Its bytes.
    """

    seq: int
    entry: bytes
    events: dict[int, tuple[Any, Event]] = field(default_factory=dict)
    """The events in it and their connections, by the line."""
    syncs: list[Any] = field(default_factory=list)
    """The connections that wait for any entry to come back."""


class Author:
    """Writes this node's entries.

    Args:
        name: The node's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seq = 0
        self._lines: list[str] = []
        self._events: dict[int, tuple[Any, Event]] = {}
        self._syncs: list[Any] = []
        self.unconfirmed: deque[Batch] = deque()
        """The entries that were taken and have not come back."""

    def add(self, line: str) -> None:
        """Add a command."""
        self._lines.append(line)

    def add_event(self, peer: Any, number: int, network: str, event: Event) -> None:
        """Add what a connection has sent.

        Args:
            peer: The connection.
            number: Its number.
            network: The network that its groups count with; empty for none.
            event: The event.
        """
        self._events[len(self._lines)] = peer, event
        self._lines.append(event_line(number, network, event))

    def add_sync(self, peer: Any) -> None:
        """Have a connection wait for the next entry, which needs no command."""
        self._syncs.append(peer)

    def take(self) -> bytes:
        """The next entry, with what was added, or a part of it; maybe without a command."""
        self._seq += 1
        lines, self._lines = self._lines[:MOST_LINES], self._lines[MOST_LINES:]
        events, self._events = self._events, {}
        for at in [at for at in events if at >= MOST_LINES]:
            self._events[at - MOST_LINES] = events.pop(at)
        entry = "\n".join([f"{self._name} {self._seq}", *lines]).encode()
        self.unconfirmed.append(Batch(self._seq, entry, events, self._syncs))
        self._syncs = []
        return entry

    @property
    def has_news(self) -> bool:
        """Whether something was added since the last entry."""
        return bool(self._lines or self._syncs)

    def operator_lines(self) -> list[str]:
        """The commands of those who run the servers that have not come back."""
        taken = [line for each in self.unconfirmed for line in each.entry.decode().split("\n")[1:]]
        return [line for line in (*taken, *self._lines) if line[:2] in ("A ", "R ", "B ", "U ")]

    def take_back(self) -> list[Any]:
        """Withdraw the events that no entry has yet, and let nobody wait for any entry.

        Returns:
            Their connections.
        """
        peers = [peer for peer, _ in self._events.values()]
        self._lines = [line for at, line in enumerate(self._lines) if at not in self._events]
        self._events, self._syncs = {}, []
        for batch in self.unconfirmed:
            batch.syncs.clear()
        return peers

    def confirm(self, seq: int) -> Batch | None:
        """Note that an entry has come back.

        Returns:
            It; None if it had come back before.
        """
        if self.unconfirmed and self.unconfirmed[0].seq == seq:
            return self.unconfirmed.popleft()
        return None


def describe_config(policy: Policy, limits: GroupLimits) -> str:
    """What all nodes of a chat have to agree on, in words."""
    words = [f"version={VERSION}"]
    words += [f"{each.name}={_word(getattr(policy, each.name))}" for each in fields(policy)]
    words += [f"{each.name}={getattr(limits, each.name)}" for each in fields(GroupLimits)]
    if policy.names is NameRule.DISTINCT:
        # Another version of Python may take other names for equal.
        words.append(f"unicode={unidata_version}")
    return " ".join(words)


def differences(there: str, here: str) -> str:
    """What differs between two configs, in words."""
    theirs, ours = _pairs(there), _pairs(here)
    return ", ".join(
        f"{key} is {theirs.get(key, 'unknown')} there and {ours.get(key, 'unknown')} here"
        for key in {**theirs, **ours}
        if theirs.get(key) != ours.get(key)
    )


def _word(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value).lower()


def _pairs(config: str) -> dict[str, str]:
    pairs: Iterable[list[str]] = (word.split("=", 1) for word in config.split(" "))
    return {pair[0]: pair[-1] for pair in pairs}
