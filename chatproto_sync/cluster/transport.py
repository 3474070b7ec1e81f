"""The transport of a cluster: keeps a session with Redis, and makes a new one after a failure."""

import logging
import random
import socket
import ssl
import time
from collections.abc import Callable
from math import inf
from typing import Any, Final

from chatproto import (
    Backoff,
    ChatBroker,
    Cluster,
    ClusterError,
    ConnectionLostError,
    ReconnectState,
    Standing,
)

from ..sockets.poller import READ, Handler, Poller, new_poller
from ..sockets.waker import Waker
from .connection import RedisConnection
from .finder import Finder
from .lookup import Address
from .replies import is_temporary, moved_to
from .session import Position, Session
from .url import RedisURL

JOIN_TIMEOUT: Final = 10.0
"""Seconds that a node may take to join the chat when it starts, and the node timeout on top."""

LEAVE_TIMEOUT: Final = 2.0
"""Seconds that a node waits at its end until the other ones know that it leaves."""

WARNING_PAUSE: Final = 60.0
"""Seconds between two warnings that Redis still can't be used."""

BACKOFF: Final = Backoff(first=0.1, cap=1.0, give_up=inf)
"""The waits before attempts to connect again. They are short, because the chat waits meanwhile, and
because a Redis has few nodes."""

POLL: Final = 0.05
"""Most seconds between two looks at the clock while a node joins."""

logger: Final = logging.getLogger("chatproto.server")


