"""Brokers with one mistake each, for each row of the table that a client can see."""

from collections.abc import Callable
from typing import Any

import pytest

from chatproto import (
    Answer,
    BytesLike,
    ChatBroker,
    ChatConnection,
    ChatHub,
    Command,
    Deliver,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Leave,
    Limits,
    Logout,
    Receive,
    Refuse,
    RemoteProtocolError,
    Send,
)
from chatproto.routing.services import GroupServices
from chatproto.server.flow_control import FlowControl
from chatproto.wire import codec
from chatproto.wire.line_buffer import LineBuffer

from .worlds import BrokerWorld

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], BrokerWorld]


def with_limits(**limits: Any) -> Mutant:
    """A broker with other limits."""
    return lambda _: BrokerWorld(limits=Limits(**limits))


def with_line(change: Callable[[bytes], bytes]) -> Mutant:
    """A broker that reads another line than what was written."""
    return with_decode(lambda line: codec.decode(change(line)))


def with_decode(decode: Callable[[bytes], Command]) -> Mutant:
    """A broker with another parser."""

    def mutant(patch: Patch) -> BrokerWorld:
        patch.setattr("chatproto.wire.connection.decode", decode)
        return BrokerWorld(fast_path=False)

    return mutant


def refusing(is_bad: Callable[[bytes, Command], bool]) -> Mutant:
    """A broker that takes some good lines for bad ones."""

    def decode(line: bytes) -> Command:
        event = codec.decode(line)
        if is_bad(line, event):
            raise RemoteProtocolError(ErrorCode.MALFORMED, "mutant")
        return event

    return with_decode(decode)


def with_feed(change: Callable[[bytes], bytes]) -> Mutant:
    """A broker that reads another stream than what was written."""

    def mutant(patch: Patch) -> BrokerWorld:
        feed = LineBuffer.feed
        patch.setattr(LineBuffer, "feed", lambda lines, data: feed(lines, change(data)))
        return BrokerWorld(fast_path=False)

    return mutant


def with_method(owner: type, name: str, make: Callable[[Any], Any], **parameters: Any) -> Mutant:
    """A broker in which one method does something else.

    Args:
        owner: The class.
        name: The method.
        make: Gets the method, and returns what takes its place.
        parameters: Those of the broker.
    """

    def mutant(patch: Patch) -> BrokerWorld:
        patch.setattr(owner, name, make(getattr(owner, name)))
        return BrokerWorld(fast_path=False, **parameters)

    return mutant


def with_function(path: str, function: Callable[..., Any]) -> Mutant:
    """A broker in which one function does something else."""

    def mutant(patch: Patch) -> BrokerWorld:
        patch.setattr(path, function)
        return BrokerWorld(fast_path=False)

    return mutant


def without_cr(data: bytes) -> bytes:
    return data.replace(b"\r\r\n", b"\r\n")


def with_empty_data(line: bytes) -> bytes:
    return line + b" " if line.startswith(b"CHAT/1.0 SEND ") and line.count(b" ") == 2 else line


def first_three_words(line: bytes) -> bytes:
    return b" ".join(line.split(b" ")[:3]) if b" LOGIN " in line else line


def without_tab(line: bytes) -> bytes:
    return line.replace(b"\t", b"") if b" LOGIN " in line else line


def single_spaces(line: bytes) -> bytes:
    return b" ".join(line.split()) if b" GROUP " in line else line


def receive_is_send(line: bytes) -> Command:
    event = codec.decode(line)
    return Send(event.sender, event.data) if isinstance(event, Receive) else event


def stripped(line: bytes) -> Command:
    event = codec.decode(line)
    return Send(event.to, event.data.strip()) if isinstance(event, Send) else event


def not_to_oneself(send: Any) -> Any:
    def changed(hub: Any, cid: Any, name: str, event: Send, again: bool) -> Any:
        return [] if event.to == name else send(hub, cid, name, event, again)

    return changed


def silent(method: Any) -> Any:
    """Leave out what the method refuses."""

    def changed(*arguments: Any, **more: Any) -> Any:
        return [each for each in method(*arguments, **more) if not isinstance(each, Refuse)]

    return changed


def runs_half_lines(receive_eof: Any) -> Any:
    def changed(connection: ChatConnection) -> list[Event]:
        events = connection.receive_data(b"\n") if connection.inside_line else []
        return [*events, *receive_eof(connection)]

    return changed


def renames_nobody(login: Any) -> Any:
    return lambda hub, cid, name, new: [] if name is not None else login(hub, cid, name, new)


