"""Ask whether a server serves: for a container, or whatever else restarts it.

    python examples/health_check.py 127.0.0.1 3333

The exit status is 0 if it does. The check sends LOGOUT and waits until the server closes the
connection, which it does with TLS too, and whatever its limits and policy are.
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
