"""`Server` and the commands: many clients at once, and shutting down under load."""

import itertools
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatproto import Limits

from ..processes import COMMANDS, spawn
from ..servers import TIMEOUT, SocketClient, Start, clients, run_sync
from ..sockets.insides import NarrowClient, wait_until

each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())

CROWD = 300
"""Clients that connect at the same time. The descriptors of both ends, and of those that the server
has not closed yet, are fewer than the 1,024 that most systems allow."""


def enter(stack: ExitStack, address: str, names: list[str]) -> list[SocketClient]:
    """Log many clients in at the same time."""
    crowd = [stack.enter_context(SocketClient(address)) for _ in names]
    for client, name in zip(crowd, names, strict=True):
        client.write(f"CHAT/1.0 LOGIN {name}\nCHAT/1.0 SEND {name} in\n".encode())
    for client, name in zip(crowd, names, strict=True):
        assert client.read_line() == f"CHAT/1.0 RECEIVE {name} in\n".encode()
    return crowd


def test_a_burst_of_reconnects(start: Start) -> None:
    """All clients disconnect and come back at once, and are found under their old names."""
    names = [f"user{number}" for number in range(CROWD)]
    with (
        start(port=0, limits=Limits(max_connections=3 * CROWD)) as server,
        clients(server.addresses[0], "alice") as (alice,),
        ExitStack() as stack,
    ):
        address = server.addresses[0]
        crowd = enter(stack, address, names)
        for number, client in enumerate(crowd):
            if number % 2:
                client.reset()
            else:
                client.close()
        crowd = enter(stack, address, names)
        wait_until(lambda: server.snapshot().connections == CROWD + 1, alice, "alice")
        assert server.snapshot().users == CROWD + 1
        assert server.snapshot().accepted == 2 * CROWD + 1
        alice.write(b"".join(b"CHAT/1.0 SEND %b hi\n" % name.encode() for name in names))
        for client in crowd:
            assert client.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        alice.flush("alice")


