"""`Server`: networks that fail silently, when the link between a client and a server goes down.

Each end of the link is in a network namespace of its own, so the network of the machine stays as it
is. This needs Linux, root, and `ip` of iproute2.
"""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatproto import Limits
from chatproto_sync.sockets import addresses

from ..servers import KINDS, TIMEOUT, Running, SocketClient, Start
from ..sockets.insides import server_log

CLONE_NEWNET = 0x40000000
SERVER, CLIENT = "192.0.2.1", "192.0.2.2"
FOR_EVER = 1000


class Network:
    """Two namespaces, and a link between them.

    Args:
        name: The prefix of their names; at most a dozen characters.
    """

    def __init__(self, name: str) -> None:
        self.server, self.client = f"{name}-s", f"{name}-c"

    def make(self) -> None:
        for each in (self.server, self.client):
            _ip("netns", "add", each)
        _ip("link", "add", "eth", "netns", self.server, *_PEER, self.client)
        for namespace, address in ((self.server, SERVER), (self.client, CLIENT)):
            _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth")
            _ip("-n", namespace, "link", "set", "lo", "up")
            _ip("-n", namespace, "link", "set", "eth", "up")

    def remove(self) -> None:
        for each in (self.server, self.client):
            subprocess.run(["ip", "netns", "del", each], check=False, capture_output=True)

    @contextlib.contextmanager
    def inside(self, namespace: str) -> Iterator[None]:
        """Have this thread create its sockets in a namespace. They stay there."""
        with Path("/proc/thread-self/ns/net").open() as before:
            with Path("/run/netns", namespace).open() as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def listener(self) -> socket.socket:
        with self.inside(self.server):
            return socket.create_server((SERVER, 0))

    def connect(self, server: Running) -> SocketClient:
        """A client at the other end of the link."""
        with self.inside(self.client):
            return SocketClient(server.addresses[0])

    def connect_locally(self, server: Running) -> SocketClient:
        """A client at the server's end of the link."""
        with self.inside(self.server):
            return SocketClient(server.addresses[0])

    def cut(self) -> None:
        """Stop all traffic. Neither end learns of it."""
        _ip("-n", self.client, "link", "set", "eth", "down")

    def mend(self) -> None:
        _ip("-n", self.client, "link", "set", "eth", "up")


_PEER = ["type", "veth", "peer", "name", "eth", "netns"]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=TIMEOUT)


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@pytest.fixture
def network() -> Iterator[Network]:
    if sys.platform != "linux":
        pytest.skip("network namespaces are Linux's")
    if shutil.which("ip") is None:
        pytest.skip("needs ip, of iproute2")
    network = Network(f"chat{uuid.uuid4().hex[:6]}")
    try:
        network.make()
        with network.inside(network.server):
            pass
    except (OSError, subprocess.CalledProcessError) as error:
        network.remove()
        pytest.skip(f"can't make network namespaces: {error}")
    try:
        yield network
    finally:
        network.remove()


def set_timers(patch: pytest.MonkeyPatch, **seconds: int) -> None:
    """Set some of the timers that each socket gets, and make the others endless."""
    timers = {"TCP_KEEPIDLE": FOR_EVER, "TCP_KEEPINTVL": FOR_EVER, "TCP_KEEPCNT": 100} | seconds
    milliseconds = timers.pop("TCP_USER_TIMEOUT", 0) * 1000
    patch.setattr(
        addresses,
        "_OPTIONS",
        [
            *((getattr(socket, name), value) for name, value in timers.items()),
            (socket.TCP_USER_TIMEOUT, milliseconds),
        ],
    )


