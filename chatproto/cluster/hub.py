"""The routing of a node: a hub that changes only as the ledger says."""

from collections.abc import Container, Mapping
from typing import Any

from ..routing.hub import ChatHub
from ..routing.limits import GroupLimits
from ..routing.policy import Policy
from ..routing.services import parse_request
from ..wire.events import Event, Group, Leave, Login, Send
from ..wire.names import GROUPS_NAME
from .nodes import Remote


class ReplicatedHub(ChatHub[Any]):
    """A hub that is equal on all nodes once they have applied the same entries of the ledger.

    Local connections are known by their `Peer`, those of other nodes by a `Remote`. When a local
    connection ends, messages to it stop at once. But it keeps its name until the ledger says that
    it is gone, because the others decide by that name until then.

    Args:
        policy: The choices that the protocol leaves open, the same on all nodes.
        limits: The bounds on groups, the same on all nodes.
        known: The local connections that the other nodes know.
    """

    def __init__(self, policy: Policy, limits: GroupLimits, known: Container[Any]) -> None:
        super().__init__(policy, limits)
        self._known = known
        # The fast path may deliver to names that only local connections have.
        self._local: dict[str, tuple[Any, ...]] = {}
        self.online: Mapping[str, tuple[Any, ...]] = self._local
        self.remotes: int = 0
        """How many connections of other nodes are logged in."""

    def decides_alone(self, cid: Any, event: Event) -> bool:
        """Whether the outcome of an event depends on nothing that other nodes do meanwhile."""
        name = self._names[cid]
        forbids = self._policy.names.forbids
        match event:
            case Login(new_name):
                return new_name == name or forbids(new_name)
            case Group(group, members):
                return name is None or forbids(group, *members)
            case Leave():
                return name is None
            case Send(to, data) if name is not None and to == GROUPS_NAME:
                return not (self.answers_requests and parse_request(data))
            case _:
                return True

    @staticmethod
    def is_query(event: Event) -> bool:
        """Whether an event that the hub does not decide alone changes nothing."""
        return type(event) is Send and parse_request(event.data)[0] in ("list", "members")

    def end(self, cid: Any) -> None:
        """Stop routing to a connection. It keeps its name until `depart`, if others know it."""
        if cid not in self._known or cid not in self._names:
            super().end(cid)
        elif cid not in self._leaving:
            self._leaving[cid] = False
            self._route(self._names[cid])

    def disconnect(self, cid: Any) -> None:
        """Forget a connection that is gone; if others know it, after `depart`."""
        self.end(cid)
        if cid in self._leaving:
            self._leaving[cid] = True
        else:
            self._ended.pop(cid, None)

    def depart(self, cid: Any) -> None:
        """Take a connection off its name: the ledger says that it is gone."""
        self._end(cid)

    def reset(self) -> None:
        """Forget all groups, and the connections of other nodes."""
        for cid in [each for each in self._names if type(each) is Remote]:
            super().disconnect(cid)
        self.table.clear()

    def networks(self) -> Mapping[Any, str]:
        """The networks of connections that have one."""
        return self._networks

    def restore_user(self, cid: Remote, network: str, name: str, *, labelled: bool) -> None:
        """Add a connection of another hub that is logged in."""
        self.connect(cid, network)
        self._names[cid] = name
        self._enter_name(cid, name)
        if labelled:
            self._services.labelled[cid] = None

    def _end(self, cid: Any) -> None:
        gone = self._leaving.pop(cid, False)
        super()._end(cid)
        if gone:
            del self._ended[cid]

    def _enter_name(self, cid: Any, name: str) -> None:
        super()._enter_name(cid, name)
        self.remotes += type(cid) is Remote
        self._route(name)

    def _leave_name(self, cid: Any, name: str) -> None:
        super()._leave_name(cid, name)
        self.remotes -= type(cid) is Remote
        self._route(name)

    def _route(self, name: str | None) -> None:
        """Find out anew whether the fast path may deliver to a name."""
        if name is None:
            return
        recipients = self.recipients(name)
        if recipients and Remote not in map(type, recipients):
            self._local[name] = recipients
        else:
            self._local.pop(name, None)
