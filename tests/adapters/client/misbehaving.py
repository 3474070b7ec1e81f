"""A server that does what its scripts say, right or wrong: bare sockets and threads."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

LIMIT = 20.0
"""Seconds after which a step has failed; none should take that long."""

VERSION = b"CHAT/1.0 "


class Peer:
    """The server's end of one connection, as scripts see it. Methods without arguments are steps.

    Args:
        sock: The connection.
        go: What `wait` waits for.
    """

    def __init__(self, sock: socket.socket, go: threading.Event) -> None:
        sock.settimeout(LIMIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.received = bytearray()
        """All that was read."""
        self.name = b""
        """What the client calls itself."""
        self.written = 0
        """How many octets the system has taken."""
        self.finished = threading.Event()
        """Set when the script is over, and the connection with it."""
        self._go = go
        self._taken = 0

    @property
    def lines(self) -> list[bytes]:
        """The whole lines that were read, without version and LF."""
        *whole, _ = bytes(self.received).split(b"\n")
        return [line.removeprefix(VERSION) for line in whole]

    def check(self) -> None:
        """Nothing ever follows half a line: every line starts with the version and has one."""
        *whole, half = self.received.split(b"\n")
        for line in whole:
            assert line.startswith(VERSION), line
            assert line.count(VERSION) == 1, line
        assert half.rfind(VERSION) <= 0, half
        assert half.startswith(VERSION) or VERSION.startswith(half), half

    # Reading

    def read_line(self) -> bytes:
        """The next line, its LF included; what there is of it at the end of the stream."""
        start = searched = self._taken
        while (end := self.received.find(b"\n", searched) + 1) == 0:
            searched = end = len(self.received)
            if not self._read():
                break
        self._taken = end
        return bytes(self.received[start:end])

    def drain(self) -> None:
        """Read to the end."""
        while self._read():
            pass

    def _read(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.received += data
        return bool(data)

    # Behaving well

    def asked_in(self) -> bytes:
        """Read what a client says to log in; what it waits for."""
        line = self.read_line()
        assert line.startswith(VERSION + b"LOGIN "), line
        self._answer(line)
        return self.asked()

    def asked(self) -> bytes:
        """Read what a client says to itself; what it waits for."""
        line = self.read_line()
        echo = self._answer(line)
        assert echo, line
        return echo

    def login(self) -> None:
        """Let the client in."""
        self.write(self.asked_in())

    def echo(self) -> None:
        """Give back one thing that the client says to itself."""
        self.write(self.asked())

    def serve(self) -> None:
        """Be a good server until the client logs out or is gone."""
        while (line := self.read_line()).endswith(b"\n") and line != VERSION + b"LOGOUT\n":
            self.write(self._answer(line))

    def _answer(self, line: bytes) -> bytes:
        match line.removesuffix(b"\n").split(b" ", 3):
            case [_, b"LOGIN", name]:
                self.name = name
            case [_, b"SEND", to, data] if to == self.name:
                return VERSION + b"RECEIVE %b %b\n" % (to, data)
        return b""

    # Behaving as it likes

    def write(self, data: bytes) -> None:
        """Write, as much as the client takes."""
        view = memoryview(data)
        while view:
            count = self.socket.send(view)
            self.written += count
            view = view[count:]

    def dribble(self, data: bytes) -> None:
        """Write one octet after the other."""
        for number in range(len(data)):
            self.write(data[number : number + 1])

    def write_under_tls(self, data: bytes) -> None:
        """Write past the encryption."""
        socket.socket.sendall(self.socket, data)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the handshake."""
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def wait(self) -> None:
        """Do nothing, not even read, until the test says `go`."""
        assert self._go.wait(LIMIT)

    def end(self) -> None:
        """Say nothing more, but go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close rudely."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def cut(self) -> None:
        """Have the step that the script is at fail, and every later one."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


Step = Callable[[Peer], object]
Script = Sequence[Step]
"""What to do with one connection; at its end the connection is closed."""


def say(data: bytes) -> Step:
    """Write something."""
    return lambda peer: peer.write(data)


def tell(*messages: bytes) -> Step:
    """Write messages, each as sender, space, data."""
    return say(b"".join(VERSION + b"RECEIVE %b\n" % message for message in messages))


def refuse(code: str) -> Step:
    """Not let a client in, and answer both its lines."""
    login = f"*server* ERR {code} LOGIN no".encode()
    answers = tell(login, b"*server* ERR NOT_LOGGED_IN SEND log in first")

    def step(peer: Peer) -> None:
        peer.asked_in()
        answers(peer)

    return step


class MisbehavingServer:
    """A listener that is up while the context is.

    The end waits for no script, and raises what went wrong in one.

    Args:
        scripts: One for each connection, in the order of arrival. Who comes after the last is
            refused.
    """

    def __init__(self, *scripts: Script) -> None:
        self.peers: list[Peer] = []
        """Those that were accepted."""
        self.go = threading.Event()
        """What `Peer.wait` waits for."""
        self._arrival = threading.Condition()
        self._ended = False
        self._pool = ThreadPoolExecutor(1 + len(scripts))
        self._futures: list[Future[None]] = []
        self._listener = socket.socket()
        # So that a client soon can't write more.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._address = self._listener.getsockname()
        self._accepting = self._pool.submit(self._accept, scripts)

    @property
    def addresses(self) -> list[str]:
        """Where it listens, in the way of the real servers."""
        host, port = self._address
        return [f"{host}:{port}"]

    def peer(self, number: int) -> Peer:
        """One of those that were accepted, the first being 0; waits for it."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.peers) > number, LIMIT)
            return self.peers[number]

    def over(self, number: int) -> Peer:
        """The same, but waits until its script is over."""
        peer = self.peer(number)
        assert peer.finished.wait(LIMIT)
        return peer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self.go.set()
        if not self._accepting.done():
            with contextlib.suppress(OSError):
                socket.create_connection(self._address, LIMIT).close()
        self._accepting.result(LIMIT)
        for peer in self.peers:
            peer.cut()
        self._pool.shutdown()
        for future, peer in zip(self._futures, self.peers, strict=True):
            future.result()
            peer.check()

    def _accept(self, scripts: Sequence[Script]) -> None:
        with self._listener as listener:
            for number, script in enumerate(scripts, 1):
                sock, _ = listener.accept()
                if self._ended:
                    sock.close()
                    break
                if number == len(scripts):
                    listener.close()
                peer = Peer(sock, self.go)
                with self._arrival:
                    self.peers.append(peer)
                    self._arrival.notify_all()
                self._futures.append(self._pool.submit(self._play, peer, script))

    def _play(self, peer: Peer, script: Script) -> None:
        try:
            for step in script:
                step(peer)
        except (ConnectionError, ssl.SSLError):
            # The client has gone first.
            pass
        finally:
            peer.socket.close()
            peer.finished.set()
