"""CHAT/1.0 without I/O: the codec, one link's state, the routing, and a whole server's decisions.

Nothing in this package opens a socket, reads a clock, logs or starts a thread. Bytes and times go
in, events and bytes come out. `chatproto_sync` and `chatproto_anyio` carry them.
"""

from ._actions import Action, ConnectionId, Deliver, Disconnect, Refuse
from ._backoff import Backoff
from ._broker import ChatBroker
from ._connection import ChatConnection
from ._echo import Echo
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
from ._hub import ChatHub
from ._limits import Limits
from ._logins import Credentials, LoginRequest, Question
from ._messages import Message, Notice, Reconnected
from ._names import NAME_MAX, SERVER_NAME
from ._policy import Broadcasting, DuplicateLogin, Policy
from ._records import CloseReason, Counters, Happening, Record, visible
from ._session import ChatSession
from ._states import TRANSITIONS, Role, State
from ._version import __version__

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
