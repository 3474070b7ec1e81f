"""Who is who, and who gets what."""

from collections.abc import Iterable, Mapping
from typing import Final, Generic, assert_never
from unicodedata import normalize

from ..wire.codec import is_for_server
from ..wire.errors import ErrorCode
from ..wire.events import (
    Broadcast,
    ConnectionClosed,
    Event,
    Group,
    Invalid,
    Leave,
    Login,
    Logout,
    Receive,
    Send,
    unchecked,
)
from ..wire.names import GROUPS_NAME, is_reserved
from ..wire.states import Role, objection
from .actions import Action, ConnectionId, Deliver, Disconnect, Expire, Refuse
from .changes import GroupChange, GroupMade
from .groups import Groups
from .limits import GroupLimits
from .policy import Broadcasting, DuplicateLogin, NameRule, Policy
from .services import GroupServices


class ChatHub(Generic[ConnectionId]):
    """The routing of CHAT/1.0 (protocol.md, section 2): events in, actions out.

    The work for a message grows with its recipients only (for a broadcast: with the group's
    members, online or not). Other connections, users and groups add nothing to it. Groups outlive
    the connections of their members, as the protocol says; all else ends with the connection.

    Args:
        policy: The choices that the protocol leaves open.
        limits: The bounds on groups.
    """

    def __init__(self, policy: Policy = Policy(), limits: GroupLimits = GroupLimits()) -> None:
        self._policy = policy
        self._limits = limits
        self._names: dict[ConnectionId, str | None] = {}
        # The networks of connections that have one.
        self._networks: dict[ConnectionId, str] = {}
        # The last names of connections that have ended and are not forgotten yet.
        self._ended: dict[ConnectionId, str | None] = {}
        # The connections that are logged in under each name. In one order, so that messages go out
        # in the same order each time.
        self._registered: dict[str, tuple[ConnectionId, ...]] = {}
        self.online: Mapping[str, tuple[ConnectionId, ...]] = self._registered
        """The connections of each name to which messages may go without a closer look. They are all
        that are logged in, unless other servers have connections too."""
        # Those of them that are registered, but to which nothing goes any more. Only a hub that is
        # replicated has them.
        self._leaving: dict[ConnectionId, bool] = {}
        # The names online by their folded form, with NameRule.DISTINCT only. One form may have
        # several names, which were online when the rule began.
        self._folded: dict[str, dict[str, None]] = {}
        self._groups: Groups[ConnectionId] = Groups(limits, self._registered.keys())
        self._services: GroupServices[ConnectionId] = GroupServices(self._groups, self.recipients)
        self.labelled: Mapping[ConnectionId, None] = self._services.labelled
        """The connections that want to know which group a message comes from."""

    @property
    def users(self) -> int:
        """How many names are online."""
        return len(self._registered)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    @property
    def registered(self) -> Mapping[str, tuple[ConnectionId, ...]]:
        """All connections that are logged in, by name; do not change it."""
        return self._registered

    @property
    def table(self) -> Groups[ConnectionId]:
        """The groups; do not change them."""
        return self._groups

    @property
    def answers_requests(self) -> bool:
        """Whether the policy allows answers to requests to `*groups*` (protocol.md, section 5)."""
        return self._policy.services

    @property
    def looked_up(self) -> int:
        """How many names have been looked up so far to find room for new groups."""
        return self._groups.looked_up

    def reconfigure(self, policy: Policy, limits: GroupLimits) -> None:
        """Use other choices and bounds from now on. Nobody loses a name, a group or its labels.

        Args:
            policy: The choices that the protocol leaves open.
            limits: The bounds on groups and names.
        """
        if policy.names is not self._policy.names:
            self._folded = {}
            for name in self._registered if policy.names is NameRule.DISTINCT else ():
                self._folded.setdefault(_fold(name), {})[name] = None
        self._policy = policy
        self._limits = limits
        self._groups.reconfigure(limits)

    def name_of(self, cid: ConnectionId) -> str | None:
        """The name that a connection has, or had when it ended; None if it has not logged in.

        Raises:
            KeyError: There is no such connection.
        """
        return self._names[cid] if cid in self._names else self._ended[cid]

    def connect(self, cid: ConnectionId, network: str = "") -> None:
        """Add a connection, anonymous at first.

        Args:
            cid: Its id until `disconnect`.
            network: The network that its groups count with; empty for none.

        Raises:
            ValueError: There is such a connection already.
        """
        if cid in self._names or cid in self._ended:
            raise ValueError(f"{cid!r} is connected already")
        self._names[cid] = None
        if network:
            self._networks[cid] = network

    def end(self, cid: ConnectionId) -> None:
        """Stop routing to and from a connection, if it has not ended already.

        `handle` does it for each `Disconnect` that it returns.
        """
        if cid in self._names:
            self._end(cid)

    def _end(self, cid: ConnectionId) -> None:
        self._ended[cid] = name = self._names.pop(cid)
        self._networks.pop(cid, None)
        self._services.labelled.pop(cid, None)
        self._groups.forget_maker(cid)
        if name is not None:
            self._leave_name(cid, name)

    def disconnect(self, cid: ConnectionId) -> None:
        """Forget a connection that is gone, if it is known."""
        self.end(cid)
        self._ended.pop(cid, None)

    def handle(
        self, cid: ConnectionId, event: Event, *, again: bool = False
    ) -> list[Action[ConnectionId]]:
        """Decide what follows from an event.

        Args:
            cid: The connection that it comes from.
            event: Any event that a server's `ChatConnection` returns.
            again: Whether the event was handled before, and some recipients of a `Deliver` still
                wait for it. Then the hub accepts the event and changes nothing.

        Returns:
            What to do now, in order. Empty when all is well and nobody needs to be told.

        Raises:
            KeyError: There is no such connection, or it has ended.
        """
        name = self._names[cid]
        # The most frequent ones come first: each case that does not match costs a little.
        match event:
            case Send() if name is not None:
                return self._send(cid, name, event, again)
            case Broadcast() if name is not None:
                return self._broadcast(cid, name, event, again)
            case Group() if name is not None:
                return self._make_group(cid, name, event)
            case Leave() if name is not None:
                return self._leave_group(cid, name, event)
            # The server never answers a message to itself, even a wrong one. Otherwise it would go
            # on for ever with a bot that replies to notices.
            case Send(to=recipient) | Broadcast(group=recipient) if is_reserved(recipient):
                return []
            case Invalid(line=line) if is_for_server(line):
                return []
            case Send() | Broadcast() | Group() | Leave() | Receive():
                return [Refuse(cid, *objection(Role.CLIENT, event))]
            case Login():
                return self._login(cid, name, event.name)
            case Logout() | ConnectionClosed():
                self.end(cid)
                return [Disconnect(cid, None)]
            case Invalid():
                return [Refuse(cid, event.code, event.text)]
            case _:
                assert_never(event)

    def restore(self, groups: Iterable[GroupMade]) -> None:
        """Add groups that existed before this hub.

        Raises:
            ValueError: There is a group of one of these names already.
        """
        for each in groups:
            self._groups.restore(each)

    def add_member(self, group: str, member: str) -> tuple[str, list[str]]:
        """Add a user to a group that exists, without asking who may do that.

        Returns:
            Why there is no room for one more, in words for people, or an empty string; and the
            names of the groups that have given way.
        """
        if member in self._groups.members(group):
            return "", []
        return self._groups.add(group, member)

    def remove_member(self, group: str, member: str) -> None:
        """Remove a user from a group, if the user is in it. The last one ends it."""
        if member in self._groups.members(group):
            self._groups.leave(group, member)

    def note_changes(self) -> None:
        """From now on, note each change of a group for `take_changes`."""
        self._groups.changes = []

    def take_changes(self) -> list[GroupChange]:
        """The changes of groups since the last call, in order; none without `note_changes`."""
        changes = self._groups.changes
        if changes:
            self._groups.changes = []
        return changes or []

    def audience(
        self, cid: ConnectionId, group: str, *, again: bool = False
    ) -> tuple[ConnectionId, ...] | Refuse[ConnectionId]:
        """The recipients of a BROADCAST from a connection that is logged in.

        Args:
            cid: The connection.
            group: The group's name.
            again: Whether some of them have it already. Then the hub accepts it.

        Returns:
            The recipients' connections, or a refusal if the connection may not broadcast there.
            There are no recipients if no other member is online, or if it is for the server.
        """
        there = self._groups.get(group)
        if there is None:
            return () if again or is_reserved(group) else _no_such_group(cid, group)
        name = self._names[cid]
        is_member = name in there.members
        if not (
            is_member
            or again
            or name == there.creator
            or self._policy.broadcasting is Broadcasting.ANYONE
        ):
            return _not_a_member(cid, group)
        registered = self._registered
        audience: list[ConnectionId] = []
        for member in there.members:
            audience += registered.get(member, ())
        if is_member:
            audience.remove(cid)
        if self._leaving:
            return tuple([each for each in audience if each not in self._leaving])
        return tuple(audience)

    def recipients(self, name: str) -> tuple[ConnectionId, ...]:
        """The connections that a message to a user goes to; none when the user is not online."""
        registered = self._registered.get(name, ())
        if self._leaving:
            return tuple([each for each in registered if each not in self._leaving])
        return registered

    def members(self, group: str) -> int:
        """How many members a group has, online or not; 0 when it does not exist."""
        there = self._groups.get(group)
        return 0 if there is None else len(there.members)

    def _send(
        self, cid: ConnectionId, name: str, event: Send, again: bool
    ) -> list[Action[ConnectionId]]:
        connections = self.recipients(event.to)
        if connections or (again and not is_reserved(event.to)):
            return [Deliver(connections, _new_receive(name, event.data))]
        if is_reserved(event.to):
            if event.to != GROUPS_NAME or not self.answers_requests:
                return []
            return self._services.handle(cid, name, event.data, self._policy, again=again)
        return [Refuse(cid, ErrorCode.NO_SUCH_USER, f"{event.to} is not online")]

    def _broadcast(
        self, cid: ConnectionId, name: str, event: Broadcast, again: bool
    ) -> list[Action[ConnectionId]]:
        audience = self.audience(cid, event.group, again=again)
        if isinstance(audience, Refuse):
            return [audience]
        if not (audience or again):
            return []
        return [Deliver(audience, _new_receive(name, event.data), event.group)]

    def _make_group(self, cid: ConnectionId, name: str, event: Group) -> list[Action[ConnectionId]]:
        if self._policy.names.forbids(event.name, *event.members):
            return [Refuse(cid, ErrorCode.BAD_NAME, _HIDDEN)]
        if self._groups.get(event.name) is not None:
            return [Refuse(cid, ErrorCode.GROUP_EXISTS, f"there is a group {event.name} already")]
        network = self._networks.get(cid, "")
        text, expired = self._groups.make(event.name, event.members, name, cid, network)
        actions: list[Action[ConnectionId]] = [Expire(group) for group in expired]
        if text:
            actions.append(Refuse(cid, ErrorCode.TOO_MANY, text))
        return actions

    def _leave_group(
        self, cid: ConnectionId, name: str, event: Leave
    ) -> list[Action[ConnectionId]]:
        group = self._groups.get(event.group)
        if group is None:
            return [_no_such_group(cid, event.group)]
        if name not in group.members:
            return [_not_a_member(cid, event.group)]
        self._groups.leave(event.group, name)
        return []

    def _login(
        self, cid: ConnectionId, name: str | None, new_name: str
    ) -> list[Action[ConnectionId]]:
        if new_name == name:
            return []
        if self._policy.names.forbids(new_name):
            return [Refuse(cid, ErrorCode.BAD_NAME, _HIDDEN)]
        if self._policy.names is NameRule.DISTINCT and is_reserved(_fold(new_name)):
            text = "the name looks much the same as names that are reserved"
            return [Refuse(cid, ErrorCode.NAME_RESERVED, text)]
        lookalike = self._lookalike(cid, new_name)
        if lookalike:
            text = f"{lookalike} is logged in already, and looks much the same"
            return [Refuse(cid, ErrorCode.NAME_IN_USE, text)]
        actions: list[Action[ConnectionId]] = []
        others = self._registered.get(new_name, ())
        if (
            len(others) >= self._limits.max_connections_per_name
            and self._policy.duplicate_login is DuplicateLogin.SHARE
        ):
            many = "once" if len(others) == 1 else f"{len(others)} times"
            text = f"{new_name} is logged in {many} already"
            return [Refuse(cid, ErrorCode.TOO_MANY, text)]
        if others and self._policy.duplicate_login is DuplicateLogin.REJECT:
            return [Refuse(cid, ErrorCode.NAME_IN_USE, f"{new_name} is logged in already")]
        if others and self._policy.duplicate_login is DuplicateLogin.REPLACE:
            for other in others:
                self._end(other)
                actions.append(Disconnect(other, ErrorCode.NAME_IN_USE))
        if name is not None:
            self._leave_name(cid, name)
        self._names[cid] = new_name
        self._enter_name(cid, new_name)
        return actions

    def _lookalike(self, cid: ConnectionId, name: str) -> str:
        """Who is online under a name that the policy takes for the same; empty for nobody."""
        if self._policy.names is not NameRule.DISTINCT:
            return ""
        for other in self._folded.get(_fold(name), ()):
            # A connection may change the case of its own name.
            if other != name and self._registered[other] != (cid,):
                return other
        return ""

    def _enter_name(self, cid: ConnectionId, name: str) -> None:
        self._registered[name] = (*self._registered.get(name, ()), cid)
        if self._policy.names is NameRule.DISTINCT:
            self._folded.setdefault(_fold(name), {})[name] = None

    def _leave_name(self, cid: ConnectionId, name: str) -> None:
        connections = tuple([each for each in self._registered[name] if each != cid])
        if connections:
            self._registered[name] = connections
        else:
            del self._registered[name]
            if self._policy.names is NameRule.DISTINCT:
                folded = _fold(name)
                del self._folded[folded][name]
                if not self._folded[folded]:
                    del self._folded[folded]


_HIDDEN: Final = "the name has characters that nobody can see"


def _fold(name: str) -> str:
    """The folded form of a name: the same for names such as `bob` and `BOB`."""
    # Decomposed, because the case of a mark counts too (The Unicode Standard, D145).
    return normalize("NFKC", normalize("NFKD", name).casefold())


def _no_such_group(cid: ConnectionId, group: str) -> Refuse[ConnectionId]:
    return Refuse(cid, ErrorCode.NO_SUCH_GROUP, f"there is no group {group}")


def _not_a_member(cid: ConnectionId, group: str) -> Refuse[ConnectionId]:
    return Refuse(cid, ErrorCode.NOT_A_MEMBER, f"you are not a member of {group}")


# Its values were checked before.
_new_receive = unchecked(Receive)
