"""The difference between the groups and bans of a server and those in its file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from chatproto import GroupChange, GroupEnded, GroupMade, MemberAdded, MemberLeft


@dataclass(slots=True)
class GroupDifference:
    """What has to be done in the file about one group, in the order of the fields."""

    ended: bool = False
    """Whether the file has a group of this name that no longer exists."""
    creator: str | None = None
    """Who has made the group, if the file does not have it yet. Else None."""
    members: dict[str, bool] = field(default_factory=dict)
    """True for a member that the file does not have yet, False for one that it still has."""


class Unwritten:
    """Changes of groups and bans that are not in the file yet, summed up for each of them.

    Changes that cancel out take no memory. So this holds at most the groups in the file and the
    groups of the server together, even if the file can't be written for a long time. The same is
    true of bans.
    """

    def __init__(self) -> None:
        self.by_group: dict[str, GroupDifference] = {}
        """The difference for each group that has one; do not change it."""
        self.bans: dict[str, bool] = {}
        """True for a ban that the file does not have yet, False for one that it still has; do not
        change it."""

    def __len__(self) -> int:
        return len(self.by_group) + len(self.bans)

    def note(self, changes: Iterable[GroupChange]) -> None:
        """Add changes, in the order in which they have happened."""
        for change in changes:
            match change:
                case GroupMade(group, creator, members):
                    there = self._of(group)
                    there.creator = creator
                    there.members = dict.fromkeys(members, True)
                case MemberAdded(group, member):
                    there = self._of(group)
                    if there.members.pop(member, None) is None:
                        there.members[member] = True
                case MemberLeft(group, member):
                    there = self._of(group)
                    if there.members.pop(member, None) is None:
                        there.members[member] = False
                case GroupEnded(group):
                    there = self.by_group.pop(group, GroupDifference())
                    if there.ended or there.creator is None:
                        self.by_group[group] = GroupDifference(ended=True)
                case _:
                    assert_never(change)

    def note_bans(self, changes: Mapping[str, bool]) -> None:
        """Add changes of bans: True for a new one, False for one that was lifted."""
        for what, banned in changes.items():
            if self.bans.pop(what, None) is None:
                self.bans[what] = banned

    def take(self, most: int) -> "Unwritten":
        """Take changes out: those of bans all at once, those of the same group together.

        Args:
            most: Stop when there are so many groups and members.
        """
        taken = Unwritten()
        taken.bans, self.bans = self.bans, {}
        size = 0
        # One walk: a dict from which the first is taken again and again takes quadratic time.
        for group, there in self.by_group.items():
            if size >= most:
                break
            taken.by_group[group] = there
            size += 1 + len(there.members)
        for group in taken.by_group:
            del self.by_group[group]
        return taken

    def put_back(self, taken: "Unwritten") -> None:
        """Put back changes that `take` has returned. Changes noted since then come after them."""
        later_bans, self.bans = self.bans, taken.bans
        self.note_bans(later_bans)
        for group, there in taken.by_group.items():
            later = self.by_group.pop(group, None)
            self.by_group[group] = there
            if later is not None:
                self.note(_changes(group, later))

    def _of(self, group: str) -> GroupDifference:
        there = self.by_group.get(group)
        if there is None:
            there = self.by_group[group] = GroupDifference()
        return there


def _changes(group: str, there: GroupDifference) -> Iterator[GroupChange]:
    """The fewest changes that make up a difference."""
    if there.ended:
        yield GroupEnded(group)
    if there.creator is not None:
        yield GroupMade(group, there.creator, tuple(there.members))
        return
    for member, is_new in there.members.items():
        yield MemberAdded(group, member) if is_new else MemberLeft(group, member)
