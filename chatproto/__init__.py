"""CHAT/1.0 without I/O: the codec, the state of a connection, the routing, a server's decisions.

Nothing in this package opens a socket, reads a clock, logs or starts a thread. Bytes and times go
in, events and bytes come out. `chatproto_sync` and `chatproto_anyio` do the I/O.

`import chatproto` loads the codec. The other names are loaded on first use.
"""

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
    NotSupportedError,
    ProtocolError,
    RemoteProtocolError,
    RequestRefusedError,
)
from .wire.events import (
    Broadcast,
    BytesLike,
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
from .wire.limits import LineLimits
from .wire.names import GROUPS_NAME, NAME_MAX, SERVER_NAME
from .wire.states import TRANSITIONS, Role, State
from .wire.visible import visible, visible_name

if TYPE_CHECKING:
    from ._deferred import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import _deferred

        value = globals()[name] = getattr(_deferred, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "GROUPS_NAME",
    "NAME_MAX",
    "PING_PREFIX",
    "SERVER_NAME",
    "TRANSITIONS",
    "Action",
    "Added",
    "Adding",
    "Answer",
    "AsyncChatClient",
    "Backoff",
    "Broadcast",
    "Broadcasting",
    "BytesLike",
    "ChatBroker",
    "ChatClient",
    "ChatConnection",
    "ChatHub",
    "ChatProtocolError",
    "ChatSession",
    "ChatTimeoutError",
    "ChatURL",
    "CloseReason",
    "Cluster",
    "ClusterCounters",
    "ClusterError",
    "ClusterEvent",
    "ClusterEventKind",
    "ClusterSnapshot",
    "Command",
    "Confirmation",
    "ConnectionClosed",
    "ConnectionId",
    "ConnectionInfo",
    "ConnectionLostError",
    "Counters",
    "Credentials",
    "Deliver",
    "Desk",
    "Disconnect",
    "Disconnected",
    "Drop",
    "DuplicateLogin",
    "ErrorCode",
    "Event",
    "EventKind",
    "Expire",
    "Group",
    "GroupChange",
    "GroupEnded",
    "GroupInfo",
    "GroupLimits",
    "GroupMade",
    "GroupRequest",
    "Health",
    "HealthStatus",
    "Hook",
    "HookError",
    "HookQuestion",
    "HookVerdict",
    "Hooks",
    "Invalid",
    "Item",
    "Joined",
    "LagHistogram",
    "Leave",
    "Limits",
    "LineLimits",
    "LocalProtocolError",
    "LogEvent",
    "Login",
    "LoginRefusedError",
    "LoginRequest",
    "Logout",
    "MemberAdded",
    "MemberLeft",
    "Message",
    "NameRule",
    "NotSupportedError",
    "Notice",
    "Ping",
    "Policy",
    "ProtocolError",
    "ProxyHeader",
    "ProxyHeaderError",
    "ProxyNetworks",
    "Question",
    "Receive",
    "ReconnectState",
    "Reconnected",
    "Refusal",
    "Refuse",
    "RemoteProtocolError",
    "Reply",
    "RequestRefusedError",
    "Role",
    "Said",
    "Send",
    "Standing",
    "State",
    "Step",
    "UserInfo",
    "__version__",
    "encode_data",
    "parse_ban",
    "parse_proxy_header",
    "split_text",
    "visible",
    "visible_name",
]
