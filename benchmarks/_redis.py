"""A redis-server in a process of its own, watched from outside."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Final, Self

from _server import cpu_of

PROGRAMS: Final = ("redis-server", "valkey-server")
"""What is looked for, in this order."""


def found() -> str | None:
    """The path of a server; None without one."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Redis:
    """A running redis-server or valkey-server, which ends with the context.

    It appends to a file and flushes it each second, as a server for a chat should.
    """

    def __init__(self) -> None:
        program = found()
        if program is None:
            raise RuntimeError(f"there is none of {', '.join(PROGRAMS)}")
        self._folder = tempfile.TemporaryDirectory()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
            """Where it listens."""
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._folder.name,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        self._popen = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                if time.monotonic() > end or self._popen.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._popen.send_signal(signal.SIGTERM)
        self._popen.wait()
        self._folder.cleanup()

    def cpu(self) -> float:
        """Seconds of CPU time that it has used."""
        return cpu_of(self._popen.pid)
