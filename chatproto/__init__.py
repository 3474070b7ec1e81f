"""CHAT/1.0 without I/O: the codec, one link's state, the routing, and a whole server's decisions.

Nothing in this package opens a socket, reads a clock, logs or starts a thread. Bytes and times go
in, events and bytes come out. `chatproto_sync` and `chatproto_anyio` carry them.

What the codec has no use for is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__
from .wire.connection import ChatConnection
from .wire.errors import (
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    ProtocolError,
    RemoteProtocolError,
)
from .wire.events import (
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
from .wire.limits import Limits
from .wire.names import NAME_MAX, SERVER_NAME
from .wire.states import TRANSITIONS, Role, State

if TYPE_CHECKING:
    from .client.messages import Message, Notice, Reconnected
    from .client.ping import Echo
    from .client.reconnect import Backoff
    from .client.session import ChatSession
    from .routing.actions import Action, ConnectionId, Deliver, Disconnect, Refuse
    from .routing.hub import ChatHub
    from .routing.policy import Broadcasting, DuplicateLogin, Policy
    from .server.broker import ChatBroker
    from .server.log_events import CloseReason, Counters, Happening, Record, visible
    from .server.logins import Credentials, LoginRequest, Question
else:
    # The same for an interpreter: 13 of 28 ms that importing everything takes.
    _LATER = {
        "Action": "routing.actions",
        "Backoff": "client.reconnect",
        "Broadcasting": "routing.policy",
        "ChatBroker": "server.broker",
        "ChatHub": "routing.hub",
        "ChatSession": "client.session",
        "CloseReason": "server.log_events",
        "ConnectionId": "routing.actions",
        "Counters": "server.log_events",
        "Credentials": "server.logins",
        "Deliver": "routing.actions",
        "Disconnect": "routing.actions",
        "DuplicateLogin": "routing.policy",
        "Echo": "client.ping",
        "Happening": "server.log_events",
        "LoginRequest": "server.logins",
        "Message": "client.messages",
        "Notice": "client.messages",
        "Policy": "routing.policy",
        "Question": "server.logins",
        "Reconnected": "client.messages",
        "Record": "server.log_events",
        "Refuse": "routing.actions",
        "visible": "server.log_events",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_LATER[name]}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted(globals().keys() | _LATER.keys())


__all__ = [
    "NAME_MAX",
    "SERVER_NAME",
    "TRANSITIONS",
    "Action",
    "Backoff",
    "Broadcast",
    "Broadcasting",
    "ChatBroker",
    "ChatConnection",
    "ChatHub",
    "ChatProtocolError",
    "ChatSession",
    "ChatTimeoutError",
    "CloseReason",
    "Command",
    "ConnectionClosed",
    "ConnectionId",
    "ConnectionLostError",
    "Counters",
    "Credentials",
    "Deliver",
    "Disconnect",
    "DuplicateLogin",
    "Echo",
    "ErrorCode",
    "Event",
    "Group",
    "Happening",
    "Invalid",
    "Leave",
    "Limits",
    "LocalProtocolError",
    "Login",
    "LoginRefusedError",
    "LoginRequest",
    "Logout",
    "Message",
    "Notice",
    "Policy",
    "ProtocolError",
    "Question",
    "Receive",
    "Reconnected",
    "Record",
    "Refuse",
    "RemoteProtocolError",
    "Role",
    "Send",
    "State",
    "__version__",
    "visible",
]
