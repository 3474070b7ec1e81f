"""The service for groups behind the reserved name `*groups*` (protocol.md, section 5).

Theory of operation
===================

CHAT/1.0 has no command to ask which group a message comes from or who is in a group, nor to add
somebody. A client asks with a SEND to a reserved name, which needs no new command. Servers that do
not know this name drop the SEND in silence. Nobody else can answer, because nobody can log in under
that name.

A request of another form is dropped too. `added`, the only message that comes to somebody who has
not asked, has another form. So a program that sends everything back starts no loop here.
"""

from collections.abc import Callable, Collection
from typing import Final, Generic

from ..wire.errors import ErrorCode, LocalProtocolError
from ..wire.events import Receive
from ..wire.names import GROUPS_NAME, check_name, is_reserved
from .actions import Action, Answer, ConnectionId, Deliver, Expire, Joined
from .groups import GroupRecord, Groups
from .policy import Adding, Policy

_WORDS: Final = {"on": 1, "off": 1, "list": 1, "members": 2, "add": 3}
"""The requests, and how many words each has."""

MOST_WORDS: Final = max(_WORDS.values())
"""Words of the longest request."""


class GroupServices(Generic[ConnectionId]):
    """Answers requests about groups, and knows who has asked for labels.

    Args:
        groups: The groups.
        recipients: Gives the connections that are online under a name.
    """

    def __init__(
        self,
        groups: Groups[ConnectionId],
        recipients: Callable[[str], Collection[ConnectionId]],
    ) -> None:
        self._groups = groups
        self._recipients = recipients
        self.labelled: dict[ConnectionId, None] = {}
        """The connections that want to know which group a message comes from."""

    def handle(
        self, cid: ConnectionId, name: str, data: bytes, policy: Policy, *, again: bool
    ) -> list[Action[ConnectionId]]:
        """Answer a request.

        Args:
            cid: The connection that it comes from.
            name: The name that this connection is logged in under.
            data: The request.
            policy: Who may add members to a group, and which names they may have.
            again: Whether it was executed before, and some recipients still wait for the answer.

        Returns:
            What to do; an empty list if it is not a request.
        """
        match parse_request(data):
            case ["on"]:
                self.labelled[cid] = None
                return [Answer(cid, "on", ())]
            case ["off"]:
                self.labelled.pop(cid, None)
                return [Answer(cid, "off", ())]
            case ["list"]:
                return [Answer(cid, "list", tuple(self._groups.of(name)))]
            case ["members", group]:
                return [self._members(cid, name, group)]
            case ["add", group, member] if again:
                # The member may have left meanwhile. Then the addition is not reported.
                record = self._groups.get(group)
                is_member = record is not None and member in record.members
                return [self._added(cid, name, group, member)] if is_member else []
            case ["add", group, member]:
                return self._add(cid, name, group, member, policy)
            case _:
                return []

    def _members(self, cid: ConnectionId, name: str, group: str) -> Answer[ConnectionId]:
        record = self._known(name, group)
        if record is None:
            return _refused(cid, ErrorCode.NO_SUCH_GROUP, "members", group)
        return Answer(cid, f"members {group}", tuple(record.members))

    def _add(
        self, cid: ConnectionId, name: str, group: str, member: str, policy: Policy
    ) -> list[Action[ConnectionId]]:
        record, adding = self._known(name, group), policy.adding
        code: ErrorCode | None = None
        expired: list[str] = []
        is_new = record is not None and member not in record.members
        if record is None:
            code = ErrorCode.NO_SUCH_GROUP
        elif adding is Adding.NOBODY or (adding is Adding.CREATOR and name != record.creator):
            code = ErrorCode.NOT_ALLOWED
        elif is_reserved(member):
            code = ErrorCode.NAME_RESERVED
        elif policy.names.forbids(member):
            code = ErrorCode.BAD_NAME
        elif is_new:
            text, expired = self._groups.add(group, member)
            code = ErrorCode.TOO_MANY if text else None
        actions: list[Action[ConnectionId]] = [Expire(each) for each in expired]
        if code is not None:
            actions.append(_refused(cid, code, "add", group, member))
            return actions
        if is_new:
            actions.append(Joined(group, member))
        actions.append(self._added(cid, name, group, member))
        return actions

    def _added(
        self, cid: ConnectionId, name: str, group: str, member: str
    ) -> Deliver[ConnectionId]:
        """Tell the connection that asked, and the new member."""
        text = f"added {group} {member} {name}"
        to = tuple(dict.fromkeys([cid, *self._recipients(member)]))
        return Deliver(to, Receive(GROUPS_NAME, text.encode()))

    def _known(self, name: str, group: str) -> GroupRecord[ConnectionId] | None:
        """A group, if the user is in it or has made it; otherwise None, as if it did not exist."""
        record = self._groups.get(group)
        if record is not None and (name in record.members or name == record.creator):
            return record
        return None


def parse_request(data: bytes) -> list[str]:
    """The words of a request; an empty list when it is none."""
    try:
        # The longest request has this many words. To split all of a long line would take a thousand
        # times as long.
        words = data.decode().split(" ", MOST_WORDS)
        for each in words:
            check_name(each)
    except (UnicodeDecodeError, LocalProtocolError):
        return []
    return words if _WORDS.get(words[0]) == len(words) else []


def _refused(cid: ConnectionId, code: ErrorCode, *words: str) -> Answer[ConnectionId]:
    return Answer(cid, f"refused {code} {' '.join(words)}", ())
