"""A server that follows scripts, right or wrong: bare sockets and threads."""

import contextlib
import functools
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import trustme

from ..clients import ASK_FOR_LABELS
from ..servers import TIMEOUT

VERSION = b"CHAT/1.0 "


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A TLS server's context, for 127.0.0.1 and chat.example, and a client's that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    client = ssl.create_default_context()
    authority.issue_cert("chat.example", "127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


class Player:
    """Plays a script on the server's end of a connection.

    A script is a sequence of steps: functions of a player. Those of its methods that take no
    arguments are steps.

    Args:
        sock: The connection.
        go: What `wait` waits for.
    """

    def __init__(self, sock: socket.socket, go: threading.Event) -> None:
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.received = bytearray()
        """All bytes that were read."""
        self.name = b""
        """The client's name."""
        self.written = 0
        """How many bytes were written."""
        self.finished = threading.Event()
        """Set when the script is over and the connection is closed."""
        self._go = go
        self._taken = 0

    @property
    def lines(self) -> list[bytes]:
        """The complete lines that were read, without version, LF, and questions for labels."""
        *complete, _ = bytes(self.received).replace(VERSION + ASK_FOR_LABELS, b"").split(b"\n")
        return [line.removeprefix(VERSION) for line in complete]

    def check(self) -> None:
        """Nothing ever follows an incomplete line: each line has one version, at its start."""
        *complete, incomplete = self.received.split(b"\n")
        for line in complete:
            assert line.startswith(VERSION), line
            assert line.count(VERSION) == 1, line
        assert incomplete.rfind(VERSION) <= 0, incomplete
        assert incomplete.startswith(VERSION) or VERSION.startswith(incomplete), incomplete

    # Reading

    def read_line(self) -> bytes:
        """Read the next line, its LF included; at the end of the stream what there is of it."""
        start = searched = self._taken
        while (end := self.received.find(b"\n", searched) + 1) == 0:
            searched = end = len(self.received)
            if not self.read():
                break
        self._taken = end
        return bytes(self.received[start:end])

    def drain(self) -> None:
        """Read to the end of the stream."""
        while self.read():
            pass

    def read(self) -> bool:
        """Read once; whether there was something to read before the end of the stream."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.received += data
        return bool(data)

    # What a good server does

    def asked_in(self) -> bytes:
        """Read a login and its ping; the line in which the ping would come back.

        The question for labels may stand between them. As on the reference server, nobody answers.
        """
        line = self.read_line()
        assert line.startswith(VERSION + b"LOGIN "), line
        self._answer(line)
        line = self.read_line()
        if line == VERSION + ASK_FOR_LABELS:
            line = self.read_line()
        return self._asked(line)

    def asked(self) -> bytes:
        """Read a ping; the line in which it would come back."""
        return self._asked(self.read_line())

    def _asked(self, line: bytes) -> bytes:
        echo = self._answer(line)
        assert echo, line
        return echo

    def login(self) -> None:
        """Accept a login."""
        self.write(self.asked_in())

    def echo(self) -> None:
        """Send a ping back."""
        self.write(self.asked())

    def serve(self) -> None:
        """Accept all logins and send all pings back, until the client logs out or is gone."""
        while (line := self.read_line()).endswith(b"\n") and line != VERSION + b"LOGOUT\n":
            self.write(self._answer(line))

    def _answer(self, line: bytes) -> bytes:
        match line.removesuffix(b"\n").split(b" ", 3):
            case [_, b"LOGIN", name]:
                self.name = name
            case [_, b"SEND", to, data] if to == self.name:
                return VERSION + b"RECEIVE %b %b\n" % (to, data)
        return b""

    # What other servers do

    def write(self, data: bytes) -> None:
        """Write, as much as the client reads."""
        view = memoryview(data)
        while view:
            count = self.socket.send(view)
            self.written += count
            view = view[count:]

    def dribble(self, data: bytes) -> None:
        """Write one byte after the other."""
        for number in range(len(data)):
            self.write(data[number : number + 1])

    def write_under_tls(self, data: bytes) -> None:
        """Write to the socket without encryption."""
        socket.socket.sendall(self.socket, data)

    def start_tls(self) -> None:
        """Do the TLS handshake."""
        self.socket = contexts()[0].wrap_socket(self.socket, server_side=True)

    def wait(self) -> None:
        """Neither read nor write until the test sets `go`."""
        assert self._go.wait(TIMEOUT)

    def end(self) -> None:
        """Write no more (FIN), but go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Cut the connection (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def cut(self) -> None:
        """Make the current step fail, and all later ones."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


Step = Callable[[Player], object]
Script = Sequence[Step]


def write(data: bytes) -> Step:
    """Write some bytes."""
    return lambda player: player.write(data)


def flood(piece: bytes, size: int) -> Step:
    """Write the same over and over for as long as the client reads, up to that many bytes."""

    def step(player: Player) -> None:
        while player.written < size:
            player.write(piece)

    return step


def tell(*messages: bytes) -> Step:
    """Write messages, each given as sender, space and data."""
    return write(b"".join(VERSION + b"RECEIVE %b\n" % message for message in messages))


def refuse(code: str) -> Step:
    """Refuse a login. As in a real server, its ping is refused too."""
    login = f"*server* ERR {code} LOGIN no".encode()
    answers = tell(login, b"*server* ERR NOT_LOGGED_IN SEND log in first")

    def step(player: Player) -> None:
        player.asked_in()
        answers(player)

    return step


class ScriptedServer:
    """A server on TCP that plays a script on each connection, until the end of the context.

    The end does not wait until scripts are over. It raises what went wrong in a script.

    Args:
        scripts: One for each connection, in the order of arrival. Each is followed by closing the
            connection. Connections after the last one are refused.
    """

    def __init__(self, *scripts: Script) -> None:
        self.players: list[Player] = []
        """One for each accepted connection."""
        self.go = threading.Event()
        """What `Player.wait` waits for."""
        self._arrival = threading.Condition()
        self._ended = False
        self._pool = ThreadPoolExecutor(1 + len(scripts))
        self._futures: list[Future[None]] = []
        self._listener = socket.socket()
        # So that clients fill the buffers soon.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._address = self._listener.getsockname()
        self._accepting = self._pool.submit(self._accept, scripts)

    @property
    def addresses(self) -> list[str]:
        """The addresses, as servers give them."""
        host, port = self._address
        return [f"{host}:{port}"]

    def player(self, number: int) -> Player:
        """The player of a connection, the first being 0. Waits until the connection is accepted."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.players) > number, TIMEOUT)
            return self.players[number]

    def over(self, number: int) -> Player:
        """The same, but waits until the script is over."""
        player = self.player(number)
        assert player.finished.wait(TIMEOUT)
        return player

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self.go.set()
        if not self._accepting.done():
            with contextlib.suppress(OSError):
                socket.create_connection(self._address, TIMEOUT).close()
        self._accepting.result(TIMEOUT)
        for player in self.players:
            player.cut()
        self._pool.shutdown()
        for future, player in zip(self._futures, self.players, strict=True):
            future.result()
            player.check()

    def _accept(self, scripts: Sequence[Script]) -> None:
        with self._listener as listener:
            for number, script in enumerate(scripts, 1):
                sock, _ = listener.accept()
                if self._ended:
                    sock.close()
                    break
                if number == len(scripts):
                    listener.close()
                player = Player(sock, self.go)
                with self._arrival:
                    self.players.append(player)
                    self._arrival.notify_all()
                self._futures.append(self._pool.submit(self._play, player, script))

    def _play(self, player: Player, script: Script) -> None:
        try:
            for step in script:
                step(player)
        except (ConnectionError, ssl.SSLError):
            # The client has closed the connection first.
            pass
        finally:
            player.socket.close()
            player.finished.set()