def test_as_many_groups_as_are_allowed() -> None:
    """One among a hundred thousand works like the only one."""
    most = Limits().max_groups
    limits = Limits(max_groups_per_connection=most + 1)
    with (
        run_sync(port=0, limits=limits) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        for start in range(0, most, 2000):
            numbers = range(start, start + 2000)
            alice.write(b"".join(b"CHAT/1.0 GROUP g%d alice bob\n" % each for each in numbers))
            alice.flush("alice")
        assert server.snapshot().groups == most
        alice.write(b"CHAT/1.0 GROUP more bob\n")
        assert b" ERR TOO_MANY GROUP " in alice.read_line()
        alice.write(b"CHAT/1.0 BROADCAST g%d hi\n" % (most // 2))
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


def test_the_longest_group_line(start: Start) -> None:
    """As many members as fit into a line. Those that are logged in get the broadcast."""
    head = b"CHAT/1.0 GROUP g alice bob"
    members = b"".join(b" %x" % number for number in range(0x1000, 0x1000 + 900))
    line = (head + members)[: Limits().max_line - 1]
    last = line.rpartition(b" ")[2].decode()
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob", last) as (alice, bob, zoe),
    ):
        alice.write(line + b"\nCHAT/1.0 BROADCAST g hi\n")
        for member in (bob, zoe):
            assert member.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        alice.flush("alice")


def test_churn_under_traffic(start: Start) -> None:
    """While others come and go, chatting clients get each message once and in order."""
    senders, readers = ["alice", "bob", "carol"], ["dave", "erin", "frank"]
    over = threading.Event()
    with (
        start(port=0) as server,
        clients(server.addresses[0], *senders, *readers) as people,
        ThreadPoolExecutor() as pool,
    ):

        def send(client: SocketClient, name: str, to: str) -> int:
            for number in itertools.count():
                if over.is_set():
                    client.write(f"CHAT/1.0 SEND {to} over\n".encode())
                    return number
                client.write(f"CHAT/1.0 SEND {to} {number}\n".encode())
                if number % 20 == 0:
                    # So that no queue fills.
                    client.flush(name)
            raise AssertionError

        def read(client: SocketClient, sender: str) -> int:
            for number in itertools.count():
                line = client.read_line()
                if line == f"CHAT/1.0 RECEIVE {sender} over\n".encode():
                    return number
                assert line == f"CHAT/1.0 RECEIVE {sender} {number}\n".encode()
            raise AssertionError

        sent = [
            pool.submit(send, client, name, to)
            for client, name, to in zip(people, senders, readers, strict=False)
        ]
        got = [
            pool.submit(read, client, sender)
            for client, sender in zip(people[3:], senders, strict=True)
        ]
        for number in range(150):
            with SocketClient(server.addresses[0]) as guest:
                if number % 2:
                    guest.login("guest")
                if number % 3 == 0:
                    guest.write(b"CHAT/1.0 SEND dave unfin")
                elif number % 3 == 1:
                    guest.write(b"CHAT/1.0 LOGOUT\n")
                if number % 5 == 0:
                    guest.reset()
        over.set()
        counts = [each.result(TIMEOUT) for each in got]
        assert counts == [each.result(TIMEOUT) for each in sent]
        assert min(counts) > 0
        closes = server.snapshot().closes
        assert not any(reason.startswith("slow consumer") for reason in closes)


class Pair:
    """A client that sends without end, and one that reads to the end."""

    def __init__(self, stack: ExitStack, address: str, number: int) -> None:
        self.names = f"sender{number}", f"reader{number}"
        self.sender, self.reader = (stack.enter_context(SocketClient(address)) for _ in self.names)
        for client, name in zip((self.sender, self.reader), self.names, strict=True):
            client.login(name)
        self.acknowledged = 0
        self.got: list[int] = []

    def send(self, busy: threading.Barrier) -> None:
        """Send and flush until the server ends. Pass the barrier after a thousand messages."""
        name, to = (each.encode() for each in self.names)
        flush = b"CHAT/1.0 SEND %b flush\n" % name
        for start in itertools.count(0, 50):
            lines = [b"CHAT/1.0 SEND %b %d\n" % (to, start + each) for each in range(50)]
            try:
                self.sender.write(b"".join(lines) + flush)
            except OSError:
                return
            if self.sender.read_line() != b"CHAT/1.0 RECEIVE %b flush\n" % name:
                return
            self.acknowledged = start + 50
            if start == 1000:
                busy.wait(TIMEOUT)

    def read(self) -> None:
        for line in iter(self.reader.read_line, b""):
            head, _, number = line.rpartition(b" ")
            if head != b"CHAT/1.0 RECEIVE " + self.names[0].encode():
                assert b" ERR SHUTTING_DOWN " in line
                return
            self.got.append(int(number))
        raise AssertionError("the server closed without a notice")


@each_command
def test_sigterm_under_load(command: list[str], tmp_path: Path) -> None:
    """All that a flush acknowledged arrives, and what follows it arrives without a gap."""
    with (
        spawn([*command, "--port=0"], tmp_path / "log") as server,
        ExitStack() as stack,
        ThreadPoolExecutor(8) as pool,
    ):
        pairs = [Pair(stack, server.address, number) for number in range(4)]
        busy = threading.Barrier(5)
        sending = [pool.submit(pair.send, busy) for pair in pairs]
        reading = [pool.submit(pair.read) for pair in pairs]
        busy.wait(TIMEOUT)
        server.popen.send_signal(signal.SIGTERM)
        for each in sending + reading:
            each.result(TIMEOUT)
        stack.close()
        assert server.popen.wait(TIMEOUT) == 0
    for pair in pairs:
        assert pair.acknowledged > 1000
        assert len(pair.got) >= pair.acknowledged
        assert pair.got == list(range(len(pair.got)))
    assert "Traceback" not in server.log


PATIENT = f"""
import runpy, sys
from dataclasses import replace
from chatproto_sync.service import startup

limits_of = startup.limits_of
startup.limits_of = lambda values: replace(
    limits_of(values),
    linger=1000,
    close_timeout=1000,
    queue_age=1000,
    queue_bytes={1 << 25},
    high_water={1 << 24},
)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""Runs a module with limits by which no connection is cut, and no sender waits soon."""


def patient(command: list[str]) -> list[str]:
    """A command of `COMMANDS` with these limits."""
    python, _, *module = command
    return [python, "-c", PATIENT, *module, "--port=0"]


def stall(stack: ExitStack, address: str) -> SocketClient:
    """Have the server queue messages for bob, who reads nothing.

    Returns:
        The sender.
    """
    alice = stack.enter_context(SocketClient(address))
    bob = stack.enter_context(NarrowClient(address))
    alice.login("alice")
    bob.login("bob")
    alice.write((b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n") * 3000)
    alice.flush("alice")
    return alice


@each_command
def test_a_second_signal_ends_the_server_at_once(command: list[str], tmp_path: Path) -> None:
    with (
        spawn([*patient(command), "--grace=1000"], tmp_path / "log") as server,
        ExitStack() as stack,
    ):
        alice = stall(stack, server.address)
        server.popen.send_signal(signal.SIGTERM)
        assert b" ERR SHUTTING_DOWN " in alice.read_line()
        assert server.end(signal.SIGTERM) == 0
    assert re.search(r"closed bob \(.*\): shutting down", server.log)
    assert "Traceback" not in server.log


@each_command
def test_the_server_ends_within_the_grace(command: list[str], tmp_path: Path) -> None:
    with (
        spawn([*patient(command), "--grace=0.1"], tmp_path / "log") as server,
        ExitStack() as stack,
    ):
        stall(stack, server.address)
        assert server.end(signal.SIGTERM) == 0
    assert re.search(r"closed bob \(.*\): shutting down", server.log)
    assert "Traceback" not in server.log
