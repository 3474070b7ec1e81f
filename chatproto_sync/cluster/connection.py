"""One connection to Redis: commands go out at once, replies come in in the same order."""

import os
import socket
from collections import deque
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, Final, TypeAlias, cast

from hiredis import ProtocolError, Reader, ReplyError, pack_command

from chatproto import visible

from ..sockets.addresses import prepare
from ..sockets.errors import reason_of
from ..sockets.poller import GONE, READ, WRITE, Poller
from ..sockets.tls import WANTS_READ, WANTS_WRITE, is_tls, start_tls, words_of
from .replies import words_of_reply

ANSWER_TIMEOUT: Final = 3.0
"""Seconds without a byte from Redis, or for it, after which the connection is given up, while
something is outstanding: the connection itself, the TLS handshake, or a reply. A command may block
for less than that."""

READ_SIZE: Final = 1 << 18
"""Most bytes read at once."""

Command: TypeAlias = tuple[bytes | str | int, ...]
"""A command of Redis, and its arguments."""

Reply: TypeAlias = Any
"""A reply as hiredis returns it: bytes, an int, None, or a list of replies."""

Then: TypeAlias = Callable[[Reply], None]
"""Called with the reply to a command. An error does not get there: it ends the connection."""

# hiredis declares a tuple of one item, but means any number of them.
pack: Final = cast("Callable[[Command], bytes]", pack_command)
"""Encodes a command."""


def ignore(_reply: Reply) -> None:
    """Do nothing with a reply."""


