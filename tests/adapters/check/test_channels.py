"""chatproto_sync.check.channels: what peers do that are gone, or slow."""

import os
import socket
import struct
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE

import pytest

from chatproto_sync.check.channels import Channel, PipeChannel, SocketChannel
from chatproto_sync.check.checking import _Stage

from ..servers import TIMEOUT

Ends = tuple[SocketChannel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A connection: the channel at one end, a socket at the other."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
        listener.accept()[0] as far,
    ):
        near.setblocking(False)
        far.settimeout(TIMEOUT)
        yield SocketChannel(near), far


def test_writes_what_the_peer_takes(ends: Ends) -> None:
    channel, far = ends
    data = bytes(1 << 23)
    channel.queue(data)
    channel.end()
    channel.flush()
    assert [events for _, events in channel.interests()] == [EVENT_READ | EVENT_WRITE]
    received = 0
    while piece := far.recv(1 << 20):
        received += len(piece)
        channel.flush()
    assert received == len(data)
    assert [events for _, events in channel.interests()] == [EVENT_READ]


def test_a_peer_that_has_reset_the_connection(ends: Ends) -> None:
    channel, far = ends
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    channel.queue(b"x")
    channel.flush()
    assert [events for _, events in channel.interests()] == [EVENT_READ]
    assert channel.read() == b""
    channel.flush()
    channel.reset()
    assert list(channel.interests()) == []


def test_a_paused_channel_is_not_read(ends: Ends) -> None:
    channel, _ = ends
    channel.pause()
    assert list(channel.interests()) == []


@pytest.fixture
def pipes() -> Iterator[tuple[PipeChannel, int, int]]:
    """A channel to a program, and the program's standard input and output."""
    (its_stdin, stdin), (stdout, its_stdout) = os.pipe(), os.pipe()
    channel = PipeChannel(stdin, stdout)
    yield channel, its_stdin, its_stdout
    channel.close()


def test_a_program_that_does_not_read(pipes: tuple[PipeChannel, int, int]) -> None:
    channel, its_stdin, its_stdout = pipes
    assert channel.read() is None
    channel.queue(bytes(1 << 20))
    channel.end()
    channel.flush()
    assert [events for _, events in channel.interests()] == [EVENT_READ, EVENT_WRITE]
    os.close(its_stdin)
    # It can't be told any more.
    channel.flush()
    assert [events for _, events in channel.interests()] == [EVENT_READ]
    channel.queue(b"x")
    channel.flush()
    assert channel.read() is None
    os.close(its_stdout)
    assert channel.read() == b""


class Nowhere:
    """A place in which nothing can be connected to."""

    listener: socket.socket | None = None

    def open(self, client: str) -> Channel:
        raise NotImplementedError(client)

    def why(self, channel: Channel) -> str:
        raise NotImplementedError(channel)

    def close(self) -> None:
        """Nothing is open."""


def test_a_program_that_is_gone_before_it_is_accepted() -> None:
    stage = _Stage(Nowhere())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        stage._accept(listener)
    assert not stage._channels
