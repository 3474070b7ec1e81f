"""The judge of the program that hurts a cluster: what it has to find, and what it must not."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from random import Random
from typing import Any

import pytest

from fuzz.cluster_load import Client, Connection, Loop, Stream, Totals

ADDRESS = ("127.0.0.1", 0)


class Scene:
    """A sender and a recipient that are connected, without a server."""

    def __init__(self, command: str = "SEND", rate: float = 1.0) -> None:
        loop = self.loop = Loop(Random(0))
        self.sender, self.recipient = Client(loop, "alice", ADDRESS), Client(loop, "bob", ADDRESS)
        self.sockets: list[socket.socket] = []
        self.stream = Stream(self.sender, command, "bob", [self.recipient], rate)
        for client in (self.sender, self.recipient):
            self.connect(client)

    def connect(self, client: Client) -> Connection:
        """Give a client a connection, in place of the one that it has."""
        client.close()
        near, far = socket.socketpair()
        self.sockets += [near, far]
        client.connection = connection = Connection(near)
        connection.is_logged_in = True
        self.loop.selector.register(near, 0b11, client)
        return connection

    def send(self, number: int) -> Connection:
        """Send messages. Returns the connection that has sent them."""
        self.stream.send(number, self.loop)
        connection = self.sender.connection
        assert connection is not None
        return connection

    def receive(self, sender: Connection, *numbers: int) -> None:
        """Let messages of a connection arrive."""
        connection = self.recipient.connection
        assert connection is not None
        for number in numbers:
            self.loop.receive(self.recipient, connection, b"#%d %d " % (sender.serial, number))

    def judge(self) -> Totals:
        self.loop.judge()
        return self.loop.totals

    def close(self) -> None:
        for client in self.loop.clients:
            client.close()
        for each in self.sockets:
            each.close()
        self.loop.selector.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Scene]]:
    """Makes a scene."""
    with ExitStack() as stack:

        def scene(*args: Any, **options: Any) -> Scene:
            return stack.enter_context(closing(Scene(*args, **options)))

        yield scene


@pytest.mark.parametrize(
    ("numbers", "refused", "problem"),
    [
        ([1, 2, 3, 4], 0, ""),
        ([1, 3, 4], 0, "missing"),
        ([1, 3, 4], 1, ""),
        ([1, 4], 1, "missing"),
        ([1, 3, 2, 4], 0, "misordered"),
        ([1, 2, 2, 3, 4], 0, "doubled"),
        ([1, 2, 3, 4], 1, "contradicted"),
        ([1, 2, 3], 1, ""),
        # The recipient may have logged in after the first ones.
        ([3, 4], 0, ""),
        ([3, 4], 2, ""),
    ],
)
def test_messages_between_two_connections(
    make: Callable[..., Scene], numbers: Sequence[int], refused: int, problem: str
) -> None:
    scene = make()
    sender = scene.send(4)
    sender.refused = refused
    scene.receive(sender, *numbers)
    totals = scene.judge()
    assert totals.is_good is not bool(problem)
    assert not problem or getattr(totals, problem) == 1


def test_a_recipient_who_was_away_may_miss_messages_but_gets_none_twice(
    make: Callable[..., Scene],
) -> None:
    scene = make()
    sender = scene.send(6)
    scene.receive(sender, 1)
    scene.connect(scene.recipient)
    scene.receive(sender, 4, 5)
    assert scene.judge().is_good
    assert scene.loop.totals.cut == 2
    scene.receive(sender, 1)
    assert scene.loop.totals.doubled == 1
    scene.receive(sender, 3)
    assert scene.loop.totals.misordered == 1


def test_a_new_connection_of_the_sender_counts_anew(make: Callable[..., Scene]) -> None:
    scene = make()
    first = scene.send(2)
    scene.receive(first, 1)
    scene.connect(scene.sender)
    second = scene.send(2)
    scene.receive(second, 1, 2)
    assert scene.judge().is_good
    assert scene.loop.is_whole(scene.stream)


def test_refusals_of_a_flood_are_not_counted_because_the_server_leaves_some_out(
    make: Callable[..., Scene],
) -> None:
    scene = make(rate=0.0)
    sender = scene.send(5)
    scene.receive(sender, 1, 5)
    assert scene.judge().missing == 3
    sender.refused = 1
    assert scene.judge().missing == 0


def test_a_broadcast_passes_by_who_is_offline(make: Callable[..., Scene]) -> None:
    scene = make("BROADCAST")
    sender = scene.send(5)
    scene.receive(sender, 3, 5)
    assert scene.judge().missing == 1
    assert scene.loop.totals.cut == 0
