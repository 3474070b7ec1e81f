"""A chat client for asyncio and trio."""

import contextlib
from collections.abc import Iterable
from typing import Final, Generic, Self, TypeVar, cast

import anyio

from chatproto import (
    Broadcast,
    ChatProtocolError,
    ChatSession,
    Command,
    Echo,
    Group,
    Leave,
    LocalProtocolError,
    Message,
    Notice,
    Reconnected,
    Send,
)
from chatproto.client.messages import octets
from chatproto.wire.errors import again

from .connection import Link
from .deadline import deadline

GOODBYE: Final = 2.0
"""Seconds that a logout may take."""

ItemT = TypeVar("ItemT", bound=Message | Reconnected)


class Client(Generic[ItemT]):
    """A chat client. `connect` makes one.

    Any task may use it; one may receive while others send. Iterating over it gives what people
    say until this side logs out. It reads only while somebody waits for something: the server
    slows down those who write to a client that does not, and drops it in the end.

    Methods that wait raise `ConnectionLostError` when the connection is gone, which a client that
    reconnects does only when it has given up; `RemoteProtocolError` when the server does not speak
    CHAT/1.0; `ChatTimeoutError` when the time is over that `connect` was given; and
    `LocalProtocolError` when what is to be said breaks the protocol, or this client has logged
    out. After any of them the client is as usable as before, with one exception: if time runs out
    or the task is cancelled while a line is being written, the connection is closed, because half a
    line must not stay.
    """

    def __init__(self, session: ChatSession, link: Link, timeout: float | None) -> None:
        self._session = session
        self._link = link
        self._timeout = timeout

    @property
    def name(self) -> str:
        """Who this client is."""
        return self._session.name

    @property
    def invalid_lines(self) -> int:
        """Lines from the server that could not be read and were skipped."""
        return self._session.invalid_lines

    async def send(self, to: str, data: str | bytes) -> None:
        """Send to one user. That nobody has that name comes as a notice, if at all.

        It returns when the system has taken the line; `flush` waits for the server. While a client
        that reconnects is without a connection, it waits for the next one and uses that.

        Args:
            to: Their name.
            data: Text, which goes as UTF-8, or octets: no LF, and no CR at the end.
        """
        await self._say(Send(to, octets(data)))

    async def broadcast(self, group: str, data: str | bytes) -> None:
        """Send to everybody else in a group; otherwise like `send`.

        Args:
            group: The group's name.
            data: Text, which goes as UTF-8, or octets: no LF, and no CR at the end.
        """
        await self._say(Broadcast(group, octets(data)))

    async def group(self, name: str, members: Iterable[str] = ()) -> None:
        """Make a group of exactly these members.

        Args:
            name: What to call it.
            members: Their names. Whoever makes the group may broadcast to it, but is not in it
                unless named.
        """
        await self._say(Group(name, members))

    async def leave(self, group: str) -> None:
        """Leave a group."""
        await self._say(Leave(group))

    async def login(self, name: str) -> None:
        """Take another name, and wait until it is decided. Membership in groups stays with the old.

        Who does not wait that long has no connection any more: it would not be known whose it is.

        Args:
            name: Who to be.

        Raises:
            LoginRefusedError: The server does not take it; this client has its old name.
        """
        # Nobody says anything before it is known who says it.
        with deadline(self._timeout):
            async with self._link.turn:
                echo = await self._link.write(lambda: self._session.login(name))
                try:
                    await self._await(echo)
                finally:
                    if not echo.done:
                        await self._link.drop("it was not decided in time who this client is")

    async def flush(self) -> None:
        """Wait until the server has handled everything that was sent before (section 3)."""
        with deadline(self._timeout):
            async with self._link.turn:
                echo = await self._link.write(self._session.ping)
            await self._await(echo)

    async def ping(self) -> float:
        """Measure the way to the server and back, in seconds."""
        start = anyio.current_time()
        await self.flush()
        return anyio.current_time() - start

    async def receive(self, timeout: float | None = None) -> ItemT:
        """Wait for the next message.

        Args:
            timeout: Seconds to wait; None for ever.

        Returns:
            A `Message`; from a client that reconnects also a `Reconnected`, where messages may
            have been missed.
        """
        with deadline(timeout):
            return cast("ItemT", await self._link.wait_for(self._session.take_item))

    async def receive_notice(self, timeout: float | None = None) -> Notice:
        """Wait for the next notice from the server; the last 100 are kept.

        Args:
            timeout: Seconds to wait; None for ever.
        """
        with deadline(timeout):
            return await self._link.wait_for(self._session.take_notice)

    def take_notices(self) -> list[Notice]:
        """The notices that have come since the last call, without waiting. Use `flush` before."""
        return list(iter(lambda: self._link.take(self._session.take_notice), None))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT:
        try:
            return await self.receive()
        except LocalProtocolError:
            raise StopAsyncIteration from None

    async def logout(self) -> None:
        """Say goodbye, and close once the server has: all that was sent has been handled then.

        It takes three seconds at the most, and a connection that is gone is no error here. What was
        received before can still be taken.
        """
        try:
            with contextlib.suppress(ChatProtocolError), deadline(GOODBYE):
                await self._link.log_out()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close at once, without a goodbye. Tasks that wait in other methods are woken."""
        await self._link.close()

    async def _say(self, command: Command) -> None:
        with deadline(self._timeout):
            async with self._link.turn:
                await self._link.write(lambda: (self._session.send(command), None))

    async def _await(self, echo: Echo) -> None:
        try:
            await self._link.wait_for(lambda: echo.done or None)
        finally:
            if not echo.done:
                self._session.abandon(echo)
        if echo.error is not None:
            raise again(echo.error)
