"""Clients, real and fake, as what a bot declares that it uses."""

from collections.abc import AsyncIterator, Iterator

import chatproto_anyio
import chatproto_sync
from chatproto import AsyncChatClient, ChatClient, Message


def run(chat: ChatClient) -> None:
    """A bot."""
    for message in chat:
        if message.sender != chat.name:
            chat.reply(message, message.text.upper())
            chat.send("log", message.data)
            chat.broadcast("all", b"done")


class FakeChat:
    name = "adder"

    def __init__(self, *messages: Message) -> None:
        self.messages, self.said = messages, list[object]()

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def send(self, to: object, data: str | bytes) -> None:
        self.said.append((to, data))

    broadcast = reply = send


async def run_async(chat: AsyncChatClient) -> None:
    """The same bot for an event loop."""
    async for message in chat:
        if message.sender != chat.name:
            await chat.reply(message, message.text.upper())
            await chat.send("log", message.data)
            await chat.broadcast("all", b"done")


class FakeAsyncChat:
    name = "adder"

    def __init__(self, *messages: Message) -> None:
        self.messages, self.said = messages, list[object]()

    async def __aiter__(self) -> AsyncIterator[Message]:
        for message in self.messages:
            yield message

    async def send(self, to: object, data: str | bytes) -> None:
        self.said.append((to, data))

    broadcast = reply = send


def fakes() -> None:
    run(FakeChat(Message("alice", b"hi")))


async def async_fakes() -> None:
    await run_async(FakeAsyncChat(Message("alice", b"hi")))
    await run_async(FakeChat())  # type: ignore[arg-type]


def blocking() -> None:
    with chatproto_sync.connect(name="adder") as chat:
        run(chat)


async def asynchronous() -> None:
    async with chatproto_anyio.connect(name="adder") as chat:
        await run_async(chat)
        run(chat)  # type: ignore[arg-type]
