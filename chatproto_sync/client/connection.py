"""A client's connection over time: made, shared by threads, lost, made again."""

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from random import random
from typing import TypeVar

from chatproto import Backoff, ChatProtocolError, ChatSession, ConnectionLostError, Logout
from chatproto.client.reconnect import Outages, final
from chatproto.wire.errors import again, logged_out

from ..sockets.addresses import Endpoint
from .deadline import Deadline
from .stream import Transport

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
        endpoint: Endpoint[socket.socket],
        timeout: float | None,
        backoff: Backoff | None,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._timeout = timeout
        self._outages = Outages(backoff, random)
        self._transport: Transport | None = None
        # What `close` does not wait for.
        self._attempt: Transport | None = None
        # Why there will be no transport any more.
        self._error: ChatProtocolError | None = None
        self._connecting = False
        self._reading = False
        # Guards the session and all of the above, and tells of changes.
        self._news = threading.Condition(threading.Lock())
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def turn(self, deadline: Deadline) -> Iterator[None]:
        """Wait for the turn to write."""
        while not self._turn.acquire(timeout=-1 if (left := deadline.left()) is None else left):
            pass
        try:
            yield
        finally:
            self._turn.release()

    def write(self, make: Callable[[], tuple[bytes, _T]], deadline: Deadline) -> _T:
        """Write something whole, on this connection or the next. Only who has the turn may.

        Args:
            make: Called when there is a connection; gives what to write, and the echo that is to
                come back if it is to.
            deadline: Until when. Is it over in the middle of writing, so is the connection.
        """
        while True:
            transport = self._connected(deadline)
            with self._news:
                data, result = make()
            try:
                transport.send(data, deadline)
            except ConnectionLostError as error:
                self._lose(transport, error)
                if result is not None:
                    # The next connection could prove nothing for this one.
                    reason = self._session.ended or error
                    raise again(reason) from reason.__cause__
                # The server runs no line that it did not get whole: saying it again is safe.
            except BaseException:
                self._lose(transport, ConnectionLostError("a line could not be finished"))
                raise
            else:
                if result is None:
                    with self._news:
                        self._session.said(lost=transport is not self._transport)
                return result

    def take(self, take: Callable[[], _T | None]) -> _T | None:
        """Take something from the session if it is there."""
        with self._news:
            return self._take(take)

    def wait_for(self, take: Callable[[], _T | None], deadline: Deadline) -> _T:
        """Read until `take` gives something. One thread reads, the others wait for what it hears.

        Args:
            take: Looks into the session; None for "not yet".
            deadline: Until when. Is it over, nothing has changed.
        """
        while True:
            # What was heard before the connection was lost counts.
            if (result := self.take(take)) is not None:
                return result
            transport = self._connected(deadline)
            with self._news:
                if (result := self._take(take)) is not None:
                    return result
                if self._reading or not self._session.hungry:
                    self._news.wait(deadline.left())
                    continue
                self._reading = True
            try:
                self._read(transport, deadline)
            finally:
                with self._news:
                    self._reading = False
                    self._news.notify_all()

    def log_in(self, deadline: Deadline) -> None:
        """Connect, and wait until it is decided whether the server takes the name."""
        transport = Transport()
        with self._news:
            if self._error is not None:
                raise again(self._error)
            self._attempt = transport
        try:
            transport.open(self._endpoint, deadline)
            with self._news:
                data, echo = self._session.start(secrets.token_hex(8).encode())
            transport.send(data, deadline)
            while not echo.done:
                data = transport.receive(deadline)
                with self._news:
                    self._session.hear(data)
            with self._news:
                error = echo.error or self._session.ended or self._error
                if error is not None:
                    raise again(error)
                self._transport = transport
        except BaseException:
            transport.close()
            raise

    def log_out(self, deadline: Deadline) -> None:
        """Say LOGOUT if there is a connection, and wait until the server has closed it."""
        if self._transport is None:
            return
        with self.turn(deadline):
            with self._news:
                transport = None if self._session.logged_out else self._transport
                data = b"" if transport is None else self._session.send(Logout())
            if transport is not None:
                transport.send(data, deadline)
        self.wait_for(lambda: self._transport is None or None, deadline)

    def drop(self, text: str) -> None:
        """Lose the connection, if there is one, because of what has happened here."""
        transport = self._transport
        if transport is not None:
            self._lose(transport, ConnectionLostError(text))

    def close(self) -> None:
        """Close, for good. Threads that wait here lose what they wait for."""
        with self._news:
            self._error = logged_out()
            self._session.lose(self._error)
            transports = self._transport, self._attempt
            self._transport = None
            self._news.notify_all()
        for transport in transports:
            if transport is not None:
                transport.close()

    def _take(self, take: Callable[[], _T | None]) -> _T | None:
        full = not self._session.hungry
        result = take()
        if full:
            # Somebody may wait for room.
            self._news.notify_all()
        return result

    def _read(self, transport: Transport, deadline: Deadline) -> None:
        try:
            data = transport.receive(deadline)
        except ConnectionLostError as error:
            self._lose(transport, error)
            return
        with self._news:
            if transport is not self._transport:
                return
            self._session.hear(data)
            ended = self._session.ended
        if ended is not None:
            self._lose(transport, ended)

    def _lose(self, transport: Transport, error: ChatProtocolError) -> None:
        """Take note that a connection is over, and close it."""
        with self._news:
            if transport is self._transport:
                self._transport = None
                self._session.lose(error)
                error = self._session.ended or error
                if not self._outages.begin(error, time.monotonic()):
                    self._error = error
                self._news.notify_all()
        transport.close()

    def _connected(self, deadline: Deadline) -> Transport:
        """The connection, once there is one. One thread makes it, the others wait."""
        while True:
            with self._news:
                if self._transport is not None:
                    return self._transport
                if self._error is not None:
                    raise again(self._error)
                if self._connecting:
                    self._news.wait(deadline.left())
                    continue
                self._connecting = True
            try:
                self._reconnect(deadline)
            finally:
                with self._news:
                    self._connecting = False
                    self._news.notify_all()

    def _reconnect(self, deadline: Deadline) -> None:
        """Make one attempt, when it is time for it."""
        with self._news:
            while self._error is None and (wait := self._outages.due - time.monotonic()) > 0:
                left = deadline.left()
                self._news.wait(wait if left is None else min(wait, left))
            if self._error is not None:
                return
        try:
            self.log_in(deadline.at_most(self._timeout))
        except ChatProtocolError as error:
            with self._news:
                if not self._outages.failed(error, time.monotonic()) and self._error is None:
                    self._error = final(error)
            if deadline.passed:
                # Whoever waits for something else can have it, but not this caller.
                raise
        else:
            with self._news:
                self._session.reconnected(self._outages.end(time.monotonic()))
