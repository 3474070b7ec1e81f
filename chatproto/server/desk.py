"""What those who run a server can see and do while it runs."""

from dataclasses import dataclass
from typing import Any

from ..routing.groups import GroupRecord
from ..wire.codec import encode
from ..wire.events import Receive
from ..wire.line_buffer import has_long_line
from ..wire.names import SERVER_NAME, check_name, is_reserved
from .bans import describe_ban
from .dispatcher import Dispatcher
from .notices import check_text
from .peer import Peer, Phase, Waiting


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A connection of this server."""

    connection: int
    """Its number, as in the log."""

    peer: str
    """Where it comes from: `192.0.2.1:49152`, `[2001:db8::1]:49152`, `unix`."""

    name: str | None
    """The name that it is logged in under; None before LOGIN."""

    queued: int
    """Bytes that are queued for it."""

    is_waiting: bool
    """Whether the server keeps it waiting, so that it executes nothing from it now."""

    is_closing: bool
    """Whether it is being closed."""


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A user who is online."""

    name: str
    """The user's name."""

    connections: tuple[int, ...]
    """The numbers of the user's connections to this server."""

    nodes: tuple[str, ...]
    """The other nodes of a cluster that the user is connected to, once for each connection."""


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A group."""

    group: str
    """Its name."""

    creator: str
    """The name of the user who made it."""

    members: tuple[str, ...]
    """The names of its members, online or not."""


class Desk:
    """What those who run a server can see and do. What they do is in the log.

    Get it from `ChatBroker.desk`.
    """

    def __init__(self, dispatcher: Dispatcher, operator: str | None = None) -> None:
        self._dispatcher = dispatcher
        self._operator = operator

    def used_by(self, operator: str) -> "Desk":
        """The same desk. The lines in the log about what it does name who has done it.

        Args:
            operator: The name of one of those who run the server.
        """
        return Desk(self._dispatcher, operator)

    # To look

    def connections(self) -> list[ConnectionInfo]:
        """The connections of this server, the oldest first."""
        hub = self._dispatcher.hub
        return [
            ConnectionInfo(
                peer.number,
                peer.origin,
                hub.name_of(peer),
                peer.queued_bytes,
                peer.waiting is not Waiting.NOTHING,
                peer.phase is not Phase.OPEN,
            )
            for peer in list(self._dispatcher.by_id.values())
        ]

    def users(self) -> list[UserInfo]:
        """The users who are online, on any node, in the order of their names."""
        users = []
        for name, connections in sorted(self._dispatcher.hub.registered.items()):
            local = tuple(each.number for each in connections if type(each) is Peer)
            others: list[Any] = [each for each in connections if type(each) is not Peer]
            nodes = tuple(each.node.id for each in others)
            users.append(UserInfo(name, local, nodes))
        return users

    def groups(self) -> list[GroupInfo]:
        """The groups, in the order of their names."""
        records = self._dispatcher.hub.table.records()
        return [
            GroupInfo(name, record.creator, tuple(record.members))
            for name, record in sorted(records.items())
        ]

    def bans(self) -> list[str]:
        """The names, addresses and networks that are banned."""
        return self._dispatcher.bans.all()

    # To act

    def tell(self, to: str, data: bytes, sender: str = SERVER_NAME) -> int:
        """Send a message to a user or to the members of a group.

        Args:
            to: The user's name; or `#` and the group's name.
            data: The message.
            sender: The reserved name that it comes from.

        Returns:
            How many connections get it.

        Raises:
            ValueError: The sender's name is not reserved, or the line is too long.
            LookupError: There is no such group.
            LocalProtocolError: No line can hold the names or the data.
        """
        if not is_reserved(sender):
            raise ValueError(f"{sender!r} is no reserved name: begin it with *")
        hub = self._dispatcher.hub
        recipients: tuple[Any, ...]
        if to.startswith("#") and not (recipients := hub.recipients(to)):
            members = self._record(to[1:]).members
            recipients = tuple([cid for name in members for cid in hub.recipients(name)])
        else:
            recipients = hub.recipients(to)
        line = encode(Receive(sender, data))
        if has_long_line(line, self._dispatcher.limits.max_line):
            raise ValueError("the line would be too long for its recipients")
        told = self._dispatcher.tell(recipients, line)
        self._log(f"told {to}, connections: {told}")
        return told

    def kick(self, name: str, text: str = "") -> int:
        """End all connections under a name, once what is queued for them is written.

        Args:
            name: The name.
            text: The last words that they read, for people; empty for the usual words.

        Returns:
            How many end.

        Raises:
            LocalProtocolError: No line can hold the text.
        """
        check_text(text)
        ended = self._dispatcher.kick(name, text)
        self._log(f"kicked {name}, connections: {ended}")
        return ended

    def ban(self, what: str, text: str = "") -> int:
        """Ban a name, an address or a network, and end its connections to this server.

        Args:
            what: A name, an IP address, or a network such as `192.0.2.0/24`.
            text: The last words that they read, for people; empty for the usual words.

        Returns:
            How many connections there were.

        Raises:
            ValueError: It is none of these.
            LocalProtocolError: No line can hold the text.
        """
        check_text(text)
        self._log(f"banned {describe_ban(what)}")
        return self._dispatcher.ban(what, text)

    def unban(self, what: str) -> bool:
        """Lift a ban.

        Returns:
            Whether there was one.

        Raises:
            ValueError: It is no name, address or network.
        """
        found = self._dispatcher.unban(what)
        if found:
            self._log(f"unbanned {describe_ban(what)}")
        return found

    def add_member(self, group: str, member: str) -> None:
        """Add a user to a group. In a cluster, this is done when all nodes know of it.

        Raises:
            LookupError: There is no such group.
            ValueError: The group has room for no more, or the name may not be a member.
            LocalProtocolError: The name is none.
        """
        check_name(member)
        if is_reserved(member):
            raise ValueError(f"{member} is a reserved name")
        if member not in self._record(group).members:
            text = self._dispatcher.add_member(group, member)
            if text:
                raise ValueError(text)
            self._log(f"added {member} to {group}")

    def remove_member(self, group: str, member: str) -> None:
        """Remove a user from a group; the last one ends it.

        Raises:
            LookupError: There is no such group, or the user is not in it.
        """
        if member not in self._record(group).members:
            raise LookupError(f"{member} is not in {group}")
        self._dispatcher.remove_member(group, member)
        self._log(f"removed {member} from {group}")

    def note(self, text: str) -> None:
        """Log what those who run the server have done with it in other ways.

        Args:
            text: What they have done, in words.
        """
        self._log(text)

    def _record(self, group: str) -> GroupRecord[Any]:
        record = self._dispatcher.hub.table.get(group)
        if record is None:
            raise LookupError(f"there is no group {group}")
        return record

    def _log(self, text: str) -> None:
        self._dispatcher.log.operator(text, self._operator)
