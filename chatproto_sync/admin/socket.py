"""The Unix socket on which those who run a server see and act, in the server's own loop."""

import contextlib
import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path as Folder
from typing import Any, Final

from ..sockets.acceptor import Acceptor
from ..sockets.addresses import DEFAULT_PORT
from ..sockets.driver import logger
from ..sockets.listeners import Listeners, Path, open_listeners
from ..sockets.poller import READ, WRITE, Poller
from ..sockets.unix import credentials_of
from .requests import MAX_REQUEST, Office, answer, refusal

MODE: Final = 0o600
"""The file mode of the socket."""

MAX_CONNECTIONS: Final = 8
"""Most connections at the same time. A further one takes the place of the oldest."""

TIME_LIMIT: Final = 10.0
"""Seconds without a byte after which a connection that does not read its answer is closed."""

WRITE_SIZE: Final = 16384
"""Bytes of an answer that are made before they are written."""

READ_SIZE: Final = 65536
"""Most bytes read at once."""


def open_admin_socket(path: Path) -> Listeners:
    """Listen on a Unix socket that only this user and root can connect to.

    The log has a warning if other users can replace it.

    Raises:
        OSError: It can't listen there. The error has the path as `filename`.
        ValueError: The path is empty.
    """
    listeners = open_listeners(None, DEFAULT_PORT, path, MODE)
    folder = Folder(os.path.abspath(path)).parent  # noqa: PTH100 - as `open_listeners` does
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        logger.warning(
            "everybody can write to %s, and replace the admin socket there: use a directory of the"
            " server's user",
            folder,
        )
    return listeners


class AdminSocket:
    """Accepts connections on a socket, and answers their requests.

    Everything happens in the loop that serves the chat, in small steps: one request, or a part of
    an answer. Nobody waits for a connection that does not read.

    Args:
        listeners: Where to accept connections. `close` closes them.
        poller: What watches the sockets. When it ends, it closes the connections.
        clock: Returns seconds that do not run backwards.
        office: What requests can reach.
    """

    def __init__(
        self,
        listeners: Listeners,
        poller: Poller[Any],
        clock: Callable[[], float],
        office: Office,
    ) -> None:
        self.office = office
        """What requests can reach. May be replaced."""
        self._listeners = listeners
        self._poller = poller
        self._clock = clock
        # The oldest is in front.
        self._connections: dict[_Connection, None] = {}
        self._acceptors = [
            Acceptor(each, poller, clock, self._take_on) for each in listeners.sockets
        ]

    def tick(self, now: float) -> None:
        """Advance the clock: end connections that do not read their answers."""
        for acceptor in self._acceptors:
            acceptor.tick(now)
        for connection in self._connections:
            if connection.waits_since < now - TIME_LIMIT:
                connection.end()

    def close(self) -> None:
        """Close and remove the socket."""
        self._listeners.close()

    def _take_on(self, sock: socket.socket, _address: Any) -> None:
        sock.setblocking(False)
        credentials = credentials_of(sock)
        # Where the system does not say, the file mode has to do.
        user = os.geteuid() if credentials is None else credentials.uid
        if user not in (0, os.geteuid()):
            _refuse(sock)
            return
        office = replace(self.office, desk=self.office.desk.used_by(_name_of(user)))
        open_ones = [each for each in self._connections if not each.is_ending]
        if len(open_ones) >= MAX_CONNECTIONS:
            open_ones[0].end()
        connection = _Connection(sock, self._poller, self._clock, office, self._connections)
        self._connections[connection] = None


class _Connection:
    """Reads one request after the other, and answers each before it reads on.

    Args:
        sock: The socket, non-blocking.
        poller: What watches the socket.
        clock: Returns seconds that do not run backwards.
        office: What requests can reach.
        connections: All connections. This one removes itself when it closes.
    """

    def __init__(
        self,
        sock: socket.socket,
        poller: Poller[Any],
        clock: Callable[[], float],
        office: Office,
        connections: dict["_Connection", None],
    ) -> None:
        self._socket = sock
        self._poller = poller
        self._clock = clock
        self._office = office
        self._connections = connections
        self._received = bytearray()
        # The parts of the answer that are not made yet; None if there is no answer to write.
        self._parts: Iterator[bytes] | None = None
        self._unsent = b""
        # Whether to close the connection after the answer.
        self._is_last = False
        self.is_ending: bool = False
        """Whether the connection is being ended, and closes when the poller reports it."""
        self.waits_since: float = inf
        """Since when the peer has read nothing of its answer; infinite if there is none."""
        poller.register(sock, READ, self)

    def ready(self, _events: int) -> None:
        """Read a request and answer it, or write more of an answer."""
        if self.is_ending:
            self.close()
            return
        try:
            if self._parts is None and b"\n" not in self._received and not self._read():
                self.close()
                return
            if self._parts is None:
                self._answer()
            if self._parts is not None and self._write() and self._is_last:
                self.close()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def end(self) -> None:
        """End the connection. It closes when the poller reports it the next time.

        Closing it here would pull it from under the loop, which may be about to serve it.
        """
        self.is_ending = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._poller.unregister(self._socket)
        self._socket.close()
        del self._connections[self]

    def _read(self) -> bool:
        """Read more. Returns False at the end of the stream."""
        data = self._socket.recv(READ_SIZE)
        self._received += data
        return data != b""

    def _answer(self) -> None:
        line, end, rest = self._received.partition(b"\n")
        if len(line) > MAX_REQUEST:
            self._parts, self._is_last = refusal(f"a request has at most {MAX_REQUEST} bytes"), True
        elif end:
            self._received = rest
            self._parts = self._answer_to(bytes(line))
        else:
            return
        self.waits_since = self._clock()
        self._poller.modify(self._socket, WRITE, self)

    def _answer_to(self, line: bytes) -> Iterator[bytes]:
        try:
            return answer(line, self._office)
        except Exception:  # noqa: BLE001 - logged
            # The chat goes on.
            logger.exception("a request on the admin socket failed")
            return refusal("the server has a fault: see its log")

    def _write(self) -> bool:
        """Write a part of the answer. Returns whether that was the last one."""
        parts = self._parts or iter(())
        while len(self._unsent) < WRITE_SIZE and (part := next(parts, b"")):
            self._unsent += part
        self._unsent = self._unsent[self._socket.send(self._unsent) :]
        self.waits_since = self._clock()
        self._unsent = self._unsent or next(parts, b"")
        if self._unsent:
            # It is written when there is room, after others had their turn.
            return False
        self._parts, self.waits_since = None, inf
        # The next request may have come with this one. It has its turn in the next round.
        self._poller.modify(self._socket, WRITE if b"\n" in self._received else READ, self)
        return True


def _refuse(sock: socket.socket) -> None:
    """Tell a peer that it may not connect, and close the connection."""
    with sock, contextlib.suppress(OSError):
        for part in refusal("only root and the user of the server may use this socket"):
            sock.send(part)


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"