def first_come(login: Any) -> Any:
    return lambda hub, cid, name, new: [] if new in hub.online else login(hub, cid, name, new)


def looks_at_no_group(make_group: Any) -> Any:
    def changed(hub: Any, cid: Any, name: str, event: Group) -> Any:
        names = (event.name, *event.members)
        if hub._policy.names.forbids(*names):
            hub._groups.make(event.name, event.members, name, cid, "")
            return []
        return make_group(hub, cid, name, event)

    return changed


def runs_before_login(handle: Any) -> Any:
    def changed(hub: Any, cid: Any, event: Event, *, again: bool = False) -> Any:
        if isinstance(event, Invalid) and event.code is ErrorCode.NOT_LOGGED_IN:
            command = codec.decode(event.line)
            if isinstance(command, Send) and command.to in hub.online:
                to = tuple(hub.online[command.to])
                return [Deliver(to, Receive("nobody", command.data))]
        return handle(hub, cid, event, again=again)

    return changed


def silent_about_outsiders(audience: Any) -> Any:
    def changed(hub: Any, cid: Any, group: str, *, again: bool = False) -> Any:
        found = audience(hub, cid, group, again=again)
        refused = isinstance(found, Refuse) and found.code is ErrorCode.NOT_A_MEMBER
        return () if refused else found

    return changed


def back_to_the_sender(audience: Any) -> Any:
    def changed(hub: Any, cid: Any, group: str, *, again: bool = False) -> Any:
        found = audience(hub, cid, group, again=again)
        return found if isinstance(found, Refuse) else (*found, cid)

    return changed


def only_to_the_first(audience: Any) -> Any:
    def changed(hub: Any, cid: Any, group: str, *, again: bool = False) -> Any:
        found = audience(hub, cid, group, again=again)
        return found if isinstance(found, Refuse) else found[:1]

    return changed


def loses_every_50th(send: Any) -> Any:
    count = 0

    def changed(hub: Any, cid: Any, name: str, event: Send, again: bool) -> Any:
        nonlocal count
        count += event.to != name
        return [] if count % 50 == 49 else send(hub, cid, name, event, again)

    return changed


def forgets_members(leave_name: Any) -> Any:
    def changed(hub: Any, cid: Any, name: str) -> None:
        leave_name(hub, cid, name)
        if name not in hub.online:
            for group in hub._groups.of(name):
                hub._groups.leave(group, name)

    return changed


def refuses_additions(handle: Any) -> Any:
    def changed(services: Any, cid: Any, name: str, data: bytes, *others: Any, **more: Any) -> Any:
        if data.startswith(b"add "):
            return [Answer(cid, "refused NO_SUCH_GROUP add", ())]
        return handle(services, cid, name, data, *others, **more)

    return changed


class LogsOutLast(ChatBroker[str]):
    """Executes a LOGOUT after what stands behind it."""

    def receive(self, cid: str, data: BytesLike) -> None:
        logout = b"CHAT/1.0 LOGOUT\n"
        data = bytes(data)
        if data.startswith(logout):
            data = data.removeprefix(logout) + logout
        super().receive(cid, data)


class NeverEnds(ChatBroker[str]):
    """Does not notice that a stream ends."""

    def receive_eof(self, cid: str) -> None:
        """Do nothing."""


def looks_at_reserved_names(patch: Patch) -> BrokerWorld:
    for module in ("events", "codec"):
        patch.setattr(f"chatproto.wire.{module}.check_unreserved", lambda _: None)
    return BrokerWorld(fast_path=False)


def truncated(line: bytes, group: str) -> bytes:
    return codec.with_label(line, group)[:4000] + b"\n"


