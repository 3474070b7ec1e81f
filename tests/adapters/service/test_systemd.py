"""`systemd`: sockets that it passes, and what it is told. That the commands do so is in
`test_commands.py`."""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from chatproto_sync.service.errors import StartError
from chatproto_sync.service.systemd import Notifier, inherited_sockets

from ..processes import run
from ..sockets.conftest import FakeClock

# The sockets of systemd

MINE = str(os.getpid())


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "rubbish"},
        {"LISTEN_PID": MINE},
        {"LISTEN_PID": MINE, "LISTEN_FDS": "0"},
    ],
)
def test_no_sockets(environment: dict[str, str]) -> None:
    assert inherited_sockets(environment) == []


@pytest.mark.parametrize("text", ["rubbish", "-1", "1.5", "0x10", "\u0661", "9" * 5000])
@pytest.mark.parametrize("name", ["LISTEN_PID", "LISTEN_FDS"])
def test_a_variable_that_is_no_number(name: str, text: str) -> None:
    environment = {"LISTEN_PID": MINE, "LISTEN_FDS": "1", name: text}
    with pytest.raises(StartError, match=f"^{name}: .* is not a whole number$"):
        inherited_sockets(environment)


PROGRAM = """
import os, socket, sys
made = {sockets}
numbers = [each.fileno() for each in made]
copies = [os.dup(each) for each in numbers if each >= 0]
# Python's own descriptors lie between.
for fd, copy in enumerate(copies, start=3):
    os.dup2(copy, fd, inheritable=True)
os.closerange(3 + len(copies), 100)
from chatproto_sync.service.errors import StartError
from chatproto_sync.service.systemd import inherited_sockets
environment = {{"LISTEN_PID": str(os.getpid()), **{environment}}}
try:
    found = inherited_sockets(environment)
except StartError as error:
    print(error)
else:
    print([(each.fileno(), each.get_inheritable()) for each in found])
"""
"""Takes sockets from the descriptors that systemd uses, which are pytest's here."""

LISTENER = "socket.create_server(('127.0.0.1', 0))"
UNIX = "(lambda s: (s.bind(''), s.listen(), s)[2])(socket.socket(socket.AF_UNIX))"


def inherit(*sockets: str, **environment: str) -> str:
    program = PROGRAM.format(sockets=f"[{', '.join(sockets)}]", environment=environment)
    result = run(sys.executable, "-c", program)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.removesuffix("\n")


def test_sockets_that_listen_are_taken() -> None:
    """Not for the programs that the server starts."""
    assert inherit(LISTENER, UNIX, LISTEN_FDS="2") == "[(3, False), (4, False)]"


@pytest.mark.parametrize(
    ("sock", "words"),
    [
        ("socket.socket()", "it does not listen; in a unit of systemd, leave Accept=no as it is"),
        ("socket.socketpair()[0]", "it does not listen; in a unit of systemd, leave Accept=no"),
        (
            "socket.socket(type=socket.SOCK_DGRAM)",
            "it is not a stream socket; in a unit of systemd, use ListenStream=",
        ),
        ("open('/dev/null')", "it is not a socket"),
    ],
)
def test_a_socket_of_no_use_is_named(sock: str, words: str) -> None:
    found = inherit(LISTENER, sock, LISTEN_FDS="2", LISTEN_FDNAMES="chat:other")
    assert found.startswith(f"can't use descriptor 4 of systemd ('other', LISTEN_FDS=2): {words}")


@pytest.mark.parametrize("names", ["", "chat", "chat:"])
def test_fewer_sockets_than_there_should_be(names: str) -> None:
    found = inherit(LISTENER, LISTEN_FDS="2", LISTEN_FDNAMES=names)
    assert found == "can't use descriptor 4 of systemd (LISTEN_FDS=2): systemd has not passed it"


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="Linux has them")
def test_a_socket_of_another_family() -> None:
    found = inherit("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", LISTEN_FDS="1")
    assert found.endswith(": it is neither a TCP nor a Unix socket")


# What systemd is told


