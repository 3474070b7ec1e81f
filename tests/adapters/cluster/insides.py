"""A real Redis, a played one, and a cluster that notes what it is told."""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hiredis import Reader

from chatproto import Cluster, ClusterSnapshot, Standing
from chatproto_sync.cluster.connection import pack
from chatproto_sync.cluster.transport import RedisTransport
from chatproto_sync.cluster.url import parse_redis_url

from ..servers import TIMEOUT

HELLO = (
    b"*6\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$1\r\nx\r\n$1\r\ny\r\n"
)
"""What a Redis answers to HELLO, or the part of it that matters."""


class Redis:
    """A real Redis, and a connection to it for the test."""

    def __init__(self, port: int, tls_port: int, unix: Path, authority: Path) -> None:
        self.port = port
        self.tls_port = tls_port
        self.unix = unix
        self.authority = authority
        self.chat = ""
        self._socket: socket.socket | None = None
        self._reader = Reader()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/{self.chat}"

    def key(self, name: str) -> str:
        return f"{{chat:{self.chat}}}:{name}"

    def do(self, *command: str | bytes | int) -> Any:
        """Execute a command, and return the reply."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        self._socket.sendall(pack(command))
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(1 << 16)
            assert data
            self._reader.feed(data)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def kill_node(self, node: str) -> None:
        """Close the connections of a node."""
        for line in self.do("CLIENT", "LIST").decode().splitlines():
            fields = dict(each.partition("=")[::2] for each in line.split(" "))
            if fields["name"] == f"chatproto-{node}":
                self.do("CLIENT", "KILL", "ID", fields["id"])

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class FakeCluster:
    """Notes the calls of a transport, and appends what the test wants."""

    def __init__(self, name: str = "a#1.1") -> None:
        self.name = name
        self.standing = Standing.JOINING
        self.refusal = ""
        self.doubts: set[str] = set()
        self.left = False
        self.calls: list[tuple[object, ...]] = []
        self.appends: deque[tuple[str | None, bytes]] = deque()
        self.snapshot: ClusterSnapshot | None = None

    def load(self, snapshot: bytes | None) -> None:
        self.calls.append(("load", snapshot))

    def set_connected(self, connected: bool) -> None:
        self.calls.append(("connected", connected))
        self.standing = Standing.UP if connected else Standing.LATE

    def receive_ledger(self, entry: bytes, id: str) -> None:  # noqa: A002 - as in Cluster
        assert id
        self.calls.append(("ledger", entry))

    def receive_mail(self, entry: bytes) -> None:
        self.calls.append(("mail", entry))

    def take_appends(self) -> list[tuple[str | None, bytes]]:
        appends = list(self.appends)
        self.appends.clear()
        return appends

    def take_snapshot(self) -> ClusterSnapshot | None:
        snapshot, self.snapshot = self.snapshot, None
        return snapshot

    def lose_ledger(self) -> bytes:
        self.calls.append(("lost",))
        self.doubts.clear()
        return b"my groups"

    def take_events(self) -> list[object]:
        return []

    def leave(self) -> None:
        self.calls.append(("leave",))

    def take(self) -> list[tuple[object, ...]]:
        """The calls since the last time."""
        calls, self.calls = self.calls, []
        return calls


class FakeBroker:
    """The broker of a fake cluster."""

    def tick(self, now: float) -> None:
        pass


class Node:
    """A fake cluster with a transport, which runs while the test waits for something.

    Its clock advances with each look at it, so that no pause of the machine counts as time.
    """

    def __init__(self, url: str, name: str = "a#1.1") -> None:
        self.now = 0.0
        self.cluster = FakeCluster(name)
        self.transport = RedisTransport(
            cast(Cluster, self.cluster), parse_redis_url(url), node_timeout=1.0, clock=self.clock
        )

    def clock(self) -> float:
        self.now += 0.001
        return self.now

    def join(self) -> None:
        self.transport.join(cast(Any, FakeBroker()))

    def run_until(self, condition: Callable[[], object]) -> None:
        """Do what a driver does, until a condition holds."""
        transport = self.transport
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            transport.tick(self.clock())
            transport.ready(1)
            while transport.receive():
                pass
            transport.flush()
            if condition():
                return
            if transport._session is None and not transport._is_finding:
                # It waits before it connects again.
                self.now += 0.1
            else:
                transport._poller.poll(0.01)
        raise AssertionError("the condition never held")

    def run_until_called(self, *call: object) -> list[tuple[object, ...]]:
        """Run until the cluster is called in some way, and return all calls until then."""
        self.run_until(lambda: call in self.cluster.calls)
        return self.cluster.take()


@contextmanager
def running(url: str, name: str = "a#1.1") -> Iterator[Node]:
    """A node that has joined."""
    node = Node(url, name)
    try:
        node.join()
        yield node
    finally:
        node.transport.close()


class Played:
    """A Redis that is played by the test: a listening socket, and what a test makes of it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/tea"
        self._sockets = [self.listener]

    def accept(self) -> "Conversation":
        sock, _ = self.listener.accept()
        sock.settimeout(TIMEOUT)
        self._sockets.append(sock)
        return Conversation(sock)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


class Conversation:
    """One connection of a played Redis."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._reader = Reader()

    def read(self) -> list[bytes]:
        """The next command."""
        while (command := self._reader.gets()) is False:
            data = self.socket.recv(1 << 16)
            assert data, "the connection was closed"
            self._reader.feed(data)
        assert isinstance(command, list)
        return command

    def answer(self, data: bytes) -> None:
        self.socket.sendall(data)

    def greet(self) -> None:
        assert self.read()[:2] == [b"HELLO", b"2"]
        self.answer(HELLO)

    def expect(self, *words: bytes) -> None:
        """Read commands that begin with these words."""
        assert tuple(self.read()[0] for _ in words) == words

    def close(self) -> None:
        self.socket.close()


@contextmanager
def playing(play: Callable[[], object]) -> Iterator[None]:
    """Run the part of Redis beside the test."""
    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
