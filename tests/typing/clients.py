"""Clients: what `connect` makes with and without `reconnect`, and what comes out of them."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import assert_never, assert_type

import chatproto_anyio
import chatproto_sync
from chatproto import (
    Added,
    Backoff,
    ChatProtocolError,
    Disconnected,
    Item,
    Message,
    Notice,
    Reconnected,
)


def blocking() -> None:
    connecting = chatproto_sync.connect("localhost", 3333, name="alice")
    assert_type(connecting, AbstractContextManager[chatproto_sync.Client])
    with connecting as chat:
        assert_type(chat.receive(timeout=1.0), Message)
        assert_type(chat.receive_notice(), Notice)
        assert_type(chat.take_notices(), list[Notice])
        assert_type(chat.ping(), float)
        for message in chat:
            assert_type(message, Message)
            assert_type(message.text, str)
            assert_type(message.group, str | None)
            chat.reply(message, "text")
            chat.reply(message, b"bytes")
        assert_type(chat.groups(), list[str])
        assert_type(chat.members("team"), list[str])
        chat.add("team", "bob")
        chat.reply("team", "text")  # type: ignore[arg-type]
        chat.send("bob", "text")
        chat.broadcast("team", b"bytes")
        chat.send("bob", bytearray(b"array"))
        chat.broadcast("team", memoryview(b"view"))
        chat.send("bob", 1)  # type: ignore[arg-type]
        chat.login(b"alice")  # type: ignore[arg-type]


async def asynchronous() -> None:
    connecting = chatproto_anyio.connect("localhost", 3333, name="alice")
    assert_type(connecting, AbstractAsyncContextManager[chatproto_anyio.Client])
    async with connecting as chat:
        assert_type(await chat.receive(timeout=1.0), Message)
        assert_type(await chat.receive_notice(), Notice)
        assert_type(chat.take_notices(), list[Notice])
        assert_type(await chat.ping(), float)
        async for message in chat:
            assert_type(message, Message)
            assert_type(message.text, str)
            assert_type(message.group, str | None)
            await chat.reply(message, "text")
            await chat.reply(message, b"bytes")
        assert_type(await chat.groups(), list[str])
        assert_type(await chat.members("team"), list[str])
        await chat.add("team", "bob")
        await chat.reply("team", "text")  # type: ignore[arg-type]
        await chat.send("bob", "text")
        await chat.broadcast("team", b"bytes")
        await chat.send("bob", bytearray(b"array"))
        await chat.broadcast("team", memoryview(b"view"))
        await chat.send("bob", 1)  # type: ignore[arg-type]
        await chat.login(b"alice")  # type: ignore[arg-type]


def blocking_with_reconnect() -> None:
    with chatproto_sync.connect(
        name="alice", groups=False, reconnect=Backoff(), heartbeat=30
    ) as chat:
        assert_type(chat, chatproto_sync.Client)
        assert_type(chat.receive(), Message)
        assert_type(chat.receive_item(timeout=1.0), Item)
        for message in chat:
            assert_type(message, Message)
        for item in chat.items():
            each_kind(item)


async def asynchronous_with_reconnect() -> None:
    async with chatproto_anyio.connect(
        name="alice", groups=False, reconnect=Backoff(), heartbeat=30
    ) as chat:
        assert_type(chat, chatproto_anyio.Client)
        assert_type(await chat.receive(), Message)
        assert_type(await chat.receive_item(timeout=1.0), Item)
        async for message in chat:
            assert_type(message, Message)
        async for item in chat.items():
            each_kind(item)


def each_kind(item: Item) -> None:
    match item:
        case Message(sender, data):
            assert_type(sender, str)
            assert_type(data, bytes)
        case Added(group, member, by):
            assert_type(group, str)
            assert_type(member, str)
            assert_type(by, str)
        case Disconnected(error):
            assert_type(error, ChatProtocolError)
        case Reconnected(downtime):
            assert_type(downtime, float)
        case _:
            assert_never(item)


def a_client_is_not_there_before_the_block() -> None:
    chatproto_sync.connect(name="alice").send("bob", "hi")  # type: ignore[attr-defined]
    chatproto_anyio.connect(name="alice").send("bob", "hi")  # type: ignore[attr-defined]
    chatproto_sync.connect(name="alice", transport=object())  # type: ignore[arg-type]
