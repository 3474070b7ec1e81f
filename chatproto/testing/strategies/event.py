"""Strategies for events."""

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ...wire.errors import ErrorCode
from ...wire.events import (
    Broadcast,
    Command,
    ConnectionClosed,
    Event,
    Group,
    Invalid,
    Leave,
    Login,
    Logout,
    Receive,
    Send,
)
from .name import names, reserved_names
from .payload import data

_ANY_NAME: Final = names() | reserved_names()

# One table for the strategies here, and for what `st.builds(Send)` is to know.
FIELDS: Final[dict[type[Any], dict[str, SearchStrategy[Any]]]] = {
    Login: {"name": names()},
    Send: {"to": _ANY_NAME, "data": data()},
    Broadcast: {"group": _ANY_NAME, "data": data()},
    Group: {"name": names(), "members": st.lists(names(), max_size=60)},
    Leave: {"group": _ANY_NAME},
    Receive: {"sender": _ANY_NAME, "data": data()},
    Invalid: {"code": st.sampled_from(ErrorCode), "line": data()},
}


def logins() -> SearchStrategy[Login]:
    """`Login` events."""
    return st.builds(Login, **FIELDS[Login])


def logouts() -> SearchStrategy[Logout]:
    """`Logout` events, which are all equal."""
    return st.builds(Logout)


def sends() -> SearchStrategy[Send]:
    """`Send` events, some of them to reserved names."""
    return st.builds(Send, **FIELDS[Send])


def broadcasts() -> SearchStrategy[Broadcast]:
    """`Broadcast` events, some of them to reserved names."""
    return st.builds(Broadcast, **FIELDS[Broadcast])


def groups() -> SearchStrategy[Group]:
    """`Group` events with few or many members, some of them named twice."""
    return st.builds(Group, **FIELDS[Group])


def leaves() -> SearchStrategy[Leave]:
    """`Leave` events, some of them of reserved names."""
    return st.builds(Leave, **FIELDS[Leave])


def receives() -> SearchStrategy[Receive]:
    """`Receive` events, from users and from the server."""
    return st.builds(Receive, **FIELDS[Receive])


def client_commands() -> SearchStrategy[Command]:
    """All events that a client may send."""
    return st.one_of(logins(), logouts(), sends(), broadcasts(), groups(), leaves())


def commands() -> SearchStrategy[Command]:
    """All events that travel as a line, in either direction."""
    return client_commands() | receives()


def short_commands() -> SearchStrategy[Command]:
    """The same with little data and few members, for what looks at the beginning of a line."""
    short: SearchStrategy[bytes] = data(20)
    return st.one_of(
        logins(),
        logouts(),
        *(st.builds(kind, _ANY_NAME, short) for kind in (Send, Broadcast, Receive)),
        st.builds(Group, names(), st.lists(names(), max_size=3)),
        leaves(),
    )


def events() -> SearchStrategy[Event]:
    """All events that `ChatConnection` returns, `Invalid` and `ConnectionClosed` included."""
    return commands() | st.builds(Invalid, **FIELDS[Invalid]) | st.builds(ConnectionClosed)
