"""chatproto.routing.hub: connections, names and SEND (protocol.md, sections 2 and 4)."""

import gc
import weakref

import pytest

from chatproto import (
    Broadcast,
    ChatHub,
    ConnectionClosed,
    Deliver,
    Disconnect,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Leave,
    Login,
    Logout,
    Policy,
    Receive,
    Refuse,
    Send,
)

from .hubs import POLICIES, REJECT, REPLACE, delivery, hub_of, refused


def test_a_connection_is_anonymous_at_first() -> None:
    hub: ChatHub[str] = ChatHub()
    hub.connect("a")
    assert hub.name_of("a") is None
    assert hub.users == 0


def test_an_id_is_connected_once() -> None:
    hub = hub_of("alice")
    with pytest.raises(ValueError, match="1 is connected already"):
        hub.connect(1)
    assert hub.name_of(1) == "alice"


def test_an_unknown_id_raises_key_error() -> None:
    hub = hub_of("alice")
    with pytest.raises(KeyError):
        hub.handle(2, Logout())
    with pytest.raises(KeyError):
        hub.name_of(2)
    hub.disconnect(2)
    assert hub.users == 1


@pytest.mark.parametrize(
    "event", [Send("alice", b""), Broadcast("g", b""), Group("g", ["x"]), Leave("g")]
)
def test_before_login_commands_are_refused(event: Event) -> None:
    hub = hub_of("alice")
    hub.connect(2)
    assert refused(hub, 2, event) is ErrorCode.NOT_LOGGED_IN
    assert hub.groups == 0


def test_a_send_reaches_its_recipient() -> None:
    hub = hub_of("alice", "bob", "carol")
    assert hub.handle(1, Send("bob", b" hi ")) == delivery("alice", b" hi ", 2)


def test_a_send_to_oneself_comes_back() -> None:
    assert hub_of("alice").handle(1, Send("alice", b"me")) == delivery("alice", b"me", 1)


def test_a_send_to_a_name_that_is_offline_is_refused() -> None:
    hub = hub_of("alice")
    hub.connect(2)
    assert hub.handle(1, Send("bob", b"hi")) == [
        Refuse(1, ErrorCode.NO_SUCH_USER, "bob is not online")
    ]


@pytest.mark.parametrize("event", [Send("*server*", b"x"), Send("*", b"x"), Broadcast("*g", b"x")])
def test_a_message_to_a_reserved_name_gets_no_answer(event: Event) -> None:
    assert hub_of("alice").handle(1, event) == []


def test_a_second_login_renames_and_groups_keep_the_old_name() -> None:
    hub = hub_of("alice", "bob")
    hub.handle(1, Group("g", ["alice", "bob"]))
    assert hub.handle(1, Login("ali")) == []
    assert hub.name_of(1) == "ali"
    assert hub.users == 2
    assert refused(hub, 2, Send("alice", b"x")) is ErrorCode.NO_SUCH_USER
    assert hub.handle(2, Send("ali", b"x")) == delivery("bob", b"x", 1)
    assert hub.handle(2, Broadcast("g", b"x")) == []
    assert refused(hub, 1, Broadcast("g", b"x")) is ErrorCode.NOT_A_MEMBER


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_login_again_changes_nothing(policy: Policy) -> None:
    hub = hub_of("alice", policy=policy)
    assert hub.handle(1, Login("alice")) == []
    assert hub.users == 1
    assert hub.handle(1, Send("alice", b"x")) == delivery("alice", b"x", 1)


def test_share_gives_a_name_to_both() -> None:
    hub = hub_of("alice", "bob", "bob")
    assert hub.users == 2
    assert hub.handle(1, Send("bob", b"x")) == delivery("alice", b"x", 2, 3)
    assert hub.handle(2, Send("bob", b"x")) == delivery("bob", b"x", 2, 3)
    hub.disconnect(2)
    assert hub.handle(1, Send("bob", b"x")) == delivery("alice", b"x", 3)
    assert hub.users == 2


def test_reject_refuses_the_second_login() -> None:
    hub = hub_of("alice", policy=REJECT)
    hub.connect(2)
    assert refused(hub, 2, Login("alice")) is ErrorCode.NAME_IN_USE
    assert hub.name_of(2) is None
    assert hub.handle(1, Send("alice", b"x")) == delivery("alice", b"x", 1)


def test_reject_refuses_a_rename_and_keeps_the_old_name() -> None:
    hub = hub_of("alice", "bob", policy=REJECT)
    assert refused(hub, 2, Login("alice")) is ErrorCode.NAME_IN_USE
    assert hub.name_of(2) == "bob"
    assert hub.handle(1, Send("bob", b"x")) == delivery("alice", b"x", 2)


def test_reject_allows_a_name_that_is_free_again() -> None:
    hub = hub_of("alice", "bob", policy=REJECT)
    hub.handle(1, Logout())
    assert hub.handle(2, Login("alice")) == []
    assert hub.name_of(2) == "alice"


