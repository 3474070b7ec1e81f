"""Looking up host names without waiting."""

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from ..sockets.addresses import resolve
from ..sockets.errors import reason_of

Address: TypeAlias = tuple[int, Any]
"""A family, and an address for `socket.connect`."""


class Lookup:
    """The lookup of a host, on a thread of its own: a resolver may take many seconds.

    Args:
        host: The host name, or an IP address.
        port: The TCP port.
        wake: Called by the thread when it is done.
    """

    def __init__(self, host: str, port: int, wake: Callable[[], None]) -> None:
        self.addresses: list[Address] = []
        """What was found, once it is done."""
        self.error: str = ""
        """Why nothing was found; empty if something was."""
        self.done: bool = False
        """Whether the two above are there."""
        self._host, self._port, self._wake = host, port, wake
        # A daemon, so that the process can end while the resolver hangs.
        threading.Thread(target=self._run, name="chatproto-lookup", daemon=True).start()

    def _run(self) -> None:
        try:
            self.addresses = list(resolve(self._host, self._port))
        except OSError as error:
            self.error = str(reason_of(error))
        self.done = True
        self._wake()
