"""Where the microseconds of a message go: each stage alone, in this process.

    .venv/bin/python benchmarks/run.py --only stages

A message of 32 bytes from one connection to another: by itself, as one of many in a piece, and on
the general path, for all lines that the fast path does not take. What a server does at once for all
ready connections is done for a hundred here. System calls are on loopback connections at whose
other ends no process waits, so that they include no wake-up.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from _table import Row
from _timing import in_turns

from chatproto import ChatBroker, ChatConnection, ChatHub, Limits, Login, Receive, Role, Send
from chatproto.server.buffers import Buffers
from chatproto.server.flow_control import FlowControl
from chatproto.server.peer import Peer
from chatproto.wire.codec import encode
from chatproto.wire.line_buffer import LineBuffer
from chatproto_sync.sockets.poller import ONCE, READ, Poller, new_poller

PART: Final = "stages"
LOOPS: Final = 10
"""Repetitions of a stage in a row, so that the time to read the clock does not matter."""
READY: Final = 100
"""Connections that are ready at the same time."""
MANY: Final = 77
"""Messages in a piece: as many as the broker takes at once."""
TEXT: Final = b"x" * 32

Work = Callable[[], object]


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Measure all figures."""
    with system_calls() as works:
        calls = rows("by itself", READY, repeat, quick, works)
    return [
        *calls,
        *rows("by itself", READY, repeat, quick, fast_path(1)),
        *rows(f"{MANY} in a piece", READY * MANY, repeat, quick, fast_path(MANY)),
        *rows("on the general path", MANY, repeat, quick, general_path()),
    ]


def rows(what: str, messages: int, repeat: int, quick: bool, works: dict[str, Work]) -> list[Row]:
    """A row for each of some works, with the time for one of its messages."""
    times = in_turns(repeat, *map(many_times, works.values()), runs=4 if quick else 20)
    return [
        Row(
            part=PART,
            name=f"{what}: {name}",
            unit="µs",
            values=[each / LOOPS / messages * 1e6 for each in taken],
        )
        for name, taken in zip(works, times, strict=True)
    ]


def many_times(work: Work) -> Callable[[], None]:
    """The same work `LOOPS` times."""

    def loop() -> None:
        for _ in range(LOOPS):
            work()

    return loop


@contextmanager
def system_calls() -> Iterator[dict[str, Work]]:
    """The system calls for a message, called from Python."""
    poller: Poller[None] = new_poller()
    pairs: list[tuple[socket.socket, socket.socket]] = []
    line = line_to(1)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for _ in range(READY):
            ours = stack.enter_context(socket.create_connection(listener.getsockname()))
            theirs = stack.enter_context(listener.accept()[0])
            for sock in (ours, theirs):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setblocking(False)
            pairs.append((ours, theirs))

            poller.register(ours, READ | ONCE, None)

        def send_and_receive() -> None:
            for ours, theirs in pairs:
                theirs.send(line)
                ours.recv(65536)

        def and_poll() -> None:
            for _, theirs in pairs:
                theirs.send(line)
            poller.poll(0)
            for ours, _ in pairs:
                ours.recv(65536)

        yield {"send and receive": send_and_receive, "the same, and poll": and_poll}
    poller.close()


def fast_path(messages: int) -> dict[str, Work]:
    """The work of a broker for so many messages in a piece, from each ready connection."""
    broker, limits = new_broker(READY), Limits()
    peers = {number: Peer(number, "", "", limits) for number in range(READY)}
    buffers = Buffers(limits, FlowControl(limits, lambda peer: peer.cid), peers)
    received = [(number, line_to(number ^ 1) * messages) for number in range(READY)]

    def queue_and_write() -> None:
        for number, data in received:
            buffers.queue_unless_full((peers[number],), data)
        buffers.sent_all([(cid, len(data)) for cid, data in buffers.take_outgoing()])

    def all_of_it() -> None:
        broker.receive_all(received)
        broker.sent_all([(cid, len(data)) for cid, data in broker.take_outgoing()])

    return {
        "queue, and note what was written": queue_and_write,
        "all that the broker does": all_of_it,
    }


def general_path() -> dict[str, Work]:
    """The work of a broker for lines that the fast path does not take."""
    broker = new_broker(2)
    # The fast path does not take lines with a CR.
    lines = line_to(1).replace(b"\n", b"\r\n") * MANY
    buffer, connection = LineBuffer(Limits().max_line), ChatConnection(Role.SERVER)
    connection.receive_data(b"CHAT/1.0 LOGIN alice\n")
    event, message = Send("user1", TEXT), Receive("alice", TEXT)
    hub: ChatHub[int] = ChatHub()
    for number in (0, 1):
        hub.connect(number)
        hub.handle(number, Login(f"user{number}"))

    def route() -> None:
        for _ in range(MANY):
            hub.handle(0, event)

    def write() -> None:
        for _ in range(MANY):
            encode(message)

    def all_of_it() -> None:
        broker.receive(0, lines)
        broker.sent_all([(cid, len(data)) for cid, data in broker.take_outgoing()])

    return {
        "split": lambda: buffer.feed(lines),
        "split, parse, validate": lambda: connection.receive_data(lines),
        "route": route,
        "encode": write,
        "all that the broker does": all_of_it,
    }


def line_to(number: int) -> bytes:
    """A message to a user."""
    return b"CHAT/1.0 SEND user%d %b\n" % (number, TEXT)


def new_broker(users: int) -> ChatBroker[int]:
    """A broker with so many users."""
    broker: ChatBroker[int] = ChatBroker()
    broker.tick(0.0)
    for number in range(users):
        broker.connect(number, "somewhere")
        broker.receive(number, b"CHAT/1.0 LOGIN user%d\n" % number)
    broker.take_ready()
    return broker
