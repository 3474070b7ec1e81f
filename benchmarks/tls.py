"""What TLS costs a server, against plain sockets: messages a second, CPU time, memory, handshakes.

    .venv/bin/python benchmarks/tls.py

Two servers (`python -m chatproto_sync`) run at the same time, one of them with TLS, and take turns
with the same load over loopback. Each figure is the median of three. The load is this process. It
is in Python too, and does half of the encryption. The table shows how busy it was. The server's CPU
time for each message does not depend on that. For Linux (`/proc`). trustme makes the certificate.
"""

import contextlib
import os
import platform
import selectors
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import _server
import trustme

ROUNDS: Final = 3
WARM_UP: Final = 0.5
SECONDS: Final = 2.5
"""The duration of a load in seconds, after the warm-up."""
IDLE: Final = 2000
"""Connections whose memory is measured."""
HANDSHAKES: Final = 1000
PIPELINED: Final = 100
"""Messages that are sent at once. The next ones follow when all of them have arrived."""
BROADCASTS: Final = 10
"""The same for broadcasts."""

TEXT: Final = b"the text of each message is like this"


class Server(_server.Server):
    """A server, with TLS or without.

    Args:
        certificate: The path of its certificate; None for no TLS.
        authority: The CA that its clients trust.
    """

    def __init__(self, certificate: Path | None, authority: trustme.CA) -> None:
        options = ["--log-level=error"]
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            options.append(f"--tls-cert={certificate}")
            self._context = ssl.create_default_context()
            authority.configure_trust(self._context)
        super().__init__("sync", options)

    def connect(self) -> socket.socket:
        """Connect to the server, and do the handshake."""
        sock = super().connect()
        if self._context is None:
            return sock
        return self._context.wrap_socket(sock, server_hostname="127.0.0.1")


OnLines = Callable[[int, int], None]
"""Called with the number of a connection, and the number of lines that it has received."""


class Load(NamedTuple):
    """One way to use a server."""

    name: str
    people: int
    """The number of connections."""
    begin: Callable[[Sequence[socket.socket], Sequence[str]], OnLines]
    """Sends the first messages on the connections with these names, and returns what sends more."""


def to_neighbours(names: Sequence[str]) -> list[bytes]:
    """The line that each client sends to the other one of its pair."""
    return [b"CHAT/1.0 SEND %b %b\n" % (names[at ^ 1].encode(), TEXT) for at in range(len(names))]


def ping_pong(socks: Sequence[socket.socket], names: Sequence[str]) -> OnLines:
    """Each pair sends one message back and forth."""
    lines = to_neighbours(names)
    for number in range(0, len(socks), 2):
        socks[number].send(lines[number])

    def on_lines(number: int, count: int) -> None:
        socks[number].send(lines[number] * count)

    return on_lines


def pipelined(socks: Sequence[socket.socket], names: Sequence[str]) -> OnLines:
    """One of each pair sends to the other one, many messages at once."""
    lines = to_neighbours(names)
    waiting = [PIPELINED - 1] * len(socks)

    def on_lines(number: int, count: int) -> None:
        waiting[number] += count
        if waiting[number] == PIPELINED:
            waiting[number] = 0
            socks[number - 1].send(lines[number - 1] * PIPELINED)

    for number in range(1, len(socks), 2):
        on_lines(number, 1)
    return on_lines


def group(socks: Sequence[socket.socket], names: Sequence[str]) -> OnLines:
    """The first client sends broadcasts to all others, a few at once."""
    socks[0].send(f"CHAT/1.0 GROUP {names[0]} {' '.join(names)}\n".encode())
    line = b"CHAT/1.0 BROADCAST %b %b\n" % (names[0].encode(), TEXT)
    at_a_time = BROADCASTS * (len(socks) - 1)
    waiting = at_a_time - 1

    def on_lines(_number: int, count: int) -> None:
        nonlocal waiting
        waiting += count
        if waiting == at_a_time:
            waiting = 0
            socks[0].send(line * BROADCASTS)

    on_lines(0, 1)
    return on_lines


LOADS: Final = (
    Load("ping-pong, 1 pair", 2, ping_pong),
    Load("ping-pong, 100 pairs", 200, ping_pong),
    Load("pipelined, 10 pairs", 20, pipelined),
    Load("group of 100", 100, group),
)

SERIES: Final = count()
"""So that names are new each time."""