def test_replace_disconnects_the_first_connection() -> None:
    hub = hub_of("alice", "bob", policy=REPLACE)
    assert hub.handle(2, Login("alice")) == [Disconnect(1, ErrorCode.NAME_IN_USE)]
    assert hub.name_of(2) == "alice"
    assert hub.users == 1
    with pytest.raises(KeyError):
        hub.handle(1, Send("alice", b"x"))
    assert hub.name_of(1) == "alice"
    hub.disconnect(1)
    with pytest.raises(KeyError):
        hub.name_of(1)
    assert hub.handle(2, Send("alice", b"x")) == delivery("alice", b"x", 2)


@pytest.mark.parametrize("end", [Logout(), ConnectionClosed()])
def test_nothing_reaches_a_connection_that_has_ended(end: Event) -> None:
    hub = hub_of("alice", "bob")
    hub.handle(2, end)
    assert hub.users == 1
    assert refused(hub, 1, Send("bob", b"x")) is ErrorCode.NO_SUCH_USER
    with pytest.raises(KeyError):
        hub.handle(2, Login("bob"))
    with pytest.raises(ValueError, match="2 is connected already"):
        hub.connect(2)
    assert hub.name_of(2) == "bob"
    hub.disconnect(2)
    hub.connect(2)
    assert hub.name_of(2) is None


def test_an_anonymous_connection_may_log_out() -> None:
    hub: ChatHub[int] = ChatHub()
    hub.connect(1)
    assert hub.handle(1, Logout()) == [Disconnect(1, None)]


# Every code that `ChatConnection` gives an invalid line.
@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.MALFORMED,
        ErrorCode.UNSUPPORTED_VERSION,
        ErrorCode.UNSUPPORTED_COMMAND,
        ErrorCode.LINE_TOO_LONG,
        ErrorCode.BAD_NAME,
        ErrorCode.NAME_RESERVED,
        ErrorCode.NOT_LOGGED_IN,
        ErrorCode.WRONG_DIRECTION,
        ErrorCode.TRUNCATED,
    ],
)
def test_an_invalid_line_is_refused_with_its_code(code: ErrorCode) -> None:
    invalid = Invalid(code, b"x", "in words")
    assert hub_of("alice").handle(1, invalid) == [Refuse(1, code, "in words")]


@pytest.mark.parametrize(
    "line",
    [
        b"CHAT/1.0 SEND *server* thanks",
        b"CHAT/1.0 SEND *server*",
        b"CHAT/1.0 SEND *server* thanks\r",
        b"CHAT/1.0 BROADCAST *g thanks",
        b"CHAT/1.0 SEND * " + b"x" * 5000,
    ],
)
@pytest.mark.parametrize("names", [["alice"], []])
def test_an_invalid_line_to_a_reserved_name_gets_no_answer(line: bytes, names: list[str]) -> None:
    hub = hub_of(*names)
    if not names:
        hub.connect(1)
    assert hub.handle(1, Invalid(ErrorCode.MALFORMED, line, "in words")) == []


@pytest.mark.parametrize("event", [Send("*server*", b"thanks"), Broadcast("*g", b"thanks")])
def test_a_message_to_a_reserved_name_gets_no_answer_before_login(event: Event) -> None:
    hub: ChatHub[int] = ChatHub()
    hub.connect(1)
    assert hub.handle(1, event) == []


def test_an_equal_id_is_the_same_connection() -> None:
    hub: ChatHub[tuple[str, int]] = ChatHub()
    for number in (1, 2):
        hub.connect(("peer", number))
        hub.handle(("peer", number), Login("alice"))
    hub.disconnect(("peer", 1))
    assert hub.handle(("peer", 2), Send("alice", b"x")) == [
        Deliver((("peer", 2),), Receive("alice", b"x"))
    ]


def test_a_receive_from_a_client_is_refused() -> None:
    assert refused(hub_of("alice"), 1, Receive("bob", b"x")) is ErrorCode.WRONG_DIRECTION


class Id:
    """A connection's id, to which there can be weak references."""


@pytest.mark.parametrize("policy", POLICIES)
def test_the_hub_keeps_nothing_of_connections_that_are_gone(policy: Policy) -> None:
    hub: ChatHub[Id] = ChatHub(policy)
    references: list[weakref.ref[Id]] = []
    for name in ("alice", "bob", "alice", "carol"):
        cid = Id()
        references.append(weakref.ref(cid))
        hub.connect(cid)
        hub.handle(cid, Login(name))
        hub.handle(cid, Group(f"of-{name}", [name]))
        hub.handle(cid, Login(name + "2"))
        hub.handle(cid, Login(name))
        hub.handle(cid, Leave(f"of-{name}"))
        hub.disconnect(cid)
    del cid
    gc.collect()
    assert [ref() for ref in references] == [None] * 4
    assert (hub.users, hub.groups) == (0, 0)
