"""Where a message's microseconds go: each stage alone, in this process.

    .venv/bin/python benchmarks/run.py --only stages

A message of 32 octets from one connection to another: by itself, as one of many in a piece, and
line by line, as what is no run of messages goes. System calls are on a loopback connection whose
other end nobody waits at, so that waking somebody up is not in them.
"""

import selectors
import socket
from collections.abc import Callable
from typing import Final

from _table import Row
from _timing import in_turns

from chatproto import ChatBroker, Login, Receive, Send
from chatproto._codec import decode, encode
from chatproto._hub import ChatHub
from chatproto._limits import Limits
from chatproto._linebuffer import LineBuffer
from chatproto._link import Link
from chatproto._links import Links
from chatproto._run import Run

PART: Final = "stages"
LOOPS: Final = 200
"""How often a stage is done in a row, so that a clock's own time counts for nothing."""
MANY: Final = 78
"""Messages in a piece: as many as the broker looks at at once."""
LINE: Final = b"CHAT/1.0 SEND bob " + b"x" * 32 + b"\n"
MAX_LINE: Final = Limits().max_line

Work = Callable[[], object]


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """Take all the figures."""
    return [
        *rows("1 message", 1, repeat, quick, {**system_calls(LINE), **in_a_run(LINE)}),
        *rows(f"{MANY} in a piece", MANY, repeat, quick, in_a_run(LINE * MANY)),
        *rows("line by line", 1, repeat, quick, line_by_line()),
    ]


def rows(what: str, messages: int, repeat: int, quick: bool, works: dict[str, Work]) -> list[Row]:
    """A row for each of some works, for one of the messages that it does."""
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
    """The same `LOOPS` times."""

    def loop() -> None:
        for _ in range(LOOPS):
            work()

    return loop


def system_calls(data: bytes) -> dict[str, Work]:
    """What the system takes, and the standard library around it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    for sock in (ours, theirs):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
    quiet, ready = selectors.DefaultSelector(), selectors.DefaultSelector()
    quiet.register(ours, selectors.EVENT_READ)
    ready.register(ours, selectors.EVENT_WRITE)

    def there_and_back() -> None:
        ours.send(data)
        theirs.recv(65536)

    return {
        "look for news, in vain": lambda: quiet.select(0),
        "look for news": lambda: ready.select(0),
        "send and receive": there_and_back,
    }


def in_a_run(piece: bytes) -> dict[str, Work]:
    """What a server does with messages to one addressee."""
    run = Run.begin(piece, "alice")
    assert run is not None
    lines = run.rewrite(piece, MAX_LINE)
    hub, links, broker = new_hub(), new_links(), new_broker()

    def queue() -> None:
        links.queue_all(("bob",), lines)
        links.sent("bob", len(lines))

    def all_of_it() -> None:
        broker.receive("alice", piece)
        for each in broker.take_ready():
            broker.sent(each, len(broker.outgoing(each)))

    return {
        "split, parse, validate, encode": lambda: run.rewrite(piece, MAX_LINE),
        "route": lambda: hub.recipients("alice", run.event),
        "queue, and take what was written": queue,
        "all that the broker does": all_of_it,
    }


def line_by_line() -> dict[str, Work]:
    """What it does with a line that stands for itself."""
    buffer = LineBuffer(MAX_LINE)
    hub, links = new_hub(), new_links()
    event, message = Send("bob", b"x" * 32), Receive("alice", b"x" * 32)
    line = encode(message)

    def queue() -> None:
        links.queue(("bob",), line)
        links.sent("bob", len(line))

    return {
        "split": lambda: buffer.feed(LINE),
        "parse and validate": lambda: decode(LINE[:-1]),
        "route": lambda: hub.handle("alice", event),
        "encode": lambda: encode(message),
        "queue, and take what was written": queue,
    }


def new_hub() -> ChatHub[str]:
    """A hub with alice and bob."""
    hub: ChatHub[str] = ChatHub()
    for name in ("alice", "bob"):
        hub.connect(name)
        hub.handle(name, Login(name))
    return hub


def new_links() -> Links[str]:
    """Their connections."""
    links: Links[str] = Links(Limits())
    for name in ("alice", "bob"):
        links.add(name, Link(name, "", Limits()))
    return links


def new_broker() -> ChatBroker[str]:
    """A broker with both."""
    broker: ChatBroker[str] = ChatBroker()
    broker.tick(0.0)
    for name in ("alice", "bob"):
        broker.connect(name, name)
        broker.receive(name, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.take_ready()
    return broker
