"""What a bot uses of a client, so that a test can give it something else."""

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from .messages import Message


class ChatClient(Protocol):
    """What a blocking bot uses of a client: `chatproto_sync.Client` has it, and a fake can have it.

    A bot that uses more of the client declares a protocol of its own.
    """

    @property
    def name(self) -> str:
        """The name that the client is logged in under."""
        ...

    def __iter__(self) -> Iterator[Message]:
        """Iterate over the messages."""
        ...

    def send(self, to: str, data: str | bytes, /) -> None:
        """Send to one user."""

    def broadcast(self, group: str, data: str | bytes, /) -> None:
        """Send to all other members of a group."""

    def reply(self, message: Message, data: str | bytes, /) -> None:
        """Answer where a message came from."""


class AsyncChatClient(Protocol):
    """The same for a bot on asyncio or trio: `chatproto_anyio.Client` has it."""

    @property
    def name(self) -> str:
        """The name that the client is logged in under."""
        ...

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages."""
        ...

    async def send(self, to: str, data: str | bytes, /) -> None:
        """Send to one user."""

    async def broadcast(self, group: str, data: str | bytes, /) -> None:
        """Send to all other members of a group."""

    async def reply(self, message: Message, data: str | bytes, /) -> None:
        """Answer where a message came from."""
