"""The protocol between systemd and a server (sd_listen_fds(3), sd_notify(3))."""

import contextlib
import errno
import os
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..sockets.driver import logger
from ..sockets.errors import reason_of
from ..sockets.listeners import check_listening
from .errors import StartError

FIRST_DESCRIPTOR: Final = 3
"""The descriptor of the first socket that systemd passes."""

MAX_UNSENT: Final = 16
"""Most notifications that wait for systemd to read the earlier ones."""

VSOCK_TIMEOUT: Final = 1.0
"""Seconds that the host of a virtual machine has to take a notification."""

_VSOCK: Final = re.compile(r"vsock(|-stream|-dgram|-seqpacket):(\d+):(\d+)")
_VSOCK_TYPES: Final = {
    "": (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET),
    "-stream": (socket.SOCK_STREAM,),
    "-dgram": (socket.SOCK_DGRAM,),
    "-seqpacket": (socket.SOCK_SEQPACKET,),
}


def inherited_sockets(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that systemd has passed to this process; often none.

    Args:
        environment: The environment variables.

    Raises:
        StartError: The variables are wrong, or one of the sockets is missing or of no use.
    """
    # Ignore variables for another process, such as the one that has started this one.
    if _number(environment, "LISTEN_PID") != os.getpid():
        return []
    count = _number(environment, "LISTEN_FDS") or 0
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for number in range(count):
            fd = FIRST_DESCRIPTOR + number
            name = f"{names[number]!r}, " if number < len(names) and names[number] else ""
            try:
                sock = stack.enter_context(_socket(fd))
                check_listening(sock)
            except ValueError as error:
                raise StartError(
                    f"can't use descriptor {fd} of systemd ({name}LISTEN_FDS={count}): {error}"
                ) from error
            # The programs that this process starts have no use for it.
            sock.set_inheritable(False)
            sockets.append(sock)
        stack.pop_all()
    return sockets


def _socket(fd: int) -> socket.socket:
    """The socket of a descriptor.

    Raises:
        ValueError: There is none.
    """
    try:
        # Descriptors that this process has opened itself are not inheritable (PEP 446). They must
        # neither be taken nor closed here.
        if not os.get_inheritable(fd):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return socket.socket(fileno=fd)
    except OSError as error:
        words = {errno.EBADF: "systemd has not passed it", errno.ENOTSOCK: "it is not a socket"}
        raise ValueError(words.get(error.errno or 0, str(error))) from error


class Notifier:
    """Tells systemd about the server, if systemd wants to know.

    If systemd can't be told, the log has a warning, and the server serves all the same.

    Args:
        environment: The environment variables.
        clock: Returns seconds that do not run backwards.

    Raises:
        StartError: A variable is wrong.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._clock = clock
        # Seconds after which systemd takes a silent server for one that hangs; None for never.
        self._watchdog = _watchdog(environment) if self._address else None
        self._alive_at = clock()
        self.is_stopping: bool = False
        """Whether `stopping` was called."""
        # What systemd has no room for yet.
        self._unsent: deque[str] = deque(maxlen=MAX_UNSENT)
        # Whether systemd could not be told the last time.
        self._has_failed = False
        # Made now: later, the clients may have all descriptors.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # The loop that serves does not wait for systemd.
        self._socket.setblocking(False)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def ready(self) -> None:
        """Tell that the server serves, maybe again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Tell that the server reads its configuration again. `ready` tells when that is done."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Tell that the server shuts down. A second call tells nothing."""
        if not self.is_stopping:
            self.is_stopping = True
            self._send("STOPPING=1")

    def alive(self) -> None:
        """Tell that the loop that serves runs, whenever half of the watchdog's time is over.

        The loop calls this several times a second.
        """
        self._flush()
        if self._watchdog is not None and not self._unsent and self._clock() >= self._alive_at:
            self._alive_at = self._clock() + self._watchdog / 2
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if self._address:
            self._unsent.append(state)
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            state = self._unsent[0]
            try:
                self._send_to(self._address, state.encode())
            except BlockingIOError:
                return
            except OSError as error:
                if not self._has_failed:
                    logger.warning(
                        "can't tell systemd %s: NOTIFY_SOCKET=%s: %s",
                        state.partition("\n")[0],
                        self._address,
                        reason_of(error),
                    )
                self._has_failed = True
            else:
                self._has_failed = False
            self._unsent.popleft()

    def _send_to(self, address: str, data: bytes) -> None:
        if match := _VSOCK.fullmatch(address):
            kind, cid, port = match.groups()
            _send_by_vsock(_VSOCK_TYPES[kind], (int(cid), int(port)), data)
        elif address.startswith("/"):
            self._socket.sendto(data, address)
        elif address.startswith("@"):
            # It stands for the zero byte of an abstract address.
            self._socket.sendto(data, f"\0{address[1:]}")
        else:
            raise OSError("it is neither a path nor @NAME nor vsock:CID:PORT")


def _send_by_vsock(types: Sequence[int], address: Any, data: bytes) -> None:
    """Send to the host of a virtual machine, with the first type that the system has (vsock(7))."""
    if not hasattr(socket, "AF_VSOCK"):
        raise OSError("this system has no vsock sockets")
    kind, *others = types
    try:
        with socket.socket(socket.AF_VSOCK, kind) as sock:
            sock.settimeout(VSOCK_TIMEOUT)
            sock.connect(address)
            sock.sendall(data)
    except OSError:
        if not others:
            raise
        _send_by_vsock(others, address, data)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """The seconds of WatchdogSec; None if it is not for this process."""
    usec = _number(environment, "WATCHDOG_USEC")
    pid = _number(environment, "WATCHDOG_PID")
    return None if not usec or pid not in (None, os.getpid()) else usec / 1e6


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """The number in a variable; None if it is not set.

    Raises:
        StartError: It is no number.
    """
    text = environment.get(name, "")
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,20}", text):
        raise StartError(f"{name}: {text!r} is not a whole number")
    return int(text)
