"""Check whether a server serves, for a container or another program that restarts it.

    python examples/health_check.py 127.0.0.1 3333

The exit status is 0 if it does. The check sends LOGOUT and waits until the server closes the
connection. A server does so with TLS too, and with any limits and policy.
"""

import socket
import sys

host, port = sys.argv[1:]
try:
    with socket.create_connection((host, int(port)), timeout=4) as server:
        server.sendall(b"CHAT/1.0 LOGOUT\n")
        while server.recv(4096):
            pass
except OSError as error:
    sys.exit(f"health_check: no answer from port {port} of {host}: {error}")
