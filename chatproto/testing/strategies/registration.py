"""The types of `chatproto`, as Hypothesis is to know them.

With it, `from_type` makes valid values of these types, wherever they stand in a user's annotations.

`builds` does not ask how to make its target. It looks at the annotations of the target's arguments,
and `str` says too little about a name. That is why `register` adds the strategy to the annotation.
"""

from collections.abc import Callable
from dataclasses import fields
from itertools import count
from types import EllipsisType
from typing import Annotated, Any, Final, TypeAlias, TypeVar, get_args

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...client.group_requests import GroupRequest
from ...client.messages import Added, Message, Notice, Reconnected
from ...client.ping import PING_PREFIX, Ping
from ...client.reconnect import Backoff, ReconnectState
from ...client.session import ChatSession
from ...cluster.cluster import Cluster
from ...routing.actions import Answer, Deliver, Disconnect, Expire, Joined, Refuse
from ...routing.changes import GroupEnded, GroupMade, MemberAdded, MemberLeft
from ...routing.hub import ChatHub
from ...routing.limits import GroupLimits
from ...server.broker import ChatBroker
from ...server.counters import Counters
from ...server.desk import Desk
from ...server.hooks import Refusal, Reply
from ...server.lag import LagHistogram
from ...server.limits import Limits
from ...server.log_events import LogEvent
from ...server.logins import Credentials, LoginRequest, Question
from ...server.proxy_header import ProxyHeader, ProxyNetworks
from ...wire.errors import ErrorCode
from ...wire.limits import LineLimits
from ..grammar import JudgedLine
from ..memory import MemoryServer
from .conversation import Turn
from .event import FIELDS as EVENT_FIELDS
from .limit import FIELDS as LIMIT_FIELDS
from .limit import GROUP_FIELDS, LINE_FIELDS, group_limits, limits, line_limits
from .line import near_valid_lines
from .name import names, reserved_names
from .payload import data

# An Ellipsis stands for what the annotation says.
Fields: TypeAlias = dict[str, SearchStrategy[Any] | EllipsisType]

_IDS: Final = st.integers(0, 9)
_NAME: Final = names()
_NAME_OR_EMPTY: Final = st.just("") | _NAME
_TEXT: Final = st.just("") | st.text()
_NUMBER: Final = st.integers(0, 1 << 31)
_CODE: Final = st.sampled_from(ErrorCode)
_PEER: Final = st.sampled_from(("127.0.0.1:49152", "[::1]:49152", "unix"))
_WORDS: Final = ("-", "LOGIN", "SEND", "BROADCAST", "GROUP", "LEAVE", "RECEIVE", "LOGOUT")
_CERTIFICATE: Final = _NAME.map(lambda name: {"subject": ((("commonName", name),),)})
_NODE: Final = st.text("abcdefghij0123456789-.", min_size=1, max_size=16)
_ADDRESS: Final = st.ip_addresses().map(str)


# With `map`, Hypothesis would show the call and not what it returns.
@st.composite
def _ping_data(draw: DrawFn) -> bytes:
    return PING_PREFIX + draw(st.binary(max_size=16))


# What is asked of `*groups*` (protocol.md, section 5).
_REQUEST: Final = st.one_of(
    st.sampled_from(("list", "on", "off")).map(lambda word: [word]),
    st.tuples(st.just("members"), _NAME).map(list),
    st.tuples(st.just("add"), _NAME, _NAME).map(list),
)