class Figures(NamedTuple):
    """The result of one load, or the median of several."""

    rate: float
    """Messages that arrived a second."""
    cpu: float
    """Microseconds of the server's CPU time for each message."""
    busy: float
    """The part of the time in which the load itself used a CPU."""


def timed(server: Server, work: Callable[[], int]) -> Figures:
    """Measure work that returns how often it was done."""
    start, cpu, own = time.monotonic(), server.cpu(), time.process_time()
    times = work()
    took = time.monotonic() - start
    busy = (time.process_time() - own) / took
    return Figures(times / took, (server.cpu() - cpu) / times * 1e6, busy)


def measure(load: Load, server: Server) -> Figures:
    """Run a load on a server."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        series = next(SERIES)
        names = [f"u{series}-{number}" for number in range(load.people)]
        socks = [stack.enter_context(server.log_in(name)) for name in names]
        for number, sock in enumerate(socks):
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, (sock, number))
        on_lines = load.begin(socks, names)
        run(selector, on_lines, WARM_UP)
        return timed(server, partial(run, selector, on_lines, SECONDS))


def run(selector: selectors.BaseSelector, on_lines: OnLines, seconds: float) -> int:
    """Run a load for a while, and return the number of messages that arrived."""
    total = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(0.1):
            sock, number = key.data
            try:
                lines = sock.recv(65536).count(b"\n")
            except (BlockingIOError, ssl.SSLWantReadError):
                # An incomplete TLS record, or one without data.
                continue
            if lines:
                total += lines
                on_lines(number, lines)
    return total


def memory(server: Server) -> float:
    """The kilobytes of each idle connection. The first ones cost more, and do not count."""
    with contextlib.ExitStack() as stack:
        for number in range(100):
            stack.enter_context(server.log_in(f"first{number}"))
        before = server.memory()
        for number in range(IDLE):
            stack.enter_context(server.log_in(f"idle{number}"))
        return (server.memory() - before) / IDLE / 1000


def handshakes(server: Server) -> Figures:
    """Connect, do the handshake and disconnect, on four connections at the same time."""

    def visit(_: int) -> None:
        server.connect().close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(visit, range(HANDSHAKES // 10)))
        return timed(server, lambda: len(list(pool.map(visit, range(HANDSHAKES)))))


def interleaved(servers: Sequence[Server], use: Callable[[Server], Figures]) -> list[Figures]:
    """Measure servers in turns, and return the median for each."""
    taken = [[use(server) for server in servers] for _ in range(ROUNDS)]
    columns = zip(*taken, strict=True)
    return [Figures(*map(median, zip(*column, strict=True))) for column in columns]


def show(name: str, plain: Figures, tls: Figures) -> None:
    """Print one row of the table."""
    print(
        f"| {name:20} | {plain.rate:9,.0f} | {tls.rate:9,.0f} | {tls.rate / plain.rate:5.2f}"
        f" | {plain.cpu:5.1f} | {tls.cpu:5.1f} | {tls.cpu / plain.cpu:5.2f}"
        f" | {plain.busy:5.0%} | {tls.busy:5.0%} |",
        flush=True,
    )


def main() -> None:
    """Measure everything, and print a table."""
    _server.use_all_descriptors()
    authority = trustme.CA()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {ssl.OPENSSL_VERSION}")
    print(
        "Each figure without and with TLS: messages a second, microseconds of the server's CPU time"
    )
    print("for each, and how busy the load was. If near 100%, the load limits the rate.")
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "cert.pem"
        pem = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
        pem.write_to_path(str(certificate))
        kinds = partial(Server, None, authority), partial(Server, certificate, authority)
        with kinds[0]() as plain, kinds[1]() as tls:
            for load in LOADS:
                show(load.name, *interleaved((plain, tls), partial(measure, load)))
            [shaken] = interleaved((tls,), handshakes)
        kilobytes: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for start, taken in zip(kinds, kilobytes, strict=True):
                # A new server each time, because a process does not give memory back.
                with start() as server:
                    taken.append(memory(server))
    print(f"handshakes: {shaken.rate:,.0f} a second, {shaken.cpu:,.0f} µs, {shaken.busy:.0%} busy")
    print("kB for each idle connection: {:.1f}, {:.1f}".format(*map(median, kilobytes)))


if __name__ == "__main__":
    main()