class RedisTransport:
    """Moves the entries of a cluster to and from Redis. One more handler in a driver's poller.

    The sockets are in a poller of their own, whose descriptor the driver's poller watches. So they
    can be closed at any time, and a node can join before there is a driver.

    Args:
        cluster: What decides.
        url: Where Redis is, and which chat is meant.
        node_timeout: The `node_timeout` of the cluster.
        clock: Returns seconds that do not run backwards.

    Raises:
        OSError: The system has no descriptor left, or its certificates can't be read.
    """

    def __init__(
        self,
        cluster: Cluster,
        url: RedisURL,
        node_timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cluster: Cluster = cluster
        """What decides."""
        self._url = url
        self._clock = clock
        self._join_timeout = node_timeout + JOIN_TIMEOUT
        self._context = ssl.create_default_context() if url.tls else None
        self._retry = ReconnectState(BACKOFF, random.random)
        self._position = Position()
        # An attempt to connect first finds addresses. Then it tries a session at one after another.
        self._is_finding = False
        self._address: Address = (socket.AF_INET, None)
        self._session: Session | None = None
        self._is_up = False
        # Where Redis Cluster says that the chat is; None to connect to where the URL says.
        self._moved_to: tuple[str, int] | None = None
        # Why the last attempt has failed; empty since the last success.
        self._problem = ""
        # Whether it may pass before the server has to do without.
        self._may_pass = False
        self._warn_at = -inf
        self._has_been_up = False
        self._is_ready = False
        self._leave_until: float | None = None
        self._closed = False
        self._poller: Poller[Handler] = new_poller()
        self._waker = Waker()
        self._poller.register(self._waker, READ, self._waker)
        self._finder = Finder(url, self._poller, self._context, self._waker.wake)

    @property
    def refusal(self) -> str:
        """Why the chat does not take this node, which then has to end; empty while all is well."""
        return self.cluster.refusal

    @property
    def left(self) -> bool:
        """Whether the other nodes know that this one has left, or it need not wait any longer."""
        if self.cluster.left or self.refusal:
            return True
        return self._leave_until is not None and self._clock() >= self._leave_until

    def join(self, broker: ChatBroker[Any]) -> None:
        """Connect to Redis, and join the chat. Wait until that is done.

        Args:
            broker: The broker of the cluster.

        Raises:
            ClusterError: Redis can't be used, the chat does not take this node, or it takes too
                long.
        """
        end = self._clock() + self._join_timeout
        while self.cluster.standing is not Standing.UP:
            now = self._clock()
            broker.tick(now)
            self.tick(now)
            self._poll(0)
            while self.receive():
                pass
            self.flush()
            if self.refusal:
                raise ClusterError(self.refusal)
            if self._problem and not (self._may_pass and now < end):
                raise ClusterError(f"can't use Redis at {self._url.address}: {self._problem}")
            if now >= end:
                raise ClusterError(
                    f"can't join the chat {self._url.chat}: Redis at {self._url.address} takes"
                    f" longer than {self._join_timeout:.0f} seconds"
                )
            self._poll(POLL)
        logger.info(
            "joined the chat %s as node %s, over Redis at %s",
            self._url.chat,
            self.cluster.name,
            self._url.address,
        )

    # What the driver calls

    def fileno(self) -> int:
        """The descriptor that is readable while there is something to receive."""
        return self._poller.fileno()

    def ready(self, _events: int) -> None:
        """Note that there is something to receive."""
        self._is_ready = True

    def receive(self) -> bool:
        """Give the broker some of what has come from Redis.

        Returns:
            Whether there was something. Then the connections of the broker have to be written to,
            before the next call.
        """
        if self._is_ready:
            self._is_ready = False
            self._poll(0)
        return self._session is not None and self._session.receive()

    def flush(self) -> None:
        """Send to Redis what the cluster has to append."""
        session = self._session
        if session is not None and session.is_up:
            session.flush(self._clock())

    def tick(self, now: float) -> None:
        """Notice what takes too long, and connect again when it is time.

        Args:
            now: The time in seconds.
        """
        if self._session is not None:
            self._session.tick(now)
        self._advance(now)
        for event in self.cluster.take_events():
            logger.log(logging.WARNING if event.is_warning else logging.INFO, "%s", event)

    def leave(self) -> None:
        """Begin to leave the chat. `left` says when that is done."""
        self.cluster.leave()
        self._leave_until = self._clock() + LEAVE_TIMEOUT

    def close(self) -> None:
        """Close the connections. You may call it twice."""
        if self._closed:
            return
        self._closed = True
        if self._session is not None:
            self._session.close()
            self._session = None
        self._finder.close()
        self._waker.close()
        self._poller.close()

    def _poll(self, timeout: float) -> None:
        for fd, events in self._poller.poll(timeout):
            # A handler before this one may have closed its socket.
            handler = self._poller.handlers.get(fd)
            if handler is not None:
                handler.ready(events)
        self._advance(self._clock())

    # Connecting

    def _advance(self, now: float) -> None:
        """Do the next thing on the way to a session that is up, as soon as it is possible."""
        session, finder = self._session, self._finder
        if self._closed:
            return
        if session is not None:
            self._watch(session, now)
        elif self._is_finding:
            finder.advance(now)
            if finder.is_done:
                self._is_finding = False
                self._try_next(finder.error, now)
        elif now >= self._retry.next_attempt:
            self._find(now)

    def _find(self, now: float) -> None:
        """Begin an attempt."""
        self._session = None
        self._is_finding = True
        self._finder.start(self._moved_to, now)

    def _try_next(self, reason: str, now: float, refused: str = "") -> None:
        """Begin a session at the next address, or end the attempt if there is none.

        Args:
            reason: Why it was not possible at the address before.
            now: The time in seconds.
            refused: The error that Redis has answered there, if it has.
        """
        self._session = None
        if not self._finder.addresses:
            self._moved_to = None
            self._problem, self._may_pass = reason, is_temporary(refused)
            self._retry.attempt_failed(ConnectionLostError(reason), now)
            if self._has_been_up and now >= self._warn_at:
                self._warn_at = now + WARNING_PAUSE
                logger.warning("can't use Redis at %s, trying again: %s", self._url.address, reason)
            return
        self._address = self._finder.addresses.popleft()
        writer = self._connect(*self._address, now)
        self._session = Session(self.cluster, self._url, self._position, writer)

    def _connect(self, family: int, address: Any, now: float) -> RedisConnection:
        host = self._finder.host
        return RedisConnection(self._poller, family, address, self._context, host, now)

    def _watch(self, session: Session, now: float) -> None:
        """Go on with a session, or end it."""
        if not session.error and session.reader is None and session.writer.connected:
            # To the same server, whatever the host name leads to by now.
            session.start_reading(self._connect(*self._address, now))
        if session.error:
            self._end(session, now)
        elif session.is_up and not self._is_up:
            self._is_up = True
            self._problem = ""
            self._warn_at = -inf
            seconds = self._retry.connected(now)
            if self._has_been_up:
                logger.info(
                    "connected to Redis at %s again, after %s seconds",
                    self._url.address,
                    f"{seconds:.1f}",
                )
            self._has_been_up = True

    def _end(self, session: Session, now: float) -> None:
        """End a session that has failed, and plan the next one."""
        reason, refused = session.error, session.refused
        session.close()
        if self._is_up:
            self._is_up = False
            self._session = None
            self.cluster.set_connected(False)
            self._retry.connection_lost(ConnectionLostError(reason), now)
            logger.warning("lost Redis at %s, connecting again: %s", self._url.address, reason)
            return
        if session.reader is not None:
            # Another address of the host leads to the same Redis.
            self._finder.addresses.clear()
        moved = moved_to(refused)
        if moved is not None and self._moved_to is None:
            host, port = moved
            self._moved_to = host or self._finder.host, port
            self._find(now)
        else:
            self._try_next(reason, now, refused)
