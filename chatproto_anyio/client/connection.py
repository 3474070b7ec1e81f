"""A client's connection over time: made, shared by tasks, lost, and made again."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from chatproto import (
    Backoff,
    ChatProtocolError,
    ChatSession,
    ChatTimeoutError,
    Confirmation,
    ConnectionLostError,
    GroupRequest,
    Logout,
    Ping,
    ReconnectState,
)
from chatproto_sync.sockets.addresses import Endpoint
from chatproto_sync.sockets.errors import login_lost

from ..streams import SendRoom, close, receive, send
from .runtime import Runtime
from .time_limit import MINIMUM

_T = TypeVar("_T")
_AnswerT = TypeVar("_AnswerT", Ping, GroupRequest, Confirmation, None)


class ClientConnection:
    """Carries a session's bytes, over one stream after another.

    Args:
        session: The session.
        endpoint: Where to connect to.
        timeout: Seconds that an attempt to connect and log in may take; None for no limit.
        backoff: When to connect again; None for never.
        runtime: What to take from the event loop.
    """

    def __init__(
        self,
        session: ChatSession,
        endpoint: Endpoint[socket.socket | ByteStream],
        timeout: float | None,
        backoff: Backoff | None,
        runtime: Runtime,
    ) -> None:
        self._session = session
        self._runtime = runtime
        self._endpoint = endpoint
        self._timeout = timeout
        self._reconnect_state = ReconnectState(backoff, runtime.random)
        self._stream: ByteStream | None = None
        self._room: SendRoom | None = None
        # An attempt to connect, which `close` can cancel.
        self._attempt: anyio.CancelScope | None = None
        self._connecting = False
        self._reading = False
        # Set and replaced when any of the above has changed.
        self._changed = anyio.Event()
        self.write_lock: anyio.Lock = anyio.Lock()
        """The lock that `write` needs."""

    def current_time(self) -> float:
        """The time in seconds, on a clock that does not run backwards."""
        return self._runtime.current_time()

    def time_limit(self, seconds: float | None) -> AbstractContextManager[None]:
        """Cancel the block when it takes too long.

        Args:
            seconds: How long it may take; None for no limit.
        """
        return self._runtime.time_limit(seconds)

    async def write(self, make: Callable[[], tuple[bytes, _AnswerT]]) -> _AnswerT:
        """Write a line, or several, on this connection or the next. Needs the `write_lock`.

        If it is cancelled while a line is being written, the connection ends.

        Args:
            make: Called once there is a connection. Returns the bytes to write, and the ping, the
                request or the confirmation in them; None if they hold none of these.

        Returns:
            The ping, the request or the confirmation; None if there is none.
        """
        while True:
            stream = await self._connected()
            # Otherwise the line could be written to a connection that is known to be lost.
            await self._look(stream)
            # Raise here if the task is cancelled: later, a part of the line may be written already.
            await anyio.lowlevel.checkpoint_if_cancelled()
            if stream is not self._stream:
                continue
            data, answer = make()
            if answer is None:
                # The heartbeat goes first. So if a part of the data is missing, the line is not
                # complete, and is written again. A ping or a request needs no heartbeat.
                data = self._session.take_heartbeat(self._runtime.current_time()) + data
            try:
                await self._send(stream, data)
            except ConnectionLostError as error:
                await self._lose(stream, error)
                if answer is not None:
                    # An answer on the next connection would prove nothing about this one.
                    reason = self._session.error or error
                    raise reason.copy() from reason.__cause__
                # The server does not run an incomplete line, so writing it again is safe.
            except BaseException:
                await self._lose(stream, ConnectionLostError("a line could not be finished"))
                raise
            else:
                if answer is None:
                    self._session.sent(lost=stream is not self._stream)
                return answer

    def take(self, take: Callable[[], _T | None]) -> _T | None:
        """Take something from the session if it is there."""
        was_full = not self._session.wants_data
        result = take()
        if was_full and self._session.wants_data:
            # A task may wait for room.
            self._notify_all()
        return result

    async def wait_for(self, take: Callable[[], _T | None]) -> _T:
        """Read until `take` returns something. One task reads, the others wait for it.

        If it is cancelled, nothing has changed.

        Args:
            take: Looks into the session; returns None for "not yet".
        """
        while True:
            # Look first: what was received before the connection was lost still counts.
            if (result := self.take(take)) is not None:
                # Let other tasks run, even if this one takes one message after the other.
                await anyio.lowlevel.cancel_shielded_checkpoint()
                return result
            stream = await self._connected()
            if (result := self.take(take)) is not None:
                return result
            await self._read_or_wait(stream)

    async def open(self) -> None:
        """Make the first connection, and log in. If the backoff says so, try again until then.

        Raises:
            ChatProtocolError: The last attempt has failed: see `chatproto_sync.connect`.
        """
        state = self._reconnect_state
        state.begin(self.current_time())
        while self._stream is None:
            await self._wait_for_next_attempt()
            try:
                with self.time_limit(self._timeout):
                    await self.log_in()
            except ChatProtocolError as error:
                state.attempt_failed(error, self.current_time())
                if state.error is not None:
                    raise
        state.connected(self.current_time())

    async def log_in(self) -> None:
        """Connect, and wait until the server has accepted or refused the name."""
        stream = await self._runtime.open_stream(self._endpoint)
        try:
            data, ping = self._session.start()
            await send(stream, data)
            while not ping.done:
                self._feed(await receive(stream))
            if (reason := ping.error or self._session.error) is not None:
                raise reason.copy()
        except ConnectionLostError as error:
            await close(stream)
            lost = login_lost(self._endpoint, error, self._session.first_byte)
            raise lost from lost.__cause__
        except BaseException:
            await close(stream)
            raise
        self._stream, self._room = stream, SendRoom(stream)
        self._session.tick(self._runtime.current_time())

    async def log_out(self) -> None:
        """Send LOGOUT if there is a connection, and wait until the server has closed it."""
        stream = self._stream
        if stream is None:
            return
        async with self.write_lock:
            if stream is self._stream and not self._session.logged_out:
                await self._send(stream, self._session.send(Logout()))
        await self.wait_for(lambda: self._stream is None or None)

    async def abort(self, text: str) -> None:
        """End the connection, if there is one; a client that reconnects makes the next one.

        Args:
            text: Why, for people.
        """
        if self._stream is not None:
            await self._lose(self._stream, ConnectionLostError(text))

    async def close(self) -> None:
        """End the connection for good. Tasks that wait in other methods raise."""
        self._reconnect_state.stop(self._session.close())
        stream, self._stream = self._stream, None
        if self._attempt is not None:
            self._attempt.cancel()
        self._notify_all()
        if stream is not None:
            await close(stream)

    def _notify_all(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _feed(self, data: bytes) -> None:
        if data:
            self._session.receive_data(data)
        else:
            self._session.receive_eof()

    async def _send(self, stream: ByteStream, data: bytes) -> None:
        """Write all of `data`.

        While the system does not take the data, read what arrives: the server may stop reading
        from this client until the client has read.

        Raises:
            ConnectionLostError: The stream failed, or is closed.
        """
        if self._room is not None and self._room.takes(len(data)):
            await send(stream, data)
            return
        lost: ConnectionLostError | None = ConnectionLostError("the connection is closed")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read_until_lost, stream, tasks.cancel_scope)
            try:
                await send(stream, data)
            except ConnectionLostError as error:
                lost = error
            else:
                lost = None
            tasks.cancel_scope.cancel()
        if lost is not None:
            raise lost

    async def _read_until_lost(self, stream: ByteStream, scope: anyio.CancelScope) -> None:
        while stream is self._stream:
            await self._read_or_wait(stream)
        scope.cancel()

    async def _read_or_wait(self, stream: ByteStream) -> None:
        """Read once if there is room and no other task reads; otherwise wait for a change."""
        if self._reading or not self._session.wants_data:
            await self._changed.wait()
            return
        if self._session.heartbeat_due and await self._send_heartbeat(stream):
            return
        self._reading = True
        try:
            await self._read(stream)
        finally:
            self._reading = False
            self._notify_all()

    async def _read(self, stream: ByteStream) -> None:
        """Read once, but wait only until the heartbeat needs a look."""
        session = self._session
        data = None
        try:
            if session.heartbeat is None:
                data = await receive(stream)
            else:
                until_tick = session.next_tick - self._runtime.current_time()
                with self._runtime.move_on_after(max(until_tick, MINIMUM)):
                    data = await receive(stream)
        except ConnectionLostError as error:
            await self._lose(stream, error)
            return
        except anyio.get_cancelled_exc_class():
            # The heartbeat gets its look even if no caller ever waits long enough.
            if self._runtime.current_time() >= session.next_tick:
                await self._tick(stream)
            raise
        if stream is not self._stream:
            return
        if data is not None:
            self._feed(data)
        await self._tick(stream)

    async def _tick(self, stream: ByteStream) -> None:
        """Apply the heartbeat. Close the stream if its connection is over."""
        if stream is self._stream:
            if self._session.heartbeat is not None:
                self._session.tick(self._runtime.current_time())
            if self._session.error is not None:
                await self._lose(stream, self._session.error)

    async def _look(self, stream: ByteStream) -> None:
        """Read if the stream has ended, or if the heartbeat needs a look."""
        if self._room is not None and self._room.ended:
            while stream is self._stream and self._session.wants_data:
                await self._read_or_wait(stream)
        elif (
            self._runtime.current_time() >= self._session.next_tick
            and self._session.wants_data
            and not self._reading
        ):
            await self._read_or_wait(stream)

    async def _send_heartbeat(self, stream: ByteStream) -> bool:
        """Write the heartbeat that is due, if that is possible without waiting for others.

        Returns:
            Whether it was possible. Other tasks may have run meanwhile.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        # While a line is being written, leave the heartbeat to the task that writes the next
        # line. When the system takes nothing, the session tells when to try again.
        if self.write_lock.locked() or self._room is None or self._room.full:
            return False
        async with self.write_lock:
            ready = self._room.takes(0)
            # Empty if something has arrived while this task took the lock.
            data = self._session.take_heartbeat(self._runtime.current_time())
            try:
                # Shield a write that need not wait: to cancel it would only lose the connection.
                with anyio.CancelScope(shield=ready):
                    if data:
                        await self._send(stream, data)
            except ConnectionLostError as error:
                await self._lose(stream, error)
            except BaseException:
                await self._lose(stream, ConnectionLostError("a line could not be finished"))
                raise
        return True

    async def _lose(self, stream: ByteStream, error: ChatProtocolError) -> None:
        """Close a stream, and report that if it was the current one."""
        if stream is self._stream:
            self._stream = None
            self._session.connection_lost(error)
            reason = self._session.error or error
            self._reconnect_state.connection_lost(reason, self._runtime.current_time())
            if self._reconnect_state.error is None:
                self._session.disconnected(reason)
            self._notify_all()
        await close(stream)

    async def _connected(self) -> ByteStream:
        """Wait for a connection. One task makes it, the others wait."""
        while True:
            if self._stream is not None:
                return self._stream
            if self._reconnect_state.error is not None:
                raise self._reconnect_state.error.copy()
            if self._connecting:
                await self._changed.wait()
                continue
            self._connecting = True
            try:
                await self._reconnect()
            finally:
                self._connecting = False
                self._notify_all()

    async def _reconnect(self) -> None:
        """Make one attempt, when it is time for it."""
        state = self._reconnect_state
        await self._wait_for_next_attempt()
        if state.error is not None:
            return
        try:
            with anyio.CancelScope() as self._attempt, self.time_limit(self._timeout):
                await self.log_in()
        except ChatProtocolError as error:
            state.attempt_failed(error, self._runtime.current_time())
        except anyio.get_cancelled_exc_class():
            # Otherwise a caller that never waits long enough would try again for ever.
            reason = ChatTimeoutError("the attempt was cancelled")
            state.attempt_failed(reason, self._runtime.current_time())
            raise
        else:
            # There is no stream if `close` has cancelled the attempt.
            if self._stream is not None:
                self._session.reconnected(state.connected(self._runtime.current_time()))

    async def _wait_for_next_attempt(self) -> None:
        """Wait until it is time for an attempt, or `close` is called."""
        state = self._reconnect_state
        while (
            state.error is None and (wait := state.next_attempt - self._runtime.current_time()) > 0
        ):
            with self._runtime.move_on_after(wait):
                await self._changed.wait()
