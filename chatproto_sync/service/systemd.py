"""What systemd and a server tell each other (sd_listen_fds(3), sd_notify(3))."""

import os
import socket


def inherited_sockets() -> list[socket.socket]:
    """The sockets that systemd listens on for this process, maybe none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    return [socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))]


def notify(state: str) -> None:
    """Tell systemd how the server is doing, if it wants to know.

    Args:
        state: `READY=1`, for example.

    Raises:
        OSError: It can't be told.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # A leading @ stands for the zero of an abstract name.
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())
