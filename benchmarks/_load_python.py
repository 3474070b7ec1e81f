"""The load of `chatload.c` in Python, for machines without a compiler. It is slower than a server.

It has the same options but `-P` and `-r`, prints the same line, and knows only CHAT/1.0.
"""

import argparse
import contextlib
import errno
import selectors
import socket
import sys
import time
from collections import deque
from statistics import median
from typing import Final

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE


class Conn:
    """A connection that has logged in.

    Args:
        selector: What waits for it.
        address: The address of the server.
        name: Its name.
        data: The data of its messages, with one "|" in it.
    """

    def __init__(
        self, selector: selectors.BaseSelector, address: tuple[str, int], name: str, data: bytes
    ) -> None:
        self.name = name
        # When each message that is on its way was sent.
        self.sent_at: deque[float] = deque()
        # The sender of the messages that it receives; for a sender, itself.
        self.sender: Conn | None = None
        self._data = data
        self._out = bytearray()
        self._selector = selector
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        selector.register(self._socket, READ, self)
        self.write(f"CHAT/1.0 LOGIN {name}\n")
        # The message comes back when the login was executed.
        self.send("SEND", name)

    def write(self, line: str) -> None:
        """Write a line."""
        self._out += line.encode()
        self.flush()

    def send(self, command: str, to: str, times: int = 1) -> None:
        """Write messages."""
        self._out += b"CHAT/1.0 %b %b %b\n" % (command.encode(), to.encode(), self._data) * times
        self.flush()

    def flush(self) -> None:
        """Write as much as possible without waiting."""
        with contextlib.suppress(BlockingIOError):
            del self._out[: self._socket.send(self._out)]
        self._selector.modify(self._socket, READ | WRITE if self._out else READ, self)

    def receive(self) -> int:
        """Read what has arrived, and return the number of deliveries in it."""
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, f"the server has closed {self.name}")
        return data.count(b"|")


def run_load(
    selector: selectors.BaseSelector, conns: list[Conn], given: argparse.Namespace
) -> None:
    """Run the load, and print the result."""
    grouped = given.m == "group"
    command = "BROADCAST" if grouped else "SEND"
    each = given.c if grouped else 1
    active = conns[: given.c + 1 if grouped else 2 * given.c]
    to = {conn: active[at ^ 1].name for at, conn in enumerate(active) if not grouped}
    if grouped:
        to[active[0]] = group = f"{given.u}-g{given.c}"
        active[0].write(f"CHAT/1.0 GROUP {group} {' '.join(conn.name for conn in active)}\n")
    start = time.monotonic()
    for at, conn in enumerate(active):
        conn.sender = active[0] if grouped else active[at & ~1]
        if conn.sender is conn:
            conn.sent_at.extend([start] * given.w)
            conn.send(command, to[conn], given.w)
    got = complete = 0
    taken: list[float] = []
    while got < given.n and time.monotonic() < start + given.t:
        for key, events in selector.select(0.1):
            conn = key.data
            if events & WRITE:
                conn.flush()
            if not events & READ:
                continue
            received = conn.receive()
            got += received
            complete += received
            times, complete = divmod(complete, each)
            if times and conn.sender is not None:
                now = time.monotonic()
                sent = conn.sender.sent_at
                taken += [now - sent.popleft() for _ in range(times)]
                sent.extend([now] * times)
                conn.sender.send(command, to[conn.sender], times)
    seconds = time.monotonic() - start
    taken.sort()
    p50, p99, p999 = (
        (median(taken), taken[len(taken) * 99 // 100], taken[len(taken) * 999 // 1000])
        if taken
        else (0.0, 0.0, 0.0)
    )
    print(
        f"proto=chat mode={given.m} n={given.c} window={given.w} size={given.s} idle={given.i}"
        f" deliveries={got} seconds={seconds:.3f} rate={got / seconds:.0f} p50_us={p50 * 1e6:.0f}"
        f" p99_us={p99 * 1e6:.0f} p999_us={p999 * 1e6:.0f} client_cpu={time.process_time():.2f}"
    )
    sys.exit(0 if got >= given.n else 1)


def main() -> None:
    """Run the load on the server that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-p", type=lambda text: [*map(int, text.split(","))], default=[3333])
    parser.add_argument("-H", default="127.0.0.1")
    parser.add_argument("-m", choices=("pairs", "group"), default="pairs")
    parser.add_argument("-t", type=float, default=50.0)
    parser.add_argument("-u", default="u")
    for option, default in (("-c", 10), ("-w", 100), ("-n", 100000), ("-s", 32), ("-i", 0)):
        parser.add_argument(option, type=int, default=default)
    given = parser.parse_args()
    data = b"|".ljust(given.s, b"x")
    number = (given.c + 1 if given.m == "group" else 2 * given.c) + given.i
    with selectors.DefaultSelector() as selector:
        conns = [
            Conn(selector, (given.H, given.p[at % len(given.p)]), f"{given.u}{at}", data)
            for at in range(number)
        ]
        while number:
            ready = selector.select(given.t)
            if not ready:
                raise TimeoutError("not all clients could log in")
            number -= sum(key.data.receive() for key, _ in ready)
        run_load(selector, conns, given)


if __name__ == "__main__":
    main()