class World:
    """A server of one kind, bob at its end of the link, and alice at the other end."""

    def __init__(self, stack: ExitStack, network: Network, kind: str, limits: Limits) -> None:
        self.server = stack.enter_context(KINDS[kind](sockets=[network.listener()], limits=limits))
        self.bob = stack.enter_context(network.connect_locally(self.server))
        self.alice = stack.enter_context(network.connect(self.server))
        self.bob.login("bob")
        self.alice.login("alice")

    @property
    def closed_alice(self) -> str:
        """What the server logs when it has noticed that she is gone."""
        host, port = self.alice.socket.getsockname()
        return f"closed alice ({host}:{port}): connection lost"


@contextlib.contextmanager
def worlds(network: Network, limits: Limits = Limits()) -> Iterator[list[World]]:
    """One for each kind of server, all over the same link, so that they wait at the same time."""
    with ExitStack() as stack:
        yield [World(stack, network, kind, limits) for kind in KINDS]


def test_a_peer_that_vanishes_in_silence(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keepalive notices it although nobody sends anything."""
    set_timers(monkeypatch, TCP_KEEPIDLE=1, TCP_KEEPINTVL=1, TCP_KEEPCNT=1)
    with server_log() as log, worlds(network) as each_kind:
        network.cut()
        log.wait_for_all(world.closed_alice for world in each_kind)
        for world in each_kind:
            world.bob.write(b"CHAT/1.0 SEND alice hi\n")
            assert b" ERR NO_SUCH_USER " in world.bob.read_line()
            world.bob.flush("bob")


def test_a_peer_that_vanishes_with_data_on_their_way(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system waits for an acknowledgement for a limited time."""
    set_timers(monkeypatch, TCP_USER_TIMEOUT=1)
    with server_log() as log, worlds(network) as each_kind:
        network.cut()
        for world in each_kind:
            world.bob.write(b"CHAT/1.0 SEND alice hi\n")
        log.wait_for_all(world.closed_alice for world in each_kind)
        for world in each_kind:
            world.bob.flush("bob")


def test_a_peer_that_has_forgotten_the_connection(network: Network) -> None:
    """A client that was switched off, and does not know the old connection when it is back."""
    with server_log() as log, worlds(network) as each_kind:
        closed = [world.closed_alice for world in each_kind]
        network.cut()
        for world in each_kind:
            # The reset does not reach the server.
            world.alice.reset()
        network.mend()
        for world in each_kind:
            world.bob.write(b"CHAT/1.0 SEND alice are you there?\n")
        log.wait_for_all(closed)
        for world in each_kind:
            with network.connect(world.server) as alice:
                alice.login("alice")
                world.bob.write(b"CHAT/1.0 SEND alice hi\n")
                assert alice.read_line() == b"CHAT/1.0 RECEIVE bob hi\n"
                world.bob.flush("bob")


def test_a_link_that_comes_back_in_time(network: Network) -> None:
    """No message is lost, and no connection is closed."""
    with worlds(network) as each_kind:
        network.cut()
        for world in each_kind:
            for number in range(100):
                world.bob.write(b"CHAT/1.0 SEND alice %d\n" % number)
            world.bob.flush("bob")
            world.alice.write(b"CHAT/1.0 SEND bob still here\n")
        network.mend()
        for world in each_kind:
            for number in range(100):
                assert world.alice.read_line() == b"CHAT/1.0 RECEIVE bob %d\n" % number
            assert world.bob.read_line() == b"CHAT/1.0 RECEIVE alice still here\n"


def test_connections_from_one_address(network: Network, start: Start) -> None:
    """They are counted by address, and one too many gets a notice."""
    limits = Limits(max_connections_per_address=2)
    notice = b"CHAT/1.0 RECEIVE *server* ERR TOO_MANY - too many connections from your address\n"
    with start(sockets=[network.listener()], limits=limits) as server, ExitStack() as stack:
        for name in ("alice", "bob"):
            stack.enter_context(network.connect(server)).login(name)
        with network.connect(server) as carol:
            assert carol.read_line() == notice
            assert carol.read_line() == b""
        with network.connect_locally(server) as dave:
            dave.login("dave")
