"""Finding the addresses of the Redis that a URL means."""

import socket
from collections import deque
from collections.abc import Callable
from ssl import SSLContext
from typing import Any

from chatproto import visible

from ..sockets.poller import Poller
from .connection import RedisConnection, Reply, ignore, pack
from .lookup import Address, Lookup
from .url import RedisURL


class Finder:
    """Looks up host names, and asks sentinels, without waiting.

    Call `start`, then `advance` until `is_done`. Then there are `addresses`, or `error` says why
    there are none.

    Args:
        url: Says where Redis is, or its sentinels.
        poller: What watches the connections to sentinels.
        context: The context for TLS; None for no TLS.
        wake: Called by another thread when there is something to do for `advance`.
    """

    def __init__(
        self,
        url: RedisURL,
        poller: Poller[Any],
        context: SSLContext | None,
        wake: Callable[[], None],
    ) -> None:
        self.addresses: deque[Address] = deque()
        """Where Redis may be."""
        self.host: str = ""
        """The host that the certificate of Redis has to be for."""
        self.error: str = ""
        """Why nothing was found."""
        self._url = url
        self._poller = poller
        self._context = context
        self._wake = wake
        self._lookup: Lookup | None = None
        # The sentinels: hosts to look up, addresses to ask, and the one that is being asked.
        self._hosts: deque[tuple[str, int]] = deque()
        self._sentinels: deque[Address] = deque()
        self._sentinel = ""
        self._asking: RedisConnection | None = None
        self._now = 0.0

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to find."""
        return self._lookup is None and self._asking is None

    def start(self, place: tuple[str, int] | None, now: float) -> None:
        """Find the addresses anew.

        Args:
            place: The host and the port of Redis, if they are not those of the URL; else None.
            now: The time in seconds.
        """
        self._now = now
        self.addresses.clear()
        self.error = ""
        if self._url.unix:
            self.addresses.append((socket.AF_UNIX, self._url.unix))
        elif place is None and self._url.service:
            self._hosts.extend(self._url.places)
            self._ask_next()
        else:
            self._look_up(place or self._url.places[0])

    def advance(self, now: float) -> None:
        """Do the next thing, if it is possible already."""
        self._now = now
        lookup, asking = self._lookup, self._asking
        if lookup is not None and lookup.done:
            self._lookup = None
            self.error = lookup.error
            if self.host:
                self.addresses.extend(lookup.addresses)
            else:
                self._sentinels.extend(lookup.addresses)
                self._ask_next()
        elif asking is not None:
            asking.tick(now)
            if asking.error:
                self._fail(asking.error)

    def close(self) -> None:
        """Stop."""
        if self._asking is not None:
            self._asking.close()

    def _look_up(self, place: tuple[str, int]) -> None:
        """Look up the host of Redis."""
        self._hosts.clear()
        self._sentinels.clear()
        self.host = place[0]
        self._lookup = Lookup(*place, self._wake)

    def _ask_next(self) -> None:
        """Ask the next sentinel, if there is one."""
        self.host = ""
        if self._sentinels:
            asking = self._asking = RedisConnection(
                self._poller, *self._sentinels.popleft(), self._context, self._sentinel, self._now
            )
            if self._url.sentinel_password:
                asking.send(pack(("AUTH", self._url.sentinel_password)), ignore)
            question = pack(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.service))
            asking.send(question, self._take_answer)
        elif self._hosts:
            place = self._hosts.popleft()
            self._sentinel = place[0]
            self._lookup = Lookup(*place, self._wake)

    def _take_answer(self, reply: Reply) -> None:
        if reply is None:
            self._fail(f"it knows no service {visible(self._url.service)}")
            return
        self.close()
        self._asking = None
        host, port = reply
        self._look_up((host.decode(), int(port)))

    def _fail(self, reason: str) -> None:
        """Go on with the next sentinel."""
        self.close()
        self._asking = None
        self.error = f"the sentinel on {visible(self._sentinel)} can't be used: {reason}"
        self._ask_next()
