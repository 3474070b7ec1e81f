"""What a dispatcher asks of the cluster that its server is a node of."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..routing.actions import Action
from ..routing.hub import ChatHub
from ..routing.policy import Policy
from ..wire.events import Event
from .flow_control import FlowControl
from .limits import Limits
from .peer import Peer

if TYPE_CHECKING:
    from .dispatcher import Dispatcher


class Proposal(Enum):
    """How an event is executed."""

    LOCAL = auto()
    """The hub of this node handles it alone, now."""

    WAITING = auto()
    """All nodes handle it. The connection waits for `Replication.take_outcome`."""

    UNAVAILABLE = auto()
    """Not at all: the other nodes can't be reached."""


class Outcome(NamedTuple):
    """The result of an event that had to wait for the other nodes."""

    actions: Sequence[Action[Any]] | None
    """What the hub decided. None if it is to decide now, when it knows all that came before."""

    name: str | None
    """The name that the connection had before."""


class Replication(Protocol):
    """A cluster, as the dispatcher of one of its nodes sees it.

    The hub of such a dispatcher also routes to connections of other nodes. They are no `Peer`.
    """

    @property
    def reachable(self) -> bool:
        """Whether messages to other nodes are accepted."""
        ...

    def new_hub(self, policy: Policy, limits: Limits) -> ChatHub[Any]:
        """The hub for the dispatcher."""
        ...

    def new_flow(self, limits: Limits, source: Callable[[Any], Hashable]) -> FlowControl[Any]:
        """The flow control for the dispatcher."""
        ...

    def attach(self, dispatcher: "Dispatcher") -> None:
        """Begin to work for a dispatcher, which is complete now."""
        ...

    def tick(self, now: float) -> None:
        """Advance the clock."""
        ...

    def propose(self, peer: Peer, event: Event) -> Proposal:
        """Have all nodes handle an event, if what comes of it depends on them."""
        ...

    def confirm(self, peer: Peer) -> Proposal:
        """Have a connection wait until the hub knows all that was done before, on any node."""
        ...

    def take_outcome(self, peer: Peer) -> Outcome | None:
        """What has come of the event that a connection waited for; None if it has not waited."""
        ...

    def forget(self, peer: Peer) -> None:
        """Forget what a connection waits for: it is being closed, or gone."""
        ...

    def check_config(self, policy: Policy, limits: Limits) -> None:
        """Check that all nodes would still agree.

        Raises:
            ValueError: They would not.
        """
        ...

    def split(self, to: Collection[Any]) -> tuple[Collection[Peer], Mapping[Any, list[Any]]]:
        """Divide recipients into local ones and those of each other node."""
        ...

    def has_room(self, remote: Mapping[Any, list[Any]]) -> bool:
        """Whether no sender has to wait for any of these recipients."""
        ...

    def send(
        self,
        remote: Mapping[Any, list[Any]],
        lines: bytes,
        sender: Peer | None = None,
        recipients: int = 0,
        group: str = "",
        before: int = 0,
    ) -> None:
        """Send lines to connections of other nodes.

        Args:
            remote: The recipients, as `split` gives them.
            lines: What each of them gets.
            sender: Whom to tell if nobody gets it; None for nobody.
            recipients: How many connections may get it: these, those of this node that have it or
                get it now, and those that the sender still waits for.
            group: The group that they were broadcast to; empty for messages to a user. Their own
                node gives it to those recipients who have asked for labels.
            before: How many connections the sender has waited for, if others have the message
                already; otherwise 0. Then `recipients` are those that are left of them.
        """
        ...

    def send_one(self, remote: Any, line: bytes, sender: Peer) -> bool:
        """Send a line to the one connection of a user, if nothing has to be waited for.

        Args:
            remote: The connection, which is on another node.
            line: What it gets.
            sender: Whom to tell if the connection does not get it.

        Returns:
            Whether it was sent.
        """
        ...

    def kick(self, remote: Any, text: str) -> None:
        """Have another node end one of its connections.

        Args:
            remote: The connection.
            text: Why, in words for people; empty for the usual words.
        """
        ...

    def command(self, line: str) -> None:
        """Have all nodes do something that no connection has asked for."""
        ...

    def released(self, waiter: Any) -> None:
        """Note that somebody who is no `Peer` need not wait for a queue any more."""
        ...
