"""Readers that are slow, or do not read: who waits for them, and what becomes of them.

With the limits that a server has unless told otherwise, but for those that a test names.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Protocol

import pytest

from chatproto import CloseReason, Limits
from chatproto_sync.sockets.transport import READ_SIZE

from ..servers import TIMEOUT, SocketClient, Start, clients
from ..sockets.insides import Clock, NarrowClient, narrow_listener, wait_until

DATA = b"x" * 4000
LOOK = 0.4
"""Seconds after which it has been looked at how much a full queue has lost. After two looks, less
than a second, nobody in a group waits for a member that takes nothing."""

GONE = b"CHAT/1.0 RECEIVE *server* ERR NO_SUCH_USER SEND bob is not online\n"


class Submit(Protocol):
    """Writes in another thread, because a sender may have to wait."""

    def __call__(self, client: SocketClient, data: bytes) -> Future[None]: ...


@pytest.fixture
def submit() -> Iterator[Submit]:
    with ThreadPoolExecutor() as pool:
        yield lambda client, data: pool.submit(client.write, data)


@contextmanager
def narrow_clients(address: str, *names: str) -> Iterator[list[NarrowClient]]:
    """Clients that have logged in, and for which the system keeps little."""
    with ExitStack() as stack:
        found = [stack.enter_context(NarrowClient(address)) for _ in names]
        for client, name in zip(found, names, strict=True):
            client.login(name)
        yield found


def said(command: bytes, numbers: range) -> bytes:
    return b"".join(b"CHAT/1.0 %b %d %b\n" % (command, number, DATA) for number in numbers)


def heard(sender: bytes, number: int) -> bytes:
    return b"CHAT/1.0 RECEIVE %b %d %b\n" % (sender, number, DATA)


def numbers_of(sender: bytes, lines: list[bytes]) -> list[int]:
    """The numbers in whole lines, which are exactly what was said."""
    numbers = [int(line.split(b" ", 4)[3]) for line in lines]
    assert lines == [heard(sender, number) for number in numbers]
    return numbers


def read_what_is_left(client: SocketClient) -> tuple[list[bytes], bytes]:
    """The whole lines until the connection ends, and what it broke off with."""
    lines = list(iter(client.read_line, b""))
    rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
    return lines, rest


def test_a_fast_sender_is_slowed_down_to_its_reader(start: Start, submit: Submit) -> None:
    """All arrives in order, and the server never holds more than a queue and a read."""
    count = 5000
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob", "carol") as (alice, bob, carol),
    ):
        writing = submit(alice, said(b"SEND bob", range(count)))
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        most = 0
        for number in range(count):
            assert bob.read_line() == heard(b"alice", number)
            most = max(most, server.snapshot().queued)
        writing.result(TIMEOUT)
        alice.flush("alice")
        assert Limits().high_water < most
        # One line more than a full queue, one read, and the line that it began in.
        assert most <= Limits().high_water + 2 * Limits().max_line + READ_SIZE
        assert server.snapshot().closes == {}


def test_a_reader_that_stops(start: Start, submit: Submit) -> None:
    """Its sender waits, nobody else does, and after ten seconds it is closed."""
    count = 60
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "alice", "carol", "dave") as (alice, carol, dave),
        narrow_clients(server.addresses[0], "bob") as (bob,),
    ):
        clock = Clock(server)
        writing = submit(alice, said(b"SEND bob", range(count)) + b"CHAT/1.0 SEND alice on\n")
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        high_water = Limits().high_water
        most = high_water + 2 * Limits().max_line + READ_SIZE
        for second in range(9):
            clock.skip(1.0)
            for number in range(20):
                carol.write(b"CHAT/1.0 SEND dave %d %d\n" % (second, number))
                line = b"CHAT/1.0 RECEIVE carol %d %d\n" % (second, number)
                assert dave.read_line() == line
            # It may have taken a little more since then.
            assert high_water // 2 < server.snapshot().queued <= most
            assert server.snapshot().waiting == 1
        assert server.snapshot().closes == {}
        # Not at once: who is just being written to has to have taken it within the ten seconds.
        for _ in range(2):
            clock.skip(1.0)
            carol.flush("carol")
        refused = 0
        while (line := alice.read_line()) == GONE:
            refused += 1
        assert line == b"CHAT/1.0 RECEIVE alice on\n"
        writing.result(TIMEOUT)
        assert server.snapshot().closes == {CloseReason.SLOW_CONSUMER: 1}
        lines, rest = read_what_is_left(bob)
        # What it took before is whole and in order, and what it did not get was refused or lost
        # with the queue.
        assert numbers_of(b"alice", lines) == list(range(len(lines)))
        assert heard(b"alice", len(lines)).startswith(rest)
        assert 0 < refused < count - len(lines)


@pytest.mark.parametrize("sip", [0, 10])
@pytest.mark.parametrize("ends_by", ["cap", "age"])
def test_a_member_of_a_group_that_stops_or_trickles(
    start: Start, submit: Submit, sip: int, ends_by: str
) -> None:
    """It is waited for for less than a second, and costs the others nothing."""
    names = [f"user{number}" for number in range(12)]
    limits = Limits(queue_bytes=1 << 19) if ends_by == "cap" else Limits()
    with (
        start(sockets=[narrow_listener()], limits=limits) as server,
        clients(server.addresses[0], "alice", "carol", *names) as (alice, carol, *others),
        narrow_clients(server.addresses[0], "sleepy") as (sleepy,),
    ):
        clock = Clock(server)
        alice.write(b"CHAT/1.0 GROUP g sleepy %b\n" % " ".join(names).encode())
        alice.flush("alice")
        count = 0
        got = b""

        def all_hear(numbers: range) -> None:
            for number in numbers:
                for other in others:
                    assert other.read_line() == heard(b"alice", number)

        # One at a time, so that nobody else has anything queued when she has to wait.
        while not server.snapshot().waiting:
            alice.write(said(b"BROADCAST g", range(count, count + 1)))
            count += 1
            all_hear(range(count - 1, count))
            got += sleepy.socket.recv(sip) if sip else b""
        rest = range(count, count + 150 if ends_by == "cap" else count + 20)
        writing = submit(alice, said(b"BROADCAST g", rest))
        carol.flush("carol")
        assert server.snapshot().waiting == 1
        clock.skip(LOOK)
        carol.flush("carol")
        clock.skip(LOOK)
        all_hear(rest)
        writing.result(TIMEOUT)
        alice.flush("alice")
        if ends_by == "age":
            assert server.snapshot().closes == {}
            for _ in range(2 * round(Limits().queue_age)):
                got += sleepy.socket.recv(sip) if sip else b""
                clock.skip(1.0)
                carol.flush("carol")
        reason = CloseReason.FULL_QUEUE if ends_by == "cap" else CloseReason.SLOW_CONSUMER
        wait_until(lambda: server.snapshot().closes == {reason: 1}, alice, "alice")
        lines = (got + b"".join(iter(sleepy.read_line, b""))).split(b"\n")
        rest_of_it = lines.pop()
        whole = [line + b"\n" for line in lines]
        assert numbers_of(b"alice", whole) == list(range(len(whole)))
        assert heard(b"alice", len(whole)).startswith(rest_of_it)
        assert len(whole) < rest.stop


def test_a_group_whose_members_are_all_slower_than_the_flooder(
    start: Start, submit: Submit
) -> None:
    """All arrives at all of them, and nobody is disconnected."""
    names = ["user0", "user1", "user2", "user3"]
    count = 700
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "alice", "carol") as (alice, carol),
        narrow_clients(server.addresses[0], *names) as members,
    ):
        clock = Clock(server)
        alice.write(b"CHAT/1.0 GROUP g %b\n" % " ".join(names).encode())
        alice.flush("alice")
        writing = submit(alice, said(b"BROADCAST g", range(count)))
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        for number in range(count):
            for member in members:
                assert member.read_line() == heard(b"alice", number)
            if number % 20 == 0:
                clock.skip(0.1)
        writing.result(TIMEOUT)
        alice.flush("alice")
        assert server.snapshot().closes == {}


def test_many_that_log_in_and_never_read(start: Start) -> None:
    """Together they cost what is allowed for all of them, and not more."""
    names = [f"user{number}" for number in range(20)]
    limits = Limits(queue_bytes=800_000, total_queue_bytes=800_000)
    with (
        start(sockets=[narrow_listener()], limits=limits) as server,
        clients(server.addresses[0], "alice") as (alice,),
        narrow_clients(server.addresses[0], *names),
    ):
        alice.write(b"CHAT/1.0 GROUP g %b\n" % " ".join(names).encode())
        most = 0
        for number in range(25):
            alice.write(said(b"BROADCAST g", range(number, number + 1)))
            alice.flush("alice")
            most = max(most, server.snapshot().queued)
            if server.snapshot().closes:
                break
        assert limits.total_queue_bytes / 2 < most <= limits.total_queue_bytes
        closes = server.snapshot().closes
        assert set(closes) == {CloseReason.FULL_QUEUES}
        # One broadcast may be too much by more than the longest queue.
        assert closes[CloseReason.FULL_QUEUES] < len(names) / 4


def test_many_senders_to_one_that_is_slower(start: Start, submit: Submit) -> None:
    """Each has to wait, and what each says arrives in its order and without a gap."""
    count = 60
    names = [f"user{number}" for number in range(12)]
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "carol", *names) as (carol, *senders),
        narrow_clients(server.addresses[0], "bob") as (bob,),
    ):
        text = said(b"SEND bob", range(count))
        writing = [submit(sender, text) for sender in senders]
        wait_until(lambda: server.snapshot().waiting == len(names), carol, "carol")
        seen: dict[bytes, list[bytes]] = {name.encode(): [] for name in names}
        for _ in range(count * len(names)):
            line = bob.read_line()
            seen[line.split(b" ", 3)[2]].append(line)
        for each in writing:
            each.result(TIMEOUT)
        for name, lines in seen.items():
            assert numbers_of(name, lines) == list(range(count))
        assert server.snapshot().closes == {}
