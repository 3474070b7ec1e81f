"""What a server tells those who run it."""

from dataclasses import KW_ONLY, dataclass, fields
from enum import StrEnum
from typing import Final, assert_never

from ..wire.events import Event, Group, Leave, Login, Logout
from ..wire.visible import visible, visible_name


class EventKind(StrEnum):
    """What a `LogEvent` is about. The value is fit for a log."""

    ACCEPTED = "accepted"
    """A new connection has sent its first bytes."""

    LOGGED_IN = "logged in"
    """The server has executed a LOGIN."""

    LOGIN_REFUSED = "login refused"
    """The server has refused a LOGIN."""

    HANDSHAKE_FAILED = "handshake failed"
    """The TLS handshake of a connection has failed. The reason is in OpenSSL's words."""

    BAD_PROXY_HEADER = "bad PROXY header"
    """A connection from a balancer's network has begun without a PROXY header, or with a wrong
    one."""

    GROUP_MADE = "group made"
    """The server has executed a GROUP."""

    MEMBER_ADDED = "member added"
    """The server has added a member to a group because somebody has asked for it."""

    LEFT = "left"
    """The server has executed a LEAVE."""

    GROUP_EXPIRED = "group expired"
    """A group has ended to make room for the peer's new one, or for a member that the peer has
    added, because nobody in it is online."""

    LOGGED_OUT = "logged out"
    """The server has executed a LOGOUT."""

    CLOSED = "closed"
    """A connection is gone."""

    PROBED = "probed"
    """The same for a connection that has never sent anything, as a health check does it."""

    AUTHENTICATE_FAILED = "authenticate failed"
    """The application could not decide whether the connection may log in under the name."""

    HOOK_FAILED = "hook failed"
    """One of the application's hooks has raised an error, so the event was refused."""

    OPERATOR = "operator"
    """Those who run the server have done something while it runs."""

    LEFT_OUT = "left out"
    """There was more about a network than `Limits.log_lines`."""

    TURNED_AWAY = "turned away"
    """The server could not take a connection on. The log tells of one a second at most."""

    SHUTTING_DOWN = "shutting down"
    """The shutdown of the whole server has begun."""

    SHUT_DOWN = "shut down"
    """The shutdown is over: all connections are gone."""


LOGGED: Final[dict[type[Event], EventKind]] = {
    Login: EventKind.LOGGED_IN,
    Logout: EventKind.LOGGED_OUT,
    Group: EventKind.GROUP_MADE,
    Leave: EventKind.LEFT,
}
"""The events that the log tells of when the server has executed them."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line for the log. `str()` escapes the parts that peers chose; the fields do not."""

    kind: EventKind
    """What happened."""

    peer: str | None = None
    """Where the connection comes from, as the adapter named it. For lines that were left out, the
    network. None if it is about no connection."""

    name: str | None = None
    """The name that it is logged in under, or wants to have; None for neither."""

    _: KW_ONLY

    connection: int | None = None
    """The number of the connection: the first that the server has accepted has 1. It is the same in
    all events of a connection. None if it is about no connection."""

    reason: str | None = None
    """Why, in words: a `CloseReason`, the text of a notice, or an error. None if the kind says all,
    as in the fields below."""

    code: str | None = None
    """The code of the notice that a refused client gets."""

    group: str | None = None
    """The group."""

    member: str | None = None
    """The new member of the group."""

    count: int | None = None
    """How many: of lines that were left out, the lines; when a shutdown begins, the connections;
    when it is over, the connections that were cut off with something left to write."""

    seconds: float | None = None
    """How long a shutdown has taken."""

    operator: str | None = None
    """The operator who has done something. None if that is not known."""

    @property
    def important(self) -> bool:
        """Whether it belongs in an ordinary log, and not only in one for debugging."""
        return self.kind is not EventKind.PROBED

    @property
    def is_error(self) -> bool:
        """Whether something is wrong with the application, so that somebody has to look at it."""
        return self.kind in (EventKind.AUTHENTICATE_FAILED, EventKind.HOOK_FAILED)

    def as_dict(self) -> dict[str, str | int | float]:
        """The fields that are not None, by name, for a log that programs read.

        The kind has the name `event`. Nothing is escaped.
        """
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        kind = found.pop("kind")
        return {"event": kind, **{key: value for key, value in found.items() if value is not None}}

    def __str__(self) -> str:
        peer, reason = _shown(self.peer), visible(self.reason or "")
        who = peer if self.name is None else f"{_shown(self.name)} ({peer})"
        match self.kind:
            case EventKind.ACCEPTED:
                return f"accepted from {peer}"
            case EventKind.GROUP_MADE:
                return f"group made {_shown(self.group)} by {who}"
            case EventKind.MEMBER_ADDED:
                return f"member added {_shown(self.member)} to {_shown(self.group)} by {who}"
            case EventKind.GROUP_EXPIRED:
                group = _shown(self.group)
                return f"group expired {group}: nobody in it is online, and {peer} needs room"
            case EventKind.LEFT:
                return f"left {_shown(self.group)}: {who}"
            case EventKind.LOGGED_IN | EventKind.LOGGED_OUT:
                return f"{self.kind} {who}"
            case (
                EventKind.CLOSED
                | EventKind.PROBED
                | EventKind.TURNED_AWAY
                | EventKind.HANDSHAKE_FAILED
                | EventKind.BAD_PROXY_HEADER
            ):
                return f"{self.kind} {who}: {reason}"
            case EventKind.LOGIN_REFUSED:
                return f"{self.kind} {who}: {self.code} {reason}"
            case EventKind.AUTHENTICATE_FAILED:
                return f"authenticate failed for {who}: {reason}"
            case EventKind.HOOK_FAILED:
                return f"hook failed for {who}: {reason}"
            case EventKind.OPERATOR:
                operator = "" if self.operator is None else f" {_shown(self.operator)}"
                return f"operator{operator}: {reason}"
            case EventKind.LEFT_OUT:
                return f"left out {self.count} lines about {peer}"
            case EventKind.SHUTTING_DOWN:
                return f"shutting down, connections: {self.count}"
            case EventKind.SHUT_DOWN:
                seconds = f"{self.seconds or 0.0:.1f}"
                return f"shut down after {seconds} s, connections cut off: {self.count}"
            case _:
                assert_never(self.kind)


def _shown(name: str | None) -> str:
    """A part that a peer chose, with escapes."""
    return visible_name(name or "")
