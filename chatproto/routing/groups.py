"""The groups of a hub: who is in each of them, and which end when there are too many."""

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, MutableMapping
from typing import Any, Final, Generic

from .actions import ConnectionId
from .changes import GroupChange, GroupEnded, GroupMade, MemberAdded, MemberLeft
from .limits import GroupLimits

SEARCH: Final = 1000
"""The most names that are looked up to find groups that can give way to a new one."""


class GroupRecord(Generic[ConnectionId]):
    """A group.

    Args:
        creator: The name of the user who has made it.
        members: The names of its members, online or not.
        maker: The connection in whose quota it counts.
        network: The network in whose quota it counts; empty for none.
    """

    __slots__ = ("creator", "maker", "members", "network")

    def __init__(
        self, creator: str, members: Iterable[str], maker: ConnectionId | None, network: str
    ) -> None:
        self.creator: str = creator
        # A dict for a set that keeps its order: messages go out in the same order each time.
        self.members: dict[str, None] = dict.fromkeys(members)
        self.maker: ConnectionId | None = maker
        self.network: str = network


class Groups(Generic[ConnectionId]):
    """All groups, from the one looked at longest ago to the newest.

    Groups outlive the connections of their makers and members. So there is a bound on all of them
    together, and one on those from each network. When a new group needs room, others give way: they
    end, oldest first, if their creator and all members are offline. A search looks up a bounded
    number of names. It moves groups with somebody online to the end of the order, so the next
    search starts where this one stops.

    Args:
        limits: The bounds.
        online: The names that are online.
    """

    def __init__(self, limits: GroupLimits, online: Collection[str]) -> None:
        self._limits = limits
        self._online = online
        self._by_name: dict[str, GroupRecord[ConnectionId]] = {}
        # Their names, in the order in which they give way. It is separate, because iteration over
        # an OrderedDict takes three times as long, and requests look at all groups.
        self._order: OrderedDict[str, None] = OrderedDict()
        # The groups from each network, in an order of their own; and the numbers of their members.
        self._by_network: dict[str, OrderedDict[str, None]] = {}
        self._memberships: Counter[str] = Counter()
        self._total = 0
        self._by_maker: dict[ConnectionId, set[str]] = {}
        self.changes: list[GroupChange] | None = None
        """Where to note each change; None if nobody wants to know."""
        self.looked_up: int = 0
        """Names looked up so far to find room."""
        self.copy_on_write: bool = False
        """Whether to leave the records in `records` as they are, and to change copies."""

    def reconfigure(self, limits: GroupLimits) -> None:
        """Use other bounds from now on. Groups that exist stay until a new one needs room."""
        self._limits = limits

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> GroupRecord[ConnectionId] | None:
        """A group; None when it does not exist."""
        return self._by_name.get(name)

    def members(self, name: str) -> Collection[str]:
        """The names of a group's members; none if it does not exist."""
        group = self._by_name.get(name)
        return () if group is None else group.members

    def make(
        self, name: str, members: Collection[str], creator: str, maker: ConnectionId, network: str
    ) -> tuple[str, list[str]]:
        """Make a group, if the bounds allow it.

        Args:
            name: Its name; no group has it yet.
            members: The names of its members.
            creator: The name of the user who makes it.
            maker: The connection that makes it.
            network: The network that this comes from; empty for one that is not bounded.

        Returns:
            Why the group was not made, in words for people, or an empty string if it was; and the
            names of the groups that have given way.
        """
        limits = self._limits
        if len(members) > limits.max_members:
            return f"a group has at most {limits.max_members} members", []
        if len(self._by_maker.get(maker, ())) >= limits.max_groups_per_connection:
            return "you have made too many groups", []
        text, expired = self._make_room(network, 1, len(members))
        if not text:
            self._insert(name, GroupRecord(creator, members, maker, network))
        return text, expired

    def restore(self, made: GroupMade) -> None:
        """Add a group that existed before this hub. It counts in total, but in nobody's quota.

        Raises:
            ValueError: There is a group of that name already.
        """
        if made.group in self._by_name:
            raise ValueError(f"there is a group {made.group} already")
        self._insert(made.group, GroupRecord(made.creator, made.members, None, ""))

    def add(self, name: str, member: str) -> tuple[str, list[str]]:
        """Add a member to a group, if the bounds allow it.

        Args:
            name: The group's name. It does not give way itself, even if nobody in it is online.
            member: The name of the member, who is not in it.

        Returns:
            As `make`.
        """
        group = self._by_name[name]
        if len(group.members) >= self._limits.max_members:
            return f"a group has at most {self._limits.max_members} members", []
        text, expired = self._make_room(group.network, 0, 1, kept=name)
        if not text:
            group = self._writable(name)
            group.members[member] = None
            self._count(group, 1)
            self._note(MemberAdded(name, member))
        return text, expired

    def leave(self, name: str, member: str) -> None:
        """Take a member off a group. The last one ends it."""
        group = self._writable(name)
        del group.members[member]
        self._count(group, -1)
        if group.members:
            self._note(MemberLeft(name, member))
        else:
            self._remove(name)

    def of(self, member: str) -> list[str]:
        """The groups that a user is a member of.

        It looks at all groups: to keep an index would take as much memory as the groups themselves.
        """
        self.looked_up += len(self._by_name)
        return [name for name, group in self._by_name.items() if member in group.members]

    def forget_maker(self, maker: ConnectionId) -> None:
        """Take the groups of a connection that has ended out of its quota."""
        for name in self._by_maker.pop(maker, ()):
            self._writable(name).maker = None

    def records(self) -> dict[str, GroupRecord[ConnectionId]]:
        """A copy of the groups by name."""
        return self._by_name.copy()

    def order(self) -> list[str]:
        """The names of the groups, in the order in which they give way."""
        return list(self._order)

    def orders(self) -> dict[str, list[str]]:
        """The order in which the groups from each network give way, if it has several."""
        return {
            network: list(names) for network, names in self._by_network.items() if len(names) > 1
        }

    def insert(self, name: str, group: GroupRecord[ConnectionId]) -> None:
        """Add a group of another hub. It gives way after all others."""
        self._insert(name, group)

    def reorder(self, network: str, names: Iterable[str]) -> None:
        """Have the groups from a network give way in another order."""
        for name in names:
            self._by_network[network].move_to_end(name)

    def clear(self) -> None:
        """Forget all groups."""
        self._by_name.clear()
        self._order.clear()
        self._by_network.clear()
        self._memberships.clear()
        self._by_maker.clear()
        self._total = 0

    def _make_room(
        self, network: str, groups: int, members: int, kept: str = ""
    ) -> tuple[str, list[str]]:
        """End groups until there is room for more.

        Args:
            network: The network in whose quota the new ones count; empty for none.
            groups: How many groups will be added.
            members: How many members will be added.
            kept: A group that must not end; empty for none.

        Returns:
            Why there is no room, and the groups that were ended, as `make` returns them.
        """
        limits = self._limits
        expired: list[str] = []
        if network:
            # A group counts as one more member.
            size = self._memberships[network] + len(self._by_network.get(network, ()))
            excess = size + groups + members - limits.max_memberships_per_address
            if not self._find_room(self._by_network.get(network, {}), 0, excess, expired, kept):
                return "there are too many groups from your address", []
        freed = sum(len(self._by_name[each].members) for each in expired)
        members += self._total - freed - limits.max_memberships
        if groups:
            groups += len(self._by_name) - len(expired) - limits.max_groups
        if not self._find_room(self._order, groups, members, expired, kept):
            return "there are too many groups", []
        for each in expired:
            self._remove(each)
        return "", expired

    def _writable(self, name: str) -> GroupRecord[ConnectionId]:
        """A group's record, to be changed."""
        group = self._by_name[name]
        if self.copy_on_write:
            group = GroupRecord(group.creator, group.members, group.maker, group.network)
            self._by_name[name] = group
        return group

    def _insert(self, name: str, group: GroupRecord[ConnectionId]) -> None:
        self._by_name[name] = group
        self._order[name] = None
        self._by_network.setdefault(group.network, OrderedDict())[name] = None
        if group.maker is not None:
            self._by_maker.setdefault(group.maker, set()).add(name)
        self._count(group, len(group.members))
        self._note(GroupMade(name, group.creator, tuple(group.members)))

    def _note(self, change: GroupChange) -> None:
        if self.changes is not None:
            self.changes.append(change)

    def _find_room(
        self,
        order: MutableMapping[str, Any],
        groups: int,
        members: int,
        expired: list[str],
        kept: str,
    ) -> bool:
        """Find groups that can give way.

        Args:
            order: The groups to search, in the order in which they give way.
            groups: How many groups have to go at least; zero or less for none.
            members: The same for their members; each group of a network counts as one more.
            expired: The list to add the groups' names to. Groups that are in it are skipped.
            kept: Another group to skip; empty for none.

        Returns:
            Whether that is enough.
        """
        alive: list[str] = []
        looked_up, extra = 0, 0 if order is self._order else 1
        for name in order:
            if (groups <= 0 and members <= 0) or looked_up >= SEARCH:
                break
            if name in expired or name == kept:
                continue
            group = self._by_name[name]
            looked_up += 1 + len(group.members)
            if group.creator in self._online or any(map(self._online.__contains__, group.members)):
                alive.append(name)
            else:
                expired.append(name)
                groups -= 1
                members -= len(group.members) + extra
        for name in alive:
            order[name] = order.pop(name)
        self.looked_up += looked_up
        return groups <= 0 and members <= 0

    def _remove(self, name: str) -> None:
        group = self._by_name.pop(name)
        del self._order[name]
        self._note(GroupEnded(name))
        self._count(group, -len(group.members))
        names = self._by_network[group.network]
        del names[name]
        if not names:
            del self._by_network[group.network]
            del self._memberships[group.network]
        if group.maker is not None:
            self._by_maker[group.maker].discard(name)

    def _count(self, group: GroupRecord[ConnectionId], members: int) -> None:
        self._total += members
        self._memberships[group.network] += members
