"""The codec: what goes in and out of a connection, and `match` over all events."""

from collections.abc import Callable
from typing import assert_never, assert_type

from chatproto import (
    Broadcast,
    ChatBroker,
    ChatConnection,
    ChatSession,
    ConnectionClosed,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Item,
    Leave,
    Login,
    Logout,
    Notice,
    Ping,
    Receive,
    Role,
    Send,
    State,
)


def connection() -> None:
    connection = ChatConnection(Role.CLIENT)
    assert_type(connection.state, State)
    assert_type(connection.name, str | None)
    assert_type(connection.send(Login("alice")), bytes)
    assert_type(connection.receive_data(b""), list[Event])
    assert_type(connection.receive_eof(), list[Event])
    connection.send(ConnectionClosed())  # type: ignore[arg-type]
    Send("bob", "text")  # type: ignore[arg-type]
    for data in (b"bytes", bytearray(b"array"), memoryview(b"view")):
        assert_type(Send("bob", data).data, bytes)
        assert_type(Broadcast("team", data).data, bytes)
        assert_type(Receive("bob", data).data, bytes)
        connection.receive_data(data)
        ChatBroker[int]().receive(1, data)


def each_event(event: Event) -> None:
    match event:
        case Login(name):
            assert_type(name, str)
        case Logout() | ConnectionClosed():
            pass
        case Send(to, data):
            assert_type(to, str)
            assert_type(data, bytes)
        case Broadcast(group, data):
            assert_type(group, str)
            assert_type(data, bytes)
        case Group(name, members):
            assert_type(name, str)
            assert_type(members, tuple[str, ...])
        case Leave(group):
            assert_type(group, str)
        case Receive(sender, data):
            assert_type(sender, str)
            assert_type(data, bytes)
        case Invalid(code, line):
            assert_type(code, ErrorCode)
            assert_type(line, bytes)
        case _:
            assert_never(event)


def session(new_token: Callable[[], bytes]) -> None:
    session = ChatSession("alice", new_token, heartbeat=30)
    session.receive_data(bytearray(b""))
    assert_type(session.ping(), tuple[bytes, Ping])
    assert_type(session.take_item(), Item | None)
    assert_type(session.take_notice(), Notice | None)