MUTANTS: dict[str, Mutant] = {
    "`SEND bob␣␣hi␣␣there␣` from alice": with_decode(stripped),
    "`SEND bob␣`": refusing(lambda _, event: isinstance(event, Send) and not event.data),
    "`SEND bob`": with_line(with_empty_data),
    "SEND to oneself": with_method(ChatHub, "_send", not_to_oneself),
    "SEND to an unknown user": with_method(ChatHub, "_send", silent),
    "CRLF line end": with_feed(lambda data: data.replace(b"\r\n", b"\r\r\n")),
    "`SEND bob x` CR CR LF": with_feed(without_cr),
    "garbage, empty line, wrong case, unknown command, wrong number of parts, `CHAT/1.1 …`": (
        with_limits(bad_lines=1)
    ),
    "before LOGIN: an HTTP request or header line, the first bytes of TLS, SSH, STUN, a PROXY"
    " header, or of another protocol that can carry lines; a zero byte near the beginning of a"
    " line": with_function("chatproto.server.dispatcher.foreign_protocol", lambda _: None),
    "leading or double space before the command; tabs and Unicode spaces around version, command,"
    " name": with_line(bytes.lstrip),
    "a line over 4096 bytes": with_limits(max_line=8192),
    "a relayed line that outgrows 4096 bytes": with_function(
        "chatproto.server.dispatcher.has_long_line", lambda _line, _max: False
    ),
    "half a line, then FIN or RST": with_method(ChatConnection, "receive_eof", runs_half_lines),
    "`LOGIN`, `LOGIN a b`, `LOGIN a␣`": with_line(first_three_words),
    "`LOGIN␣`, `LOGIN a<TAB>b`": with_line(without_tab),
    "a second LOGIN": with_method(ChatHub, "_login", renames_nobody),
    "LOGIN or GROUP with a name that holds invisible characters, so that it looks like another"
    " name": with_method(ChatHub, "_make_group", looks_at_no_group),
    "the same name on two connections": with_method(ChatHub, "_login", first_come),
    "SEND, BROADCAST, GROUP, LEAVE before LOGIN": with_method(ChatHub, "handle", runs_before_login),
    "`SEND␣␣hi`": with_line(lambda line: line.replace(b"SEND  ", b"SEND *server* ")),
    "`GROUP g bob`": refusing(
        lambda _, event: isinstance(event, Group) and len(event.members) == 1
    ),
    "`GROUP g bob␣`, doubled spaces": with_line(single_spaces),
    "GROUP of an existing name": with_method(ChatHub, "_make_group", silent),
    "an emptied group": with_method(ChatHub, "_leave_group", lambda _: lambda *_: []),
    "BROADCAST by someone not a member": with_method(ChatHub, "audience", silent_about_outsiders),
    "BROADCAST, LEAVE of an unknown group": with_method(ChatHub, "_leave_group", silent),
    "`LEAVE g extra`": refusing(
        lambda line, event: isinstance(event, Leave) and line.count(b" ") > 2
    ),
    "`RECEIVE …` from a client": with_decode(receive_is_send),
    "LOGOUT": refusing(lambda _, event: isinstance(event, Logout)),
    "`LOGOUT␣`": with_line(bytes.rstrip),
    "`LOGOUT` and `SEND …` in one packet": lambda _: BrokerWorld(LogsOutLast()),
    "four senders to one recipient": with_method(ChatHub, "_send", loses_every_50th),
    "connections coming and going under load": with_limits(max_connections=6),
    "a recipient that does not read": with_method(
        FlowControl, "tick", lambda _: lambda _flow, _now: iter(())
    ),
    "FIN without LOGOUT": lambda _: BrokerWorld(NeverEnds()),
    "`SEND *groups* …`": with_method(
        GroupServices,
        "handle",
        lambda _: lambda _services, cid, *_, **__: [Refuse(cid, ErrorCode.NO_SUCH_USER, "mutant")],
    ),
    "BROADCAST to a group with a member who has asked for labels": with_function(
        "chatproto.server.dispatcher.with_label", lambda line, _group: line
    ),
    "a label longer than 4096 bytes": with_function(
        "chatproto.server.dispatcher.with_label", truncated
    ),
    "`SEND *groups* add …`": with_method(GroupServices, "handle", refuses_additions),
    "a line of 4096 bytes, LF included": with_limits(max_line=4095),
    "section 1: NUL, inner CR and bytes that are not UTF-8 pass unchanged": with_feed(
        lambda data: data.replace(b"\0", b"")
    ),
    "section 1: names that start with `*`": looks_at_reserved_names,
    "section 2: BROADCAST reaches every connection of every member but the sending one": (
        with_method(ChatHub, "audience", back_to_the_sender)
    ),
    "section 2: membership survives logout and is there again at the next login": with_method(
        ChatHub, "_leave_name", forgets_members
    ),
    "the published session: four users, a message, a group, one leaves, all log out": with_method(
        ChatHub, "audience", only_to_the_first
    ),
    "the published unit tests: each command is read and written": refusing(
        lambda _, event: isinstance(event, Leave)
    ),
    "the published unit tests: invalid messages and an unsupported command": with_line(
        lambda line: line.replace(b"CHAT/1.1", b"CHAT/1.0")
    ),
}
"""A mutant for each row, by the row's text."""
