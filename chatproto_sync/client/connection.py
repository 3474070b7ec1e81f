"""A client's connection over time: made, shared by threads, lost, and made again."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

from chatproto import (
    Backoff,
    ChatProtocolError,
    ChatSession,
    Confirmation,
    ConnectionLostError,
    GroupRequest,
    Logout,
    Ping,
    ReconnectState,
)

from ..sockets.addresses import Endpoint
from ..sockets.errors import login_lost
from .deadline import DAY, Deadline
from .runtime import Runtime, Stream

_T = TypeVar("_T")
_AnswerT = TypeVar("_AnswerT", Ping, GroupRequest, Confirmation, None)


class ClientConnection:
    """Carries a session's bytes, over one stream after another.

    Args:
        session: The session.
        endpoint: Where to connect to.
        timeout: Seconds that an attempt to connect and log in may take; None for no limit.
        backoff: When to connect again; None for never.
        runtime: What to take from the system.
    """

    def __init__(
        self,
        session: ChatSession,
        endpoint: Endpoint[socket.socket],
        timeout: float | None,
        backoff: Backoff | None,
        runtime: Runtime,
    ) -> None:
        self._session = session
        self._runtime = runtime
        self._endpoint = endpoint
        self._timeout = timeout
        self._reconnect_state = ReconnectState(backoff, runtime.random)
        self._stream: Stream | None = None
        # The stream of an attempt to connect, so that `close` can end the attempt.
        self._attempt: Stream | None = None
        self._connecting = False
        # The stream that a thread waits for. That thread reads, and tells the others.
        self._awaited: Stream | None = None
        # Guards the session and all of the above, and tells threads of changes. `_take`, `_events`,
        # `_read` and `_lose` need it.
        self._changed = runtime.condition()
        self._write_lock = runtime.lock()

    def monotonic(self) -> float:
        """The time in seconds, on a clock that does not run backwards."""
        return self._runtime.monotonic()

    def deadline(self, seconds: float | None) -> Deadline:
        """The deadline of a call that may take that many seconds; None for no limit."""
        return self._runtime.deadline(seconds)

    @contextlib.contextmanager
    def write_lock(self, deadline: Deadline) -> Iterator[None]:
        """Hold the lock that `write` needs."""
        acquired = False
        while not acquired:
            left = deadline.left()
            acquired = self._write_lock.acquire(timeout=-1 if left is None else left)
        try:
            yield
        finally:
            self._write_lock.release()

    def write(self, make: Callable[[], tuple[bytes, _AnswerT]], deadline: Deadline) -> _AnswerT:
        """Write a line, or several, on this connection or the next. Needs the `write_lock`.

        Args:
            make: Called once there is a connection. Returns the bytes to write, and the ping, the
                request or the confirmation that they contain, if they do.
            deadline: When to stop. If only some of the bytes are written, the connection ends.

        Returns:
            The ping, the request or the confirmation.
        """
        while True:
            stream = self._connected(deadline)
            with self._changed:
                # Notice a loss before the line is written to that connection.
                self._look(stream)
                if stream is not self._stream:
                    continue
                data, answer = make()
                if answer is None:
                    # The heartbeat goes in front of the line: if only a part of both is written,
                    # the line is written again. A line that has an answer needs no heartbeat.
                    data = self._session.take_heartbeat(self._runtime.monotonic()) + data
            try:
                self._send(stream, data, deadline)
            except ConnectionLostError as error:
                with self._changed:
                    self._lose(stream, error)
                if answer is not None:
                    # An answer on the next connection could prove nothing about this one.
                    reason = self._session.error or error
                    raise reason.copy() from reason.__cause__
                # The server does not run an incomplete line, so writing it again is safe.
            except BaseException:
                with self._changed:
                    self._lose(stream, ConnectionLostError("a line could not be finished"))
                raise
            else:
                if answer is None:
                    with self._changed:
                        self._session.sent(lost=stream is not self._stream)
                return answer

    def take(self, take: Callable[[], _T | None]) -> _T | None:
        """Take something from the session if it is there."""
        with self._changed:
            return self._take(take)

    def wait_for(self, take: Callable[[], _T | None], deadline: Deadline) -> _T:
        """Read until `take` returns something. One thread reads, the others wait for it.

        Args:
            take: Looks into the session; returns None for "not yet".
            deadline: When to stop, with nothing changed.
        """
        while True:
            # What was received before the connection was lost counts.
            if (result := self.take(take)) is not None:
                return result
            stream = self._connected(deadline)
            try:
                return self._read_until(stream, take, deadline)
            except ConnectionLostError as error:
                with self._changed:
                    self._lose(stream, error)

    def open(self) -> None:
        """Make the first connection, and log in. If the backoff says so, try again until then.

        Raises:
            ChatProtocolError: The last attempt has failed: see `connect`.
        """
        state = self._reconnect_state
        state.begin(self.monotonic())
        while self._stream is None:
            self._wait_for_next_attempt(self.deadline(None))
            try:
                self.log_in(self.deadline(self._timeout))
            except ChatProtocolError as error:
                state.attempt_failed(error, self.monotonic())
                if state.error is not None:
                    raise
        state.connected(self.monotonic())

    def log_in(self, deadline: Deadline) -> None:
        """Connect, and wait until the server has accepted or refused the name."""
        stream = self._runtime.stream()
        with self._changed:
            if self._reconnect_state.error is not None:
                raise self._reconnect_state.error.copy()
            self._attempt = stream
        try:
            stream.open(self._endpoint, deadline)
            try:
                self._start(stream, deadline)
            except ConnectionLostError as error:
                lost = login_lost(self._endpoint, error, self._session.first_byte)
                raise lost from lost.__cause__
        except BaseException:
            stream.close()
            raise

    def _start(self, stream: Stream, deadline: Deadline) -> None:
        """Use a stream if the server accepts the login."""
        with self._changed:
            data, ping = self._session.start()
        self._send(stream, data, deadline)
        self._read_until(stream, lambda: ping.done or None, deadline)
        with self._changed:
            if (reason := ping.error or self._session.error) is not None:
                raise reason.copy()
            self._stream = stream
            self._session.tick(self._runtime.monotonic())

    def log_out(self, deadline: Deadline) -> None:
        """Send LOGOUT if there is a connection, and wait until the server has closed it."""
        if self._stream is None:
            return
        with self.write_lock(deadline):
            with self._changed:
                stream = None if self._session.logged_out else self._stream
                data = b"" if stream is None else self._session.send(Logout())
            if stream is not None:
                self._send(stream, data, deadline)
        self.wait_for(lambda: self._stream is None or None, deadline)

    def abort(self, text: str) -> None:
        """End the connection, if there is one; a client that reconnects makes the next one.

        Args:
            text: Why, for people.
        """
        with self._changed:
            if self._stream is not None:
                self._lose(self._stream, ConnectionLostError(text))

    def close(self) -> None:
        """End the connection for good. Threads that wait in other methods raise."""
        with self._changed:
            self._reconnect_state.stop(self._session.close())
            streams = self._stream, self._attempt
            self._stream = None
            self._changed.notify_all()
        for stream in streams:
            if stream is not None:
                stream.close()

    def _take(self, take: Callable[[], _T | None]) -> _T | None:
        was_full = not self._session.wants_data
        result = take()
        if was_full and self._session.wants_data:
            # A thread may wait for room, or for the stream with the queue full.
            self._changed.notify_all()
            if self._awaited is not None:
                self._awaited.watch(self._events(self._awaited))
        return result

    def _send(self, stream: Stream, data: bytes, deadline: Deadline) -> None:
        """Write all of `data`.

        While the system takes no data, read what arrives: the server may take nothing more from
        this client until the client has read.
        """
        unsent = memoryview(data)

        def send_rest() -> Literal[True] | None:
            nonlocal unsent
            unsent = unsent[stream.send(unsent) :]
            return None if unsent else True

        self._read_until(stream, send_rest, deadline)

    def _read_until(self, stream: Stream, take: Callable[[], _T | None], deadline: Deadline) -> _T:
        """Read from a stream until `take` returns something.

        Args:
            stream: The stream.
            take: Called first, and again after each change. Returns None for "not yet".
            deadline: When to stop.

        Raises:
            ChatTimeoutError: It took too long.
            ConnectionLostError: The stream failed, or is closed.
        """
        while True:
            with self._changed:
                if (result := self._take(take)) is not None:
                    return result
                if stream.closed:
                    raise ConnectionLostError("the connection is closed")
                # Check in each pass: a server can always send something more to read.
                left = deadline.left()
                if self._awaited is not stream and self._read(stream):
                    continue
                heartbeat = self._begin_heartbeat(stream)
                if not heartbeat:
                    if events := self._events(stream):
                        stream.watch(events)
                    if self._awaited is stream or not events:
                        self._changed.wait(left)
                        continue
                    self._awaited = stream
                    left = self._until_tick(stream, left)
            if heartbeat:
                self._finish_heartbeat(stream, heartbeat, deadline)
                continue
            try:
                stream.wait(left)
            finally:
                with self._changed:
                    if self._awaited is stream:
                        self._awaited = None
                    self._changed.notify_all()

    def _look(self, stream: Stream) -> None:
        """Read once, unless another thread does, and apply the heartbeat."""
        if self._awaited is not stream:
            try:
                self._read(stream)
            except ConnectionLostError as error:
                self._lose(stream, error)
            self._tick(stream)

    def _tick(self, stream: Stream) -> None:
        """Apply the heartbeat. Call this after reading what has arrived."""
        session = self._session
        if session.heartbeat is not None and stream is self._stream and session.wants_data:
            session.tick(self._runtime.monotonic())
            if session.error is not None:
                self._lose(stream, session.error)

    def _until_tick(self, stream: Stream, left: float | None) -> float | None:
        """How long to wait, for at most `left` seconds, until the heartbeat needs a look."""
        if self._session.heartbeat is None or stream is not self._stream:
            return left
        until_tick = max(0.0, self._session.next_tick - self._runtime.monotonic())
        return min(until_tick, DAY if left is None else left)

    def _begin_heartbeat(self, stream: Stream) -> bytes:
        """Apply the heartbeat. Call this after reading what has arrived.

        Returns:
            The bytes of a heartbeat to write, for which this takes the `write_lock`; or no bytes.
        """
        if self._awaited is stream:
            return b""
        self._tick(stream)
        if stream is not self._stream or not self._session.heartbeat_due:
            return b""
        # If the lock is taken, a line is being written. The writer of the next line adds the
        # heartbeat.
        if not self._write_lock.acquire(blocking=False):
            return b""
        return self._session.take_heartbeat(self._runtime.monotonic())

    def _finish_heartbeat(self, stream: Stream, data: bytes, deadline: Deadline) -> None:
        """Write a heartbeat, and release the `write_lock`."""
        try:
            self._send(stream, data, deadline)
        except ConnectionLostError:
            raise
        except BaseException:
            with self._changed:
                self._lose(stream, ConnectionLostError("a line could not be finished"))
            raise
        finally:
            self._write_lock.release()

    def _events(self, stream: Stream) -> int:
        """The events to wait for: data to read, and room for data that is left to send."""
        return (stream.receive_event if self._session.wants_data else 0) | stream.send_event

    def _read(self, stream: Stream) -> bool:
        """Read what has arrived, if there is room for it.

        Returns:
            Whether something has.

        Raises:
            ConnectionLostError: The stream failed, or is closed.
        """
        if not self._session.wants_data or (data := stream.receive()) is None:
            return False
        if data:
            self._session.receive_data(data)
        else:
            self._session.receive_eof()
        if self._session.error is not None:
            self._lose(stream, self._session.error)
        self._changed.notify_all()
        return True

    def _lose(self, stream: Stream, error: ChatProtocolError) -> None:
        """Close a stream, and report that if it was the current one."""
        if stream is self._stream:
            self._stream = None
            self._session.connection_lost(error)
            reason = self._session.error or error
            self._reconnect_state.connection_lost(reason, self._runtime.monotonic())
            if self._reconnect_state.error is None:
                self._session.disconnected(reason)
            self._changed.notify_all()
        stream.close()

    def _connected(self, deadline: Deadline) -> Stream:
        """Wait for a connection. One thread makes it, the others wait."""
        while True:
            with self._changed:
                if self._stream is not None:
                    return self._stream
                if self._reconnect_state.error is not None:
                    raise self._reconnect_state.error.copy()
                if self._connecting:
                    self._changed.wait(deadline.left())
                    continue
                self._connecting = True
            try:
                self._reconnect(deadline)
            finally:
                with self._changed:
                    self._connecting = False
                    self._changed.notify_all()

    def _reconnect(self, deadline: Deadline) -> None:
        """Make one attempt, when it is time for it."""
        state = self._reconnect_state
        self._wait_for_next_attempt(deadline)
        if state.error is not None:
            return
        try:
            self.log_in(deadline.at_most(self._timeout))
        except ChatProtocolError as error:
            with self._changed:
                state.attempt_failed(error, self._runtime.monotonic())
            if deadline.passed:
                # Other callers may still get what they wait for, but not this one.
                raise
        else:
            with self._changed:
                self._session.reconnected(state.connected(self._runtime.monotonic()))

    def _wait_for_next_attempt(self, deadline: Deadline) -> None:
        """Wait until it is time for an attempt, or `close` is called."""
        state = self._reconnect_state
        with self._changed:
            while (
                state.error is None and (wait := state.next_attempt - self._runtime.monotonic()) > 0
            ):
                left = deadline.left()
                self._changed.wait(wait if left is None else min(wait, left))
