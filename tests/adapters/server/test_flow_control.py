"""`Server`: flow control over real sockets, with readers that are slow or do not read.

The limits are the default ones, but for those that a test sets. The clocks of the servers stand
still, unless a test moves them: on a busy machine, a client that reads may have no turn for as long
as one that does not read.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Protocol

import pytest

from chatproto import CloseReason, Limits
from chatproto_sync.sockets.transport import READ_SIZE

from ..servers import TIMEOUT, Running, SocketClient, Start, clients
from ..sockets.insides import Clock, NarrowClient, narrow_listener, wait_until

DATA = b"x" * 4000
WINDOW = 0.4
"""Seconds after which the server has measured how fast a full queue drains. After two windows a
group does not wait for a member that takes nothing."""

SENDERS = 12
"""Most clients that write at the same time."""

GONE = b"CHAT/1.0 RECEIVE *server* ERR NO_SUCH_USER SEND bob is not online\n"


class Submit(Protocol):
    """Writes in another thread, because the server may stop reading from a sender."""

    def __call__(self, client: SocketClient, data: bytes) -> Future[None]: ...


@pytest.fixture
def submit() -> Iterator[Submit]:
    with ThreadPoolExecutor(SENDERS) as pool:
        yield lambda client, data: pool.submit(client.write, data)


@contextmanager
def narrow_clients(address: str, *names: str) -> Iterator[list[NarrowClient]]:
    """Clients that have logged in, and for which the system buffers little."""
    with ExitStack() as stack:
        found = [stack.enter_context(NarrowClient(address)) for _ in names]
        for client, name in zip(found, names, strict=True):
            client.login(name)
        yield found


def sent(command: bytes, numbers: range) -> bytes:
    """Numbered lines of a sender."""
    return b"".join(b"CHAT/1.0 %b %d %b\n" % (command, number, DATA) for number in numbers)


def received(sender: bytes, number: int) -> bytes:
    """A line of a recipient."""
    return b"CHAT/1.0 RECEIVE %b %d %b\n" % (sender, number, DATA)


def numbers_of(sender: bytes, lines: list[bytes]) -> list[int]:
    """The numbers in complete lines, which must be exactly what was sent."""
    numbers = [int(line.split(b" ", 4)[3]) for line in lines]
    assert lines == [received(sender, number) for number in numbers]
    return numbers


def read_what_is_left(client: SocketClient) -> tuple[list[bytes], bytes]:
    """The complete lines until the end of the connection, and the incomplete one at the end."""
    lines = list(iter(client.read_line, b""))
    rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
    return lines, rest


def has_relayed(server: Running, clock: Clock, messages: int) -> bool:
    """Whether a server has relayed as many messages; if not, and a sender waits, time passes.

    The system may take some more bytes at any time, even for a client that does not read. Then a
    queue that has stopped drains once more. So nobody knows how much time has to pass.
    """
    seen = server.snapshot()
    if seen.waiting:
        clock.skip(WINDOW)
    return seen.messages == messages


def has_closed(server: Running, clock: Clock) -> bool:
    """Whether a server has closed a connection; if not, time passes."""
    closes = server.snapshot().closes
    if not closes:
        clock.skip(1.0)
    return bool(closes)


def test_a_fast_sender_is_slowed_down_to_its_reader(start: Start, submit: Submit) -> None:
    """All lines arrive in order, and the server keeps no more than a full queue and one read."""
    count = 5000
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob", "carol") as (alice, bob, carol),
    ):
        Clock(server)
        writing = submit(alice, sent(b"SEND bob", range(count)))
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        most = 0
        for number in range(count):
            assert bob.read_line() == received(b"alice", number)
            most = max(most, server.snapshot().queued)
        writing.result(TIMEOUT)
        alice.flush("alice")
        assert Limits().high_water < most
        # A full queue and one more line; one read, and the line that began before it.
        assert most <= Limits().high_water + 2 * Limits().max_line + READ_SIZE
        assert server.snapshot().closes == {}


def test_a_reader_that_stops(start: Start, submit: Submit) -> None:
    """Its sender does not wait for long, and in the end the reader is closed."""
    count = 60
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "alice", "carol", "dave") as (alice, carol, dave),
        narrow_clients(server.addresses[0], "bob") as (bob,),
    ):
        clock = Clock(server)
        writing = submit(alice, sent(b"SEND bob", range(count)) + b"CHAT/1.0 SEND alice on\n")
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        carol.write(b"CHAT/1.0 SEND dave hi\n")
        assert dave.read_line() == b"CHAT/1.0 RECEIVE carol hi\n"
        # All that she has sent to bob, and what carol has sent to dave.
        wait_until(lambda: has_relayed(server, clock, count + 1), carol, "carol")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE alice on\n"
        writing.result(TIMEOUT)
        assert server.snapshot().waiting == 0
        assert server.snapshot().closes == {}
        wait_until(lambda: has_closed(server, clock), carol, "carol")
        assert server.snapshot().closes == {CloseReason.SLOW_CONSUMER: 1}
        alice.write(sent(b"SEND bob", range(1)))
        assert alice.read_line() == GONE
        lines, rest = read_what_is_left(bob)
        # What it got is complete and in order. The rest was lost with its queue.
        assert numbers_of(b"alice", lines) == list(range(len(lines)))
        assert received(b"alice", len(lines)).startswith(rest)
        assert len(lines) < count


@pytest.mark.parametrize("sip", [0, 10])
@pytest.mark.parametrize("ends_by", ["cap", "age"])
def test_a_member_of_a_group_that_stops_or_trickles(start: Start, sip: int, ends_by: str) -> None:
    """The group does not wait for it for long, and then gets all lines without it."""
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

        def all_receive(numbers: range) -> None:
            for number in numbers:
                for other in others:
                    assert other.read_line() == received(b"alice", number)

        # One line at a time, so that only sleepy's queue is full when alice has to wait.
        while not server.snapshot().waiting:
            alice.write(sent(b"BROADCAST g", range(count, count + 1)))
            count += 1
            all_receive(range(count - 1, count))
            got += sleepy.socket.recv(sip) if sip else b""
        rest = range(count, count + 150 if ends_by == "cap" else count + 20)
        for number in rest:
            alice.write(sent(b"BROADCAST g", range(number, number + 1)))
            wait_until(partial(has_relayed, server, clock, number + 1), carol, "carol")
            all_receive(range(number, number + 1))

        if ends_by == "age":
            assert server.snapshot().closes == {}
            while not has_closed(server, clock):
                got += sleepy.socket.recv(sip) if sip else b""
                carol.flush("carol")
        reason = CloseReason.FULL_QUEUE if ends_by == "cap" else CloseReason.SLOW_CONSUMER
        assert server.snapshot().closes == {reason: 1}
        lines = (got + b"".join(iter(sleepy.read_line, b""))).split(b"\n")
        rest_of_it = lines.pop()
        whole = [line + b"\n" for line in lines]
        assert numbers_of(b"alice", whole) == list(range(len(whole)))
        assert received(b"alice", len(whole)).startswith(rest_of_it)
        assert len(whole) < rest.stop


def test_a_group_whose_members_are_all_slower_than_the_sender(start: Start, submit: Submit) -> None:
    """All members get all lines, and none is closed."""
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
        writing = submit(alice, sent(b"BROADCAST g", range(count)))
        wait_until(lambda: server.snapshot().waiting == 1, carol, "carol")
        for number in range(count):
            for member in members:
                assert member.read_line() == received(b"alice", number)
            if number % 20 == 0:
                clock.skip(0.1)
        writing.result(TIMEOUT)
        alice.flush("alice")
        assert server.snapshot().closes == {}


def test_many_that_log_in_and_never_read(start: Start) -> None:
    """Their queues together stay within the limit for all queues."""
    names = [f"user{number}" for number in range(20)]
    limits = Limits(queue_bytes=800_000, total_queue_bytes=800_000)
    with (
        start(sockets=[narrow_listener()], limits=limits) as server,
        clients(server.addresses[0], "alice") as (alice,),
        narrow_clients(server.addresses[0], *names),
    ):
        Clock(server)
        alice.write(b"CHAT/1.0 GROUP g %b\n" % " ".join(names).encode())
        most = 0
        for number in range(25):
            alice.write(sent(b"BROADCAST g", range(number, number + 1)))
            alice.flush("alice")
            most = max(most, server.snapshot().queued)
            if server.snapshot().closes:
                break
        assert limits.total_queue_bytes / 2 < most <= limits.total_queue_bytes
        closes = server.snapshot().closes
        assert set(closes) == {CloseReason.FULL_QUEUES}
        # Closing the longest queue may not suffice after one broadcast.
        assert closes[CloseReason.FULL_QUEUES] < len(names) / 4


def test_many_senders_to_one_that_is_slower(start: Start, submit: Submit) -> None:
    """All senders wait, and the lines of each arrive in order and without a gap."""
    count = 60
    names = [f"user{number}" for number in range(SENDERS)]
    with (
        start(sockets=[narrow_listener()]) as server,
        clients(server.addresses[0], "carol", *names) as (carol, *senders),
        narrow_clients(server.addresses[0], "bob") as (bob,),
    ):
        Clock(server)
        text = sent(b"SEND bob", range(count))
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
