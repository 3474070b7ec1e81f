"""Networks that fail without a word: a link goes down between a client and a server.

The server's end and the client's are in network namespaces of their own, so nothing here touches
the machine's network. It takes Linux, root and `ip` of iproute2.
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
        name: What their names begin with; a few letters, for there is little room.
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
        """Have this thread make its sockets there; they stay there."""
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
        """A client on the server's own side."""
        with self.inside(self.server):
            return SocketClient(server.addresses[0])

    def cut(self) -> None:
        """From now on nothing passes, and nobody is told."""
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
    """Make some of the timers that every socket gets short, and the others endless."""
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


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has all of them")
def test_what_every_socket_gets() -> None:
    """After a minute and a half at the most, by either way, it is known who is gone."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        addresses.prepare(client)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        silence, interval, count, unacknowledged = (
            client.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
        )
        assert silence + interval * count == 90
        assert unacknowledged == 90_000


class World:
    """A server of one kind, bob next to it, and alice on the other side of the link."""

    def __init__(self, stack: ExitStack, network: Network, kind: str, limits: Limits) -> None:
        self.server = stack.enter_context(KINDS[kind](sockets=[network.listener()], limits=limits))
        self.bob = stack.enter_context(network.connect_locally(self.server))
        self.alice = stack.enter_context(network.connect(self.server))
        self.bob.login("bob")
        self.alice.login("alice")

    @property
    def closed_alice(self) -> str:
        """What the log says once the server has given her up."""
        host, port = self.alice.socket.getsockname()
        return f"closed alice ({host}:{port}): connection lost"


@contextlib.contextmanager
def worlds(network: Network, limits: Limits = Limits()) -> Iterator[list[World]]:
    """One for each kind of server, all over the same link, so that they wait together."""
    with ExitStack() as stack:
        yield [World(stack, network, kind, limits) for kind in KINDS]


def test_a_peer_that_vanishes_in_silence(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has anything to say, and the server finds out all the same."""
    set_timers(monkeypatch, TCP_KEEPIDLE=1, TCP_KEEPINTVL=1, TCP_KEEPCNT=1)
    with server_log() as log, worlds(network) as each_kind:
        network.cut()
        log.wait_for_all(world.closed_alice for world in each_kind)
        for world in each_kind:
            world.bob.write(b"CHAT/1.0 SEND alice hi\n")
            assert b" ERR NO_SUCH_USER " in world.bob.read_line()
            world.bob.flush("bob")


def test_a_peer_that_vanishes_with_something_on_its_way(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent to it is not acknowledged, and that is not waited for for long."""
    set_timers(monkeypatch, TCP_USER_TIMEOUT=1)
    with server_log() as log, worlds(network) as each_kind:
        network.cut()
        for world in each_kind:
            world.bob.write(b"CHAT/1.0 SEND alice hi\n")
        log.wait_for_all(world.closed_alice for world in each_kind)
        for world in each_kind:
            world.bob.flush("bob")


def test_a_peer_that_has_forgotten_the_connection(network: Network) -> None:
    """A client that was switched off: it is back, and knows nothing of the connection before."""
    with server_log() as log, worlds(network) as each_kind:
        closed = [world.closed_alice for world in each_kind]
        network.cut()
        for world in each_kind:
            # What would tell the server gets lost on the way.
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
    """Nothing is lost, and nobody has noticed."""
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
    """They are counted, those of other addresses are not, and who is too many is told so."""
    limits = Limits(max_connections_per_address=2)
    told = b"CHAT/1.0 RECEIVE *server* ERR TOO_MANY - too many connections from your address\n"
    with start(sockets=[network.listener()], limits=limits) as server, ExitStack() as stack:
        for name in ("alice", "bob"):
            stack.enter_context(network.connect(server)).login(name)
        with network.connect(server) as carol:
            assert carol.read_line() == told
            assert carol.read_line() == b""
        with network.connect_locally(server) as dave:
            dave.login("dave")
