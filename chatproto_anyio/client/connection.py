"""A client's connection over time: made, shared by tasks, lost, made again."""

import secrets
import socket
from collections.abc import Callable
from random import random
from typing import TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from chatproto import (
    Backoff,
    ChatProtocolError,
    ChatSession,
    ChatTimeoutError,
    ConnectionLostError,
    Logout,
)
from chatproto.client.reconnect import Outages, final
from chatproto.wire.errors import again, logged_out
from chatproto_sync.sockets.addresses import Endpoint

from ..streams import close, open_stream, receive, send
from .deadline import deadline

_T = TypeVar("_T")


class Link:
    """What carries a session's bytes.

    Args:
        session: Who decides.
        endpoint: Where to connect to.
        timeout: Seconds that an attempt to connect and log in may take; None for any number.
        backoff: How to get a connection back; None for not at all.
    """

    def __init__(
        self,
        session: ChatSession,
        endpoint: Endpoint[socket.socket | ByteStream],
        timeout: float | None,
        backoff: Backoff | None,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._timeout = timeout
        self._outages = Outages(backoff, random)
        self._stream: ByteStream | None = None
        # Why there will be no stream any more.
        self._error: ChatProtocolError | None = None
        self._connecting = False
        # What `close` does not wait for.
        self._attempt: anyio.CancelScope | None = None
        self._reading = False
        # Set and replaced when any of the above has changed.
        self._news = anyio.Event()
        self.turn = anyio.Lock()
        """Held by the task that writes."""

    async def write(self, make: Callable[[], tuple[bytes, _T]]) -> _T:
        """Write something whole, on this connection or the next. Only who has the turn may.

        Cancelled in the middle of writing, it closes the connection.

        Args:
            make: Called when there is a connection; gives what to write, and the echo that is to
                come back if it is to.
        """
        while True:
            stream = await self._connected()
            # Rather now than when a part of the line may be written.
            await anyio.lowlevel.checkpoint_if_cancelled()
            data, result = make()
            try:
                await send(stream, data)
            except ConnectionLostError as error:
                await self._lose(stream, error)
                if result is not None:
                    # The next connection could prove nothing for this one.
                    reason = self._session.ended or error
                    raise again(reason) from reason.__cause__
                # The server runs no line that it did not get whole: saying it again is safe.
            except BaseException:
                await self._lose(stream, ConnectionLostError("a line could not be finished"))
                raise
            else:
                if result is None:
                    self._session.said(lost=stream is not self._stream)
                return result

    def take(self, take: Callable[[], _T | None]) -> _T | None:
        """Take something from the session if it is there."""
        full = not self._session.hungry
        result = take()
        if full:
            # Somebody may wait for room.
            self._tell()
        return result

    async def wait_for(self, take: Callable[[], _T | None]) -> _T:
        """Read until `take` gives something. One task reads, the others wait for what it hears.

        Cancelled, it has changed nothing.

        Args:
            take: Looks into the session; None for "not yet".
        """
        while True:
            # What was heard before the connection was lost counts.
            if (result := self.take(take)) is not None:
                # Whoever takes one message after the other lets others run.
                await anyio.lowlevel.cancel_shielded_checkpoint()
                return result
            stream = await self._connected()
            if (result := self.take(take)) is not None:
                return result
            if self._reading or not self._session.hungry:
                await self._news.wait()
                continue
            self._reading = True
            try:
                await self._read(stream)
            finally:
                self._reading = False
                self._tell()

    async def log_in(self) -> None:
        """Connect, and wait until it is decided whether the server takes the name."""
        stream = await open_stream(self._endpoint)
        try:
            data, echo = self._session.start(secrets.token_hex(8).encode())
            await send(stream, data)
            while not echo.done:
                self._session.hear(await receive(stream))
            error = echo.error or self._session.ended or self._error
            if error is not None:
                raise again(error)
        except BaseException:
            await close(stream)
            raise
        self._stream = stream

    async def log_out(self) -> None:
        """Say LOGOUT if there is a connection, and wait until the server has closed it."""
        stream = self._stream
        if stream is None:
            return
        async with self.turn:
            if stream is self._stream and not self._session.logged_out:
                await send(stream, self._session.send(Logout()))
        await self.wait_for(lambda: self._stream is None or None)

    async def drop(self, text: str) -> None:
        """Lose the connection, if there is one, because of what has happened here."""
        if self._stream is not None:
            await self._lose(self._stream, ConnectionLostError(text))

    async def close(self) -> None:
        """Close, for good. Tasks that wait here lose what they wait for."""
        self._error = logged_out()
        self._session.lose(self._error)
        stream, self._stream = self._stream, None
        if self._attempt is not None:
            self._attempt.cancel()
        self._tell()
        if stream is not None:
            await close(stream)

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def _read(self, stream: ByteStream) -> None:
        try:
            data = await receive(stream)
        except ConnectionLostError as error:
            await self._lose(stream, error)
            return
        if stream is not self._stream:
            return
        self._session.hear(data)
        if self._session.ended is not None:
            await self._lose(stream, self._session.ended)

    async def _lose(self, stream: ByteStream, error: ChatProtocolError) -> None:
        """Take note that a connection is over, and close it."""
        if stream is self._stream:
            self._stream = None
            self._session.lose(error)
            error = self._session.ended or error
            if not self._outages.begin(error, anyio.current_time()):
                self._error = error
            self._tell()
        await close(stream)

    async def _connected(self) -> ByteStream:
        """The connection, once there is one. One task makes it, the others wait."""
        while True:
            if self._stream is not None:
                return self._stream
            if self._error is not None:
                raise again(self._error)
            if self._connecting:
                await self._news.wait()
                continue
            self._connecting = True
            try:
                await self._reconnect()
            finally:
                self._connecting = False
                self._tell()

    async def _reconnect(self) -> None:
        """Make one attempt, when it is time for it."""
        while self._error is None and (wait := self._outages.due - anyio.current_time()) > 0:
            with anyio.move_on_after(wait):
                await self._news.wait()
        if self._error is not None:
            return
        try:
            # `close` does not wait for it.
            with anyio.CancelScope() as self._attempt, deadline(self._timeout):
                await self.log_in()
        except ChatProtocolError as error:
            self._fail(error)
        except anyio.get_cancelled_exc_class():
            # Or somebody who never waits long enough would try for ever.
            self._fail(ChatTimeoutError("nobody has waited for the connection"))
            raise
        else:
            if self._stream is not None:
                self._session.reconnected(self._outages.end(anyio.current_time()))

    def _fail(self, error: ChatProtocolError) -> None:
        """Take note that an attempt has failed."""
        if not self._outages.failed(error, anyio.current_time()) and self._error is None:
            self._error = final(error)