# The fields of each type that need more than what their annotations say.
_FIELDS: Final[dict[type[Any], Fields]] = {
    **{kind: {**fields_of} for kind, fields_of in EVENT_FIELDS.items()},
    Message: {"sender": _NAME | reserved_names(), "data": data(), "group": st.none() | _NAME},
    Notice: {"code": st.just("") | _CODE, "command": st.sampled_from(_WORDS), "text": _TEXT},
    Added: dict.fromkeys(("group", "member", "by"), _NAME),
    Reconnected: {"downtime": st.floats(0, 1e6)},
    Ping: {"name": _NAME, "data": _ping_data()},
    GroupRequest: {"words": _REQUEST},
    Backoff: {
        "first": st.floats(0.001, 1),
        "cap": st.floats(1, 3600),
        "give_up": st.floats(0, float("inf")),
    },
    ReconnectState: {"random": st.floats(0, 1, exclude_max=True).map(lambda value: lambda: value)},
    ChatSession: {
        "name": _NAME,
        "new_token": st.builds(lambda: map(b"token %d".__mod__, count(1)).__next__),
        "max_queue": st.integers(1, 1000),
        "heartbeat": st.none() | st.floats(0.001, 3600),
    },
    Expire: {"group": _NAME},
    Joined: dict.fromkeys(("group", "member"), _NAME),
    GroupMade: {
        "group": _NAME,
        "creator": _NAME,
        "members": st.lists(_NAME, min_size=1, max_size=5, unique=True).map(tuple),
    },
    MemberAdded: dict.fromkeys(("group", "member"), _NAME),
    MemberLeft: dict.fromkeys(("group", "member"), _NAME),
    GroupEnded: {"group": _NAME},
    ChatHub: {"policy": ..., "limits": ...},
    ChatBroker: {
        "policy": ...,
        "limits": ...,
        "notices": ...,
        "ask": ...,
        "fast_path": ...,
        "groups": st.lists(
            st.deferred(lambda: st.from_type(GroupMade)), max_size=3, unique_by=lambda it: it.group
        ),
    },
    Desk: {
        "dispatcher": st.deferred(lambda: st.from_type(ChatBroker)).map(
            lambda broker: broker._dispatcher  # noqa: SLF001 - only a broker makes one
        )
    },
    Counters: {each.name: _NUMBER for each in fields(Counters) if each.type is int},
    LagHistogram: {
        "counts": st.lists(
            _NUMBER, min_size=len(LagHistogram.BOUNDS) + 1, max_size=len(LagHistogram.BOUNDS) + 1
        ),
        "total": st.floats(0, 1e6),
    },
    LogEvent: {
        "peer": st.none() | _PEER,
        "name": st.none() | _NAME,
        "connection": st.none() | _NUMBER,
        "reason": ...,
        "code": ...,
        "group": st.none() | _NAME,
        "member": st.none() | _NAME,
        "count": st.none() | _NUMBER,
        "seconds": st.none() | st.floats(0, 1e6),
    },
    Credentials: dict.fromkeys(("pid", "uid", "gid"), _NUMBER),
    Refusal: {"code": _CODE | st.from_regex("[A-Z][A-Z_]{0,31}", fullmatch=True), "text": _TEXT},
    Reply: {"data": data(), "sender": reserved_names()},
    LoginRequest: {"name": _NAME, "peer": _PEER, "certificate": st.none() | _CERTIFICATE},
    ProxyHeader: {
        "size": st.integers(16, 4096),
        "address": _ADDRESS,
        "port": st.integers(1, 65535),
    },
    ProxyNetworks: {"networks": st.lists(st.just("unix") | _ADDRESS, max_size=3)},
    Cluster: {
        "node": _NODE,
        "token": _NODE,
        "node_timeout": st.floats(0.001, 3600),
        "patience": st.floats(0.001, 3600),
    },
    LineLimits: {**LINE_FIELDS},
    GroupLimits: {**GROUP_FIELDS},
    Limits: {**LIMIT_FIELDS},
    MemoryServer: {"policy": ..., "limits": ..., "notices": ...},
    Turn: {"client": st.integers(0, 2)},
}

# The same for those with a connection's id, which is of any type.
_FIELDS_WITH_IDS: Final[dict[type[Any], Callable[[SearchStrategy[Any]], Fields]]] = {
    Deliver: lambda ids: {
        "to": st.lists(ids, min_size=1, max_size=5, unique=True).map(tuple),
        "group": _NAME_OR_EMPTY,
    },
    Refuse: lambda ids: {"cid": ids, "text": _TEXT},
    Disconnect: lambda ids: {"cid": ids},
    Answer: lambda ids: {
        "cid": ids,
        "head": _REQUEST.map(" ".join),
        "names": st.lists(_NAME, max_size=5).map(tuple),
    },
    Question: lambda ids: {"cid": ids, "token": _NUMBER, "name": _NAME},
}

_SPECIAL: Final[dict[type[Any], SearchStrategy[Any]]] = {
    JudgedLine: near_valid_lines(),
    LineLimits: line_limits(),
    GroupLimits: group_limits(),
    Limits: limits(),
}


def register() -> None:
    """Make Hypothesis know the types of `chatproto`."""
    for kind, given in _FIELDS.items():
        _annotate(kind, given)
        _register(kind, st.builds(kind, **given))
    for kind, given_ids in _FIELDS_WITH_IDS.items():
        _annotate(kind, given_ids(_IDS))
        st.register_type_strategy(kind, _with_ids(kind, given_ids))
    for kind, strategy in _SPECIAL.items():
        _register(kind, strategy)


def _register(kind: type[Any], strategy: SearchStrategy[Any]) -> None:
    # A function, so that the strategy is evaluated on first use, and not by every test that imports
    # Hypothesis.
    st.register_type_strategy(kind, lambda _: strategy)


def _with_ids(
    kind: type[Any], given: Callable[[SearchStrategy[Any]], Fields]
) -> Callable[[Any], SearchStrategy[Any]]:
    """How to make values of a generic type, such as `Deliver[str]`."""

    def strategy(wanted: Any) -> SearchStrategy[Any]:
        ids = [st.from_type(each) for each in get_args(wanted) if not isinstance(each, TypeVar)]
        return st.builds(kind, **given(ids[0] if ids else _IDS))

    return strategy


def _annotate(kind: Any, given: Fields) -> None:
    """Add strategies to what the annotations of a constructor say."""
    if issubclass(kind, tuple):
        return
    annotations = kind.__init__.__annotations__
    for name, strategy in given.items():
        # A name that is wrong is for a test to find: here it would stop all tests of all programs.
        if isinstance(strategy, SearchStrategy) and name in annotations:
            annotations[name] = Annotated[annotations[name], strategy]
