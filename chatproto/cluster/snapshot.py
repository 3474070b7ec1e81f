"""Snapshots: the state of a hub as bytes, so that nodes can join and the ledger can be trimmed.

A snapshot begins with a line

    VERSION POSITION ENTRIES CONFIG

where POSITION says how many entries the ledger had so far, and ENTRIES how many of them came after
the snapshot before. Then come

    N NODE APPLIED HIGHEST              a node, the number of its last entry, and of a connection
    U NODE NUMBER NETWORK LABELS NAME   a connection that is logged in
    G CREATOR NETWORK NODE NUMBER GROUP MEMBER...
    W NETWORK GROUP...                  the order in which the groups from a network give way
    B BAN                               a ban

NODE is the index of an N line, or `-` with the NUMBER `-` when a group's maker is gone. LABELS is
`+` when the connection has asked for labels, otherwise `-`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..routing.groups import GroupRecord
from .errors import ClusterError
from .hub import ReplicatedHub
from .ledger import NO_NETWORK, VERSION
from .nodes import Node, Remote

SLICE: Final = 1 << 15
"""Characters that are written at once. The next ones have to wait for the next tick."""


class ClusterSnapshot(NamedTuple):
    """A snapshot to be stored."""

    id: str
    """The id of the last entry of the ledger that it contains."""

    data: bytes
    """What `Cluster.load` takes."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a snapshot, and its nodes."""

    position: int
    entries: int
    config: str
    nodes: list[Node]
    bans: list[str]


def write_snapshot(
    hub: ReplicatedHub, header: Header, locate: Callable[[Any], tuple[Node, int] | None]
) -> Iterator[bytes]:
    """Write a snapshot of a hub as it is at the first `next`, in slices.

    The groups are changed in copies until the iterator is exhausted.

    Args:
        hub: The hub.
        header: What else belongs to it.
        locate: Finds the node of a connection and its number there; None if it is not logged in.
    """
    indexes = {node: index for index, node in enumerate(header.nodes)}
    lines = [f"{VERSION} {header.position} {header.entries} {header.config}"]
    lines += [f"N {node.name} {node.applied} {node.highest}" for node in header.nodes]
    lines += [f"B {ban}" for ban in header.bans]
    registered, networks = dict(hub.registered), dict(hub.networks())
    labelled = dict(hub.labelled)
    located = {
        cid: locate(cid)
        for connections in registered.values()
        for cid in connections
        if type(cid) is not Remote
    }
    records, order, orders = hub.table.records(), hub.table.order(), hub.table.orders()
    hub.table.copy_on_write = True

    def place(cid: Any) -> str:
        found = (cid.node, int(cid.number)) if type(cid) is Remote else located.get(cid)
        return "- -" if found is None else f"{indexes[found[0]]} {found[1]}"

    def all_lines() -> Iterator[str]:
        for name, connections in registered.items():
            for cid in connections:
                label = "+" if cid in labelled else "-"
                yield f"U {place(cid)} {networks.get(cid) or NO_NETWORK} {label} {name}"
        for name in order:
            group = records[name]
            network = group.network or NO_NETWORK
            words = ["G", group.creator, network, place(group.maker), name, *group.members]
            yield " ".join(words)
        for network, names in orders.items():
            yield " ".join(["W", network or NO_NETWORK, *names])

    size = 0
    for line in all_lines():
        lines.append(line)
        size += len(line)
        if size >= SLICE:
            yield "\n".join(lines).encode()
            # The next slice begins on a line of its own.
            lines, size = [""], 0
    hub.table.copy_on_write = False
    yield "\n".join(lines).encode()


def groups_snapshot(hub: ReplicatedHub, config: str, bans: Iterable[str]) -> bytes:
    """A snapshot of groups and bans alone, with which a chat goes on that has lost its ledger."""
    lines = [f"{VERSION} 0 0 {config}", *[f"B {ban}" for ban in bans]]
    records = hub.table.records()
    for name in hub.table.order():
        group = records[name]
        words = ["G", group.creator, group.network or NO_NETWORK, "- -", name, *group.members]
        lines.append(" ".join(words))
    return "\n".join(lines).encode()


def read_snapshot(data: bytes, hub: ReplicatedHub, now: float) -> Header:
    """Fill an empty hub from a snapshot.

    Args:
        data: The snapshot.
        hub: The hub.
        now: The time in seconds.

    Raises:
        ClusterError: It is no snapshot, or one of another version.
    """
    try:
        version, rest = data.decode().split(" ", 1)
        if version != VERSION:
            raise ClusterError(
                f"the chat has version {version} of the ledger, and this server has {VERSION}: "
                "all nodes of a chat have to run the same version"
            )
        head, *lines = rest.split("\n")
        position, entries, config = head.split(" ", 2)
        header = Header(int(position), int(entries), config, [], [])
        _fill(hub, header, lines, now)
    except (ValueError, LookupError) as error:
        raise ClusterError(f"the snapshot of the chat is damaged: {error}") from error
    return header


def _fill(hub: ReplicatedHub, header: Header, lines: Iterable[str], now: float) -> None:
    nodes = header.nodes
    for line in lines:
        letter, *words = line.split(" ")
        match letter:
            case "N":
                name, applied, highest = words
                nodes.append(Node(name, int(applied), now))
                nodes[-1].highest = int(highest)
            case "U":
                index, number, network, label, name = words
                node = nodes[int(index)]
                remote = node.remotes[int(number)] = Remote(node, number.encode())
                hub.restore_user(remote, _network(network), name, labelled=label == "+")
            case "G":
                creator, network, index, number, name, *members = words
                maker = None if index == "-" else nodes[int(index)].remotes[int(number)]
                group: GroupRecord[Any] = GroupRecord(creator, members, maker, _network(network))
                hub.table.insert(name, group)
            case "W":
                network, *names = words
                hub.table.reorder(_network(network), names)
            case "B":
                header.bans.extend(words)
            case _:
                raise ValueError(f"{letter} begins no line")


def _network(word: str) -> str:
    return "" if word == NO_NETWORK else word
