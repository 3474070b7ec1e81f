"""Which side may send what, and which state follows: all of it in one table."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from .errors import ErrorCode
from .events import (
    Broadcast,
    ConnectionClosed,
    Event,
    Group,
    Leave,
    Login,
    Logout,
    Receive,
    Send,
)


class Role(Enum):
    """Which end of a connection this is."""

    CLIENT = "client"
    """The end that logs in."""
    SERVER = "server"
    """The end that delivers."""

    @property
    def peer(self) -> "Role":
        """The other end's role."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class State(Enum):
    """How far a connection has come. Both ends go through the same states."""

    ANONYMOUS = "anonymous"
    """No LOGIN has passed yet."""
    LOGGED_IN = "logged in"
    """A LOGIN has passed. Only the server's hub knows whether it has accepted the name: the
    protocol has no answer to LOGIN, and a state of the connection is one that both ends know."""
    CLOSED = "closed"
    """LOGOUT has passed, or the peer has closed. What the server sent before it read the LOGOUT
    still arrives."""


Row = Mapping[type[Event], State]


TRANSITIONS: Final[Mapping[State, Mapping[Role, Row]]] = {
    State.ANONYMOUS: {
        Role.CLIENT: {
            Login: State.LOGGED_IN,
            Logout: State.CLOSED,
            ConnectionClosed: State.CLOSED,
        },
        Role.SERVER: {
            Receive: State.ANONYMOUS,
            ConnectionClosed: State.CLOSED,
        },
    },
    State.LOGGED_IN: {
        Role.CLIENT: {
            Login: State.LOGGED_IN,
            Send: State.LOGGED_IN,
            Broadcast: State.LOGGED_IN,
            Group: State.LOGGED_IN,
            Leave: State.LOGGED_IN,
            Logout: State.CLOSED,
            ConnectionClosed: State.CLOSED,
        },
        Role.SERVER: {
            Receive: State.LOGGED_IN,
            ConnectionClosed: State.CLOSED,
        },
    },
    State.CLOSED: {
        Role.CLIENT: {
            ConnectionClosed: State.CLOSED,
        },
        Role.SERVER: {
            Receive: State.CLOSED,
            ConnectionClosed: State.CLOSED,
        },
    },
}
"""The next state, by state, sender and event. Only what is listed is allowed."""


def objection(sender: Role, event: Event) -> tuple[ErrorCode, str]:
    """What is wrong with an event that the table does not allow now.

    Args:
        sender: The role of the side that sends it.
        event: The event.

    Returns:
        The code, and words for people.
    """
    if any(type(event) in rows[sender] for rows in TRANSITIONS.values()):
        return ErrorCode.NOT_LOGGED_IN, "log in first"
    return ErrorCode.WRONG_DIRECTION, f"a {sender.value} does not send that"
