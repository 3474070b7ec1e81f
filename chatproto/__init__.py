"""CHAT/1.0 without I/O: the codec, one link's state, the routing, and a whole server's decisions.

Nothing in this package opens a socket, reads a clock, logs or starts a thread. Bytes and times go
in, events and bytes come out. `chatproto_sync` and `chatproto_anyio` carry them.

What the codec has no use for is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._connection import ChatConnection
from ._errors import (
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    ProtocolError,
    RemoteProtocolError,
)
from ._events import (
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
from ._limits import Limits
from ._names import NAME_MAX, SERVER_NAME
from ._states import TRANSITIONS, Role, State
from ._version import __version__

if TYPE_CHECKING:
    from ._actions import Action, ConnectionId, Deliver, Disconnect, Refuse
    from ._backoff import Backoff
    from ._broker import ChatBroker
    from ._echo import Echo
    from ._hub import ChatHub
    from ._logins import Credentials, LoginRequest, Question
    from ._messages import Message, Notice, Reconnected
    from ._policy import Broadcasting, DuplicateLogin, Policy
    from ._records import CloseReason, Counters, Happening, Record, visible
    from ._session import ChatSession
else:
    # The same for an interpreter: 13 of 28 ms that importing everything takes.
    _LATER = {
        "Action": "_actions",
        "Backoff": "_backoff",
        "Broadcasting": "_policy",
        "ChatBroker": "_broker",
        "ChatHub": "_hub",
        "ChatSession": "_session",
        "CloseReason": "_records",
        "ConnectionId": "_actions",
        "Counters": "_records",
        "Credentials": "_logins",
        "Deliver": "_actions",
        "Disconnect": "_actions",
        "DuplicateLogin": "_policy",
        "Echo": "_echo",
        "Happening": "_records",
        "LoginRequest": "_logins",
        "Message": "_messages",
        "Notice": "_messages",
        "Policy": "_policy",
        "Question": "_logins",
        "Reconnected": "_messages",
        "Record": "_records",
        "Refuse": "_actions",
        "visible": "_records",
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
