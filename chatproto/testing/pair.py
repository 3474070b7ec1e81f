"""Both ends of a connection with nothing between them."""

from ..wire.connection import ChatConnection
from ..wire.events import Command, Event
from ..wire.limits import LineLimits
from ..wire.states import Role


class ConnectionPair:
    """Both ends of one connection, with nothing between them.

    Args:
        limits: The limits of both ends.
    """

    __slots__ = ("client", "server")

    def __init__(self, limits: LineLimits = LineLimits()) -> None:
        self.client: ChatConnection = ChatConnection(Role.CLIENT, limits)
        """The end that logs in."""
        self.server: ChatConnection = ChatConnection(Role.SERVER, limits)
        """The end that delivers."""

    def send(self, role: Role, event: Command) -> list[Event]:
        """Send an event from one end to the other.

        Args:
            role: Which end sends.
            event: What it sends.

        Returns:
            The events that the other end receives.

        Raises:
            LocalProtocolError: The end may not send that now. The other end has received nothing.
        """
        if role is Role.CLIENT:
            return self.server.receive_data(self.client.send(event))
        return self.client.receive_data(self.server.send(event))
