"""The protocol between systemd and a server (sd_listen_fds(3), sd_notify(3))."""

import os
import socket


def inherited_sockets() -> list[socket.socket]:
    """The listening sockets that systemd has passed to this process; often none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    return [socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))]


def notify(state: str) -> None:
    """Tell systemd the state of the server, if it has asked for that.

    Args:
        state: The state, such as `READY=1`.

    Raises:
        OSError: systemd cannot be told.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # A leading @ stands for the zero byte of an abstract address.
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())