class Systemd:
    """The socket of systemd, which knows what was sent to it."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(address)

    def read(self) -> list[str]:
        """What has arrived since the last call."""
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(1000).decode())
        return found


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def manager(path: str) -> Iterator[Systemd]:
    manager = Systemd(path)
    yield manager
    manager.socket.close()


@contextlib.contextmanager
def notifying(clock: FakeClock | None = None, **environment: str) -> Iterator[Notifier]:
    with contextlib.closing(Notifier(environment, clock or FakeClock())) as notifier:
        yield notifier


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(each.levelno == logging.WARNING for each in caplog.records)
    return [each.getMessage() for each in caplog.records]


def test_states(manager: Systemd, path: str) -> None:
    with notifying(NOTIFY_SOCKET=path) as notifier:
        notifier.ready()
        notifier.alive()
        assert manager.read() == ["READY=1"]
        notifier.reloading()
        notifier.ready()
        [reloading, ready] = manager.read()
        state, _, usec = reloading.partition("\nMONOTONIC_USEC=")
        assert (state, ready) == ("RELOADING=1", "READY=1")
        assert usec.isdecimal()
        notifier.stopping()
        notifier.stopping()
        assert manager.read() == ["STOPPING=1"]
        assert notifier.is_stopping


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has abstract addresses")
def test_an_abstract_address(path: str) -> None:
    manager = Systemd(f"\0{path}")
    with manager.socket, notifying(NOTIFY_SOCKET=f"@{path}") as notifier:
        notifier.ready()
        assert manager.read() == ["READY=1"]


def test_nobody_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    with notifying(WATCHDOG_USEC="1000000") as notifier:
        notifier.ready()
        notifier.alive()
        notifier.stopping()
    assert warnings_in(caplog) == []


def test_the_watchdog_is_told_twice_in_its_time(manager: Systemd, path: str) -> None:
    clock = FakeClock()
    with notifying(clock, NOTIFY_SOCKET=path, WATCHDOG_USEC="3000000") as notifier:
        times: list[float] = []
        while clock.now < 6.0:
            notifier.alive()
            times += [clock.now] * len(manager.read())
            clock.now += 0.25
    assert times == [0.0, 1.5, 3.0, 4.5]


@pytest.mark.parametrize(
    ("pid", "told"), [("", True), (MINE, True), ("1", False)], ids=["nobody", "mine", "another"]
)
def test_whose_watchdog_it_is(manager: Systemd, path: str, pid: str, told: bool) -> None:
    with notifying(NOTIFY_SOCKET=path, WATCHDOG_USEC="9", WATCHDOG_PID=pid) as notifier:
        notifier.alive()
    assert manager.read() == ["WATCHDOG=1"] * told


@pytest.mark.parametrize("name", ["WATCHDOG_USEC", "WATCHDOG_PID"])
def test_a_watchdog_that_is_no_number(name: str, path: str) -> None:
    with pytest.raises(StartError, match=f"^{name}: 'soon' is not a whole number$"):
        Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1", name: "soon"})


def test_a_socket_that_nobody_reads_from(
    manager: Systemd, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    manager.socket.close()
    with notifying(NOTIFY_SOCKET=path) as notifier:
        notifier.ready()
        # Once is enough, until it works again.
        notifier.stopping()
    [warning] = warnings_in(caplog)
    assert warning.startswith(f"can't tell systemd READY=1: NOTIFY_SOCKET={path}: ")


def test_a_warning_after_it_has_worked_again(
    manager: Systemd, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with notifying(NOTIFY_SOCKET=path) as notifier:
        away = Path(path).rename(f"{path}-away")
        notifier.reloading()
        away.rename(path)
        notifier.ready()
        Path(path).unlink()
        notifier.stopping()
    assert manager.read() == ["READY=1"]
    assert [each.split(":")[0] for each in warnings_in(caplog)] == [
        "can't tell systemd RELOADING=1",
        "can't tell systemd STOPPING=1",
    ]


def fill(path: str) -> int:
    """Send from another socket until the system takes no more; how often it did."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"x", path)
                sent += 1
    return sent


def test_states_wait_while_systemd_is_busy(
    manager: Systemd, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server does not wait."""
    while fill(path):
        pass
    with notifying(NOTIFY_SOCKET=path, WATCHDOG_USEC="1") as notifier:
        notifier.ready()
        notifier.alive()
        assert set(manager.read()) == {"x"}
        notifier.alive()
        assert manager.read() == ["READY=1", "WATCHDOG=1"]
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("address", ["notify", "unix:/run/notify", "vsock:2", "vsock-raw:2:1"])
def test_an_address_of_no_kind(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with notifying(NOTIFY_SOCKET=address) as notifier:
        notifier.ready()
    words = "it is neither a path nor @NAME nor vsock:CID:PORT"
    assert warnings_in(caplog) == [f"can't tell systemd READY=1: NOTIFY_SOCKET={address}: {words}"]


class FakeVsock:
    """A socket of a virtual machine, whose system has only some types."""

    def __init__(self, family: int, kind: int) -> None:
        assert family == 40
        if kind not in types:
            raise OSError(94, "Socket type not supported")
        self.kind = kind

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        assert seconds <= 1.0

    def connect(self, address: tuple[int, int]) -> None:
        self.address = address

    def sendall(self, data: bytes) -> None:
        sent.append((self.kind, self.address, data))


types: set[int] = set()
sent: list[tuple[int, tuple[int, int], bytes]] = []

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET


@pytest.mark.parametrize(
    ("prefix", "available", "used"),
    [
        ("vsock", {STREAM, DGRAM, SEQPACKET}, DGRAM),
        ("vsock", {STREAM, SEQPACKET}, SEQPACKET),
        ("vsock", {STREAM}, None),
        ("vsock-stream", {STREAM, DGRAM, SEQPACKET}, STREAM),
        ("vsock-dgram", {STREAM, SEQPACKET}, None),
        ("vsock-seqpacket", {STREAM, DGRAM, SEQPACKET}, SEQPACKET),
    ],
)
def test_the_host_of_a_virtual_machine(
    prefix: str,
    available: set[int],
    used: int | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    types.clear()
    types.update(available)
    sent.clear()
    with notifying(NOTIFY_SOCKET=f"{prefix}:2:9999") as notifier, monkeypatch.context() as patch:
        patch.setattr(socket, "AF_VSOCK", 40, raising=False)
        patch.setattr(socket, "socket", FakeVsock)
        notifier.ready()
    if used is None:
        assert sent == []
        assert warnings_in(caplog) == [
            f"can't tell systemd READY=1: NOTIFY_SOCKET={prefix}:2:9999: Socket type not supported"
        ]
    else:
        assert sent == [(used, (2, 9999), b"READY=1")]
        assert warnings_in(caplog) == []


def test_a_system_without_vsock(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(socket, "AF_VSOCK", raising=False)
    with notifying(NOTIFY_SOCKET="vsock:2:9999") as notifier:
        notifier.ready()
    assert warnings_in(caplog) == [
        "can't tell systemd READY=1: NOTIFY_SOCKET=vsock:2:9999: this system has no vsock sockets"
    ]
