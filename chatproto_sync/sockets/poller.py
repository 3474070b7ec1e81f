"""Waiting for many sockets at once, and finding those that are ready."""

import select
import selectors
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from _typeshed import HasFileno

READ: Final = 1
"""There is something to read. This and `WRITE` are `EPOLLIN` and `EPOLLOUT`, which not every
platform's `select` has."""
WRITE: Final = 4
"""There is room to write."""
BOTH: Final = READ | WRITE
"""More than this means that the peer has closed, or that the connection has failed."""
ONCE: Final = 1 << 31 | 1 << 13
"""Beside `READ`: tell of what has come once and not until it is read, if the platform can; and tell
that the peer has closed. They are `EPOLLET` and `EPOLLRDHUP`."""

MAX_READY: Final = 128
"""The most sockets that `EpollPoller.poll` gives at once; the next call goes on with the others. It
bounds how long a round takes."""


T = TypeVar("T")
"""Whom news of a socket is for."""


class Handler(Protocol):
    """Whom a driver has its news for."""

    def ready(self, events: int, /) -> None:
        """Act on them."""

    def close(self) -> None:
        """Have no more of them."""


class Poller(Protocol[T]):
    """Sockets, what they are watched for, and on whose behalf."""

    handlers: dict[int, T]
    """On whose behalf each descriptor is watched, for looking only."""

    def register(self, sock: "HasFileno", events: int, handler: T) -> None:
        """Watch a socket."""

    def modify(self, sock: "HasFileno", events: int, handler: T) -> None:
        """Watch it for something else, or for the same anew: what is there already is told of."""

    def unregister(self, sock: "HasFileno") -> None:
        """Watch it no longer. It is to be called before the socket is closed."""

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """What is ready, and for what.

        Args:
            timeout: Seconds to wait when there is nothing.

        Returns:
            Descriptors, each with `READ`, `WRITE` or both; or with more, which may mean both.
        """
        ...

    def fileno(self) -> int:
        """The descriptor that is readable while `poll` has something to give."""
        ...

    def close(self) -> None:
        """Watch nothing any more."""


class EpollPoller(Generic[T]):
    """Sockets in Linux's epoll.

    The standard library's `selectors` does the same and a little more, at 0.3 µs for each socket
    that is ready, and asks for news of all sockets at once, which takes room for all of them.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.handlers: dict[int, T] = {}

    def register(self, sock: "HasFileno", events: int, handler: T) -> None:
        """See `Poller`."""
        fd = sock.fileno()
        self._epoll.register(fd, events)
        self.handlers[fd] = handler

    def modify(self, sock: "HasFileno", events: int, handler: T) -> None:
        """See `Poller`."""
        fd = sock.fileno()
        self._epoll.modify(fd, events)
        self.handlers[fd] = handler

    def unregister(self, sock: "HasFileno") -> None:
        """See `Poller`."""
        fd = sock.fileno()
        del self.handlers[fd]
        self._epoll.unregister(fd)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller`."""
        return self._epoll.poll(timeout, MAX_READY)

    def fileno(self) -> int:
        """See `Poller`."""
        return self._epoll.fileno()

    def close(self) -> None:
        """See `Poller`."""
        self._epoll.close()


class SelectorPoller(Generic[T]):
    """Sockets in the standard library's selector, for platforms without epoll (kqueue)."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.handlers: dict[int, T] = {}

    def register(self, sock: "HasFileno", events: int, handler: T) -> None:
        """See `Poller`."""
        key = self._selector.register(sock, _theirs(events))
        self.handlers[key.fd] = handler

    def modify(self, sock: "HasFileno", events: int, handler: T) -> None:
        """See `Poller`."""
        key = self._selector.modify(sock, _theirs(events))
        self.handlers[key.fd] = handler

    def unregister(self, sock: "HasFileno") -> None:
        """See `Poller`."""
        del self.handlers[self._selector.unregister(sock).fd]

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller`."""
        ready: dict[int, int] = {}
        # kqueue tells of reading and of writing one after the other.
        for key, events in self._selector.select(timeout):
            ready[key.fd] = ready.get(key.fd, 0) | _ours(events)
        return list(ready.items())

    def fileno(self) -> int:
        """See `Poller`."""
        return self._selector.fileno()

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()


def _theirs(events: int) -> int:
    """What `selectors` calls them."""
    read = selectors.EVENT_READ if events & READ else 0
    return read | selectors.EVENT_WRITE if events & WRITE else read


def _ours(events: int) -> int:
    """What they are called here."""
    read = READ if events & selectors.EVENT_READ else 0
    return read | WRITE if events & selectors.EVENT_WRITE else read


def new_poller() -> Poller[Any]:
    """The fastest that this platform has."""
    if hasattr(select, "epoll"):
        return EpollPoller()
    return SelectorPoller()
