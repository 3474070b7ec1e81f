"""A chat client for asyncio and trio."""

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Self

from chatproto import (
    Broadcast,
    BytesLike,
    ChatProtocolError,
    ChatSession,
    Group,
    Item,
    Leave,
    LocalProtocolError,
    Message,
    Notice,
    Ping,
    Send,
    encode_data,
)

from .connection import ClientConnection


class Client:
    """A chat client, made by `connect`. Tasks may share it.

    The methods do the same as those of `chatproto_sync.Client`, which says more about their
    parameters and exceptions. If a task is cancelled in one of them, the client stays usable.
    There are two exceptions: while a line is being written, and while `login` waits for the
    server's decision, being cancelled closes the connection.
    """

    def __init__(
        self, session: ChatSession, connection: ClientConnection, timeout: float | None
    ) -> None:
        self._session = session
        self._connection = connection
        self._timeout = timeout

    @property
    def name(self) -> str:
        """The name that this client is logged in under."""
        return self._session.name

    @property
    def invalid_lines(self) -> int:
        """How many lines from the server were not valid and were skipped."""
        return self._session.invalid_lines

    @property
    def labels(self) -> bool:
        """Whether the server says, on this connection, which group each message was sent to."""
        return self._session.labels

    async def send(self, to: str, data: str | BytesLike, *, confirm: bool = False) -> None:
        """Send to one user. If nobody has that name, the server may say so in a notice.

        Args:
            to: The user's name.
            data: Text or bytes.
            confirm: Whether to wait until the server has handled it, and to raise what it refuses.

        Raises:
            RequestRefusedError: With `confirm`: the server has refused it.
            NotSupportedError: With `confirm`: this server does not say what it refuses.
        """
        await self._send(Send(to, encode_data(data)), confirm)

    async def broadcast(self, group: str, data: str | BytesLike, *, confirm: bool = False) -> None:
        """Send to all other members of a group; with `confirm` as in `send`."""
        await self._send(Broadcast(group, encode_data(data)), confirm)

    async def group(self, name: str, members: Iterable[str] = (), *, confirm: bool = False) -> None:
        """Make a group of exactly these members; with `confirm` as in `send`."""
        await self._send(Group(name, members), confirm)

    async def leave(self, group: str, *, confirm: bool = False) -> None:
        """Leave a group; with `confirm` as in `send`."""
        await self._send(Leave(group), confirm)

    async def reply(
        self, message: Message, data: str | BytesLike, *, confirm: bool = False
    ) -> None:
        """Answer where a message came from: in its group, or to its sender."""
        if message.group is None:
            await self.send(message.sender, data, confirm=confirm)
        else:
            await self.broadcast(message.group, data, confirm=confirm)

    async def groups(self) -> list[str]:
        """Ask which groups this client is a member of (section 5).

        Raises:
            NotSupportedError: The server does not answer requests about groups.
            RequestRefusedError: The answer is too long for the server's limits.
        """
        return await self._request("list")

    async def members(self, group: str) -> list[str]:
        """Ask who is in a group.

        Raises:
            NotSupportedError: The server does not answer requests about groups.
            RequestRefusedError: There is no such group for this client, or the answer is too long.
        """
        return await self._request("members", group)

    async def add(self, group: str, member: str) -> None:
        """Add a member to a group. Clients of that name that are online get an `Added`.

        Raises:
            NotSupportedError: The server does not answer requests about groups.
            RequestRefusedError: There is no such group for this client, it may not add members, or
                the name or the server's limits do not allow it.
        """
        await self._request("add", group, member)

    async def login(self, name: str) -> None:
        """Take another name, and wait for the server's decision. Groups keep the old name.

        Raises:
            LoginRefusedError: The server refuses the name; this client keeps the old one.
        """
        # Other lines wait until the server has decided which name they come from.
        with self._connection.time_limit(self._timeout):
            async with self._connection.write_lock:
                ping = await self._connection.write(lambda: self._session.login(name))
                try:
                    await self._wait_for(ping)
                finally:
                    if not ping.done:
                        text = "it was not decided in time who this client is"
                        await self._connection.abort(text)

    async def flush(self) -> None:
        """Wait until the server has handled everything that was sent before (section 3)."""
        with self._connection.time_limit(self._timeout):
            async with self._connection.write_lock:
                ping = await self._connection.write(self._session.ping)
            await self._wait_for(ping)

    async def ping(self) -> float:
        """Measure the round trip to the server, in seconds."""
        start = self._connection.current_time()
        await self.flush()
        return self._connection.current_time() - start

    async def receive(self, timeout: float | None = None) -> Message:
        """Wait for the next message.

        Args:
            timeout: Seconds to wait; None for ever.
        """
        with self._connection.time_limit(timeout):
            return await self._connection.wait_for(self._session.take_message)

    async def receive_item(self, timeout: float | None = None) -> Item:
        """Wait for the next message, or for other news.

        Args:
            timeout: Seconds to wait; None for ever.

        Returns:
            A `Message`, or an `Added` when somebody has added this client to a group. A client
            that reconnects also returns a `Disconnected` when the connection is lost, and a
            `Reconnected` when it is back.
        """
        with self._connection.time_limit(timeout):
            return await self._connection.wait_for(self._session.take_item)

    def items(self) -> AsyncIterator[Item]:
        """Iterate over what `receive_item` returns, until this client logs out."""
        return _Items(self)

    async def receive_notice(self, timeout: float | None = None) -> Notice:
        """Wait for the next notice from the server; the last 100 are kept.

        Args:
            timeout: Seconds to wait; None for ever.
        """
        with self._connection.time_limit(timeout):
            return await self._connection.wait_for(self._session.take_notice)

    def take_notices(self) -> list[Notice]:
        """The notices since the last call, without waiting. Call `flush` before."""
        return list(iter(lambda: self._connection.take(self._session.take_notice), None))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.receive()
        except LocalProtocolError:
            raise StopAsyncIteration from None

    async def logout(self) -> None:
        """Log out, and wait until the server has closed the connection: three seconds at most."""
        try:
            with (
                contextlib.suppress(ChatProtocolError),
                self._connection.time_limit(self._session.LOGOUT_TIMEOUT),
            ):
                await self._connection.log_out()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection at once, without a logout. Tasks that wait in methods raise."""
        await self._connection.close()

    async def _send(self, command: Send | Broadcast | Group | Leave, confirm: bool) -> None:
        with self._connection.time_limit(self._timeout):
            async with self._connection.write_lock:
                if not confirm:
                    await self._connection.write(lambda: (self._session.send(command), None))
                    return
                sent = await self._connection.write(lambda: self._session.confirm(command))
            await self._wait_for(sent.ping)
            sent.check()

    async def _request(self, *words: str) -> list[str]:
        with self._connection.time_limit(self._timeout):
            async with self._connection.write_lock:
                request = await self._connection.write(lambda: self._session.request(*words))
            await self._wait_for(request.ping)
            return request.result()

    async def _wait_for(self, ping: Ping) -> None:
        try:
            await self._connection.wait_for(lambda: ping.done or None)
        finally:
            if not ping.done:
                self._session.forget(ping)
        if ping.error is not None:
            raise ping.error.copy()


class _Items:
    """Yields items. Unlike an async generator, it needs no closing after a `break`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        try:
            return await self._client.receive_item()
        except LocalProtocolError:
            raise StopAsyncIteration from None