class RedisConnection:
    """A connection to Redis that never waits.

    Commands may be sent at once: they wait for the connection and for TLS. After a failure,
    `error` says what it was, and nothing happens any more.

    Args:
        poller: What watches the socket.
        family: The family of the address.
        address: The address, as `socket.connect` takes it.
        context: The context for TLS; None for no TLS.
        hostname: The host name that the certificate of Redis has to be for.
        now: The time in seconds.
    """

    def __init__(
        self,
        poller: Poller[Any],
        family: int,
        address: Any,
        context: SSLContext | None,
        hostname: str,
        now: float,
    ) -> None:
        self.error: str = ""
        """Why the connection is over, in words that go on "Redis at HOST: "; empty while it is
        not."""
        self.refused: str = ""
        """The error that Redis has answered, as it stands, if that is why."""
        self.connected: bool = False
        """Whether the other end has taken the connection, and TLS if that is used."""
        self._poller = poller
        self._context = context
        self._hostname = hostname
        self._is_lazy = False
        self._has_answered = False
        self._replies = Reader()
        self._expected: deque[Then] = deque()
        # What is to be written. The first part may be what is left of a command.
        self._unsent: deque[bytes | memoryview] = deque()
        # The time of the last progress, or of the first thing since then that is outstanding.
        self._since = now
        self._now = now
        self._events = 0
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect(address)
        except BlockingIOError:
            self._watch(WRITE)
        except OSError as error:
            self._fail(str(reason_of(error)))
        else:
            self._watch(WRITE)

    def send(self, packed: bytes, *handlers: Then) -> None:
        """Send commands, one for each handler of a reply, packed one after the other."""
        if self.error:
            return
        if not self._expected:
            self._since = self._now
        self._expected.extend(handlers)
        self._unsent.append(packed)
        if self.connected and len(self._unsent) == 1:
            self._write()

    def be_lazy(self) -> None:
        """Leave replies unread until somebody calls `read`, so that a reply wakes nobody."""
        self._is_lazy = True
        if self.connected and not self._unsent:
            self._watch(GONE)

    def ready(self, events: int) -> None:
        """Go on with the connection, write, and read."""
        if not self.connected:
            try:
                self._open()
            except OSError as error:
                self._fail_by(error)
        elif self._unsent:
            self._write()
        if events != WRITE:
            # The poller reports some things once only, such as the end of the stream.
            self.read(until_dry=events != READ)

    def read(self, *, until_dry: bool = False) -> None:
        """Handle the replies that are there.

        Args:
            until_dry: Whether to go on until there is nothing more, not even the end of the stream.
        """
        while self.connected:
            try:
                data = self._socket.recv(READ_SIZE)
            except (BlockingIOError, WANTS_READ):
                return
            except WANTS_WRITE:
                self._watch(WRITE | READ)
                return
            except OSError as error:
                self._fail_by(error)
                return
            if not data:
                self._fail(self._words_of_close())
                return
            self._since = self._now
            self._has_answered = True
            self._replies.feed(data)
            self._handle()
            if len(data) < READ_SIZE and not until_dry and not is_tls(self._socket):
                return

    def tick(self, now: float) -> None:
        """Note the time. Give the connection up if something is outstanding for too long."""
        self._now = now
        if self._is_overdue():
            # It may have answered while this process was stopped.
            self.read()
            if self._is_overdue():
                self._fail(
                    "it does not answer"
                    if self.connected or self._context is None
                    else "it does not answer; if it uses no TLS, the URL of the cluster begins with"
                    " redis://"
                )

    def close(self) -> None:
        """Close the connection. You may call it twice."""
        self._fail("the connection is closed")

    def _is_overdue(self) -> bool:
        is_idle = self.connected and not self._expected
        return not self.error and not is_idle and self._now - self._since > ANSWER_TIMEOUT

    def _open(self) -> None:
        """Go on with what comes before the first command."""
        if self._context is not None and is_tls(self._socket):
            try:
                self._socket.do_handshake()
            except WANTS_READ:
                self._watch(READ)
                return
            except WANTS_WRITE:
                self._watch(WRITE)
                return
        else:
            failure = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure:
                raise OSError(failure, os.strerror(failure))
            prepare(self._socket)
            self._since = self._now
            if self._context is not None:
                self._begin_tls(self._context)
                return
        self._since = self._now
        self.connected = True
        self._write()

    def _begin_tls(self, context: SSLContext) -> None:
        self._watch(0)
        try:
            self._socket = start_tls(
                self._socket, context, server_side=False, server_hostname=self._hostname
            )
        except (TypeError, ValueError):
            self._fail(f"{visible(self._hostname)} is no host name that a certificate can have")
        else:
            self._open()

    def _write(self) -> None:
        try:
            while self._unsent:
                part = self._unsent[0]
                sent = self._socket.send(part)
                self._since = self._now
                if sent < len(part):
                    self._unsent[0] = memoryview(part)[sent:]
                else:
                    self._unsent.popleft()
        except (BlockingIOError, WANTS_WRITE):
            self._watch(READ | WRITE)
        except WANTS_READ:
            self._watch(READ)
        except OSError as error:
            self._fail_by(error)
        else:
            self._watch(GONE if self._is_lazy else READ)

    def _handle(self) -> None:
        """Give each complete reply to its handler."""
        gets, expected = self._replies.gets, self._expected
        while not self.error:
            try:
                reply = gets()
            except ProtocolError:
                self._fail("what it sends is no protocol of Redis: something else is there")
                return
            if reply is False:
                # hiredis has no complete reply. RESP2 has no booleans.
                return
            if isinstance(reply, ReplyError):
                self.refused = str(reply)
                self._fail(words_of_reply(self.refused))
                return
            if not expected:
                self._fail("it sends replies that nobody has asked for")
                return
            expected.popleft()(reply)

    def _watch(self, events: int) -> None:
        before, self._events = self._events, events
        if events == before:
            return
        if not events:
            self._poller.unregister(self._socket)
        elif before:
            self._poller.modify(self._socket, events, self)
        else:
            self._poller.register(self._socket, events, self)

    def _fail_by(self, error: OSError) -> None:
        is_close = self.connected and isinstance(error, ConnectionError)
        self._fail(self._words_of_close() if is_close else words_of(error))

    def _words_of_close(self) -> str:
        if self._has_answered or self._context is not None:
            return "it has closed the connection"
        return (
            "it has closed the connection at once; if it uses TLS, the URL of the cluster begins"
            " with rediss://"
        )

    def _fail(self, reason: str) -> None:
        if self.error:
            return
        self.error = reason
        self.connected = False
        self._watch(0)
        self._socket.close()
        self._expected.clear()
        self._unsent.clear()
