"""Start the server that the arguments name, talk to it, check it, and end it."""

import signal
import socket
import subprocess
import sys

with subprocess.Popen([*sys.argv[1:], "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
    assert server.stdout is not None
    greeting = server.stdout.readline()
    host, _, port = greeting.removeprefix("Listening on ").rstrip(".\n").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as alice:
        alice.sendall(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice hello\n")
        answer = alice.makefile("rb").readline()
    # The machine may be busy with other steps.
    check = [sys.executable, "-m", "chatproto_sync.check", f"{host}:{port}", "--timeout=30"]
    checked = subprocess.run(check, stdout=subprocess.PIPE, text=True)
    server.send_signal(signal.SIGTERM)
    status = server.wait(timeout=30)
if answer != b"CHAT/1.0 RECEIVE alice hello\n" or status != 0:
    sys.exit(f"{sys.argv[1:]}: answered {answer!r}, ended with {status}")
if checked.returncode:
    sys.exit(f"{sys.argv[1:]}:\n{checked.stdout}")
print("talks and ends:", *sys.argv[1:])
print(checked.stdout.splitlines()[-1])
