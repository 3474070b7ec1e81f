"""Waiting for many sockets at once, and finding those that are ready."""

import select
import selectors
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from _typeshed import HasFileno

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

MOST: Final = 128
"""The most sockets that `EpollPoller.poll` gives at once; the next call goes on with the others. It
bounds how long a round takes."""


T = TypeVar("T")
"""Whom news of a socket is for."""


class Poller(Protocol[T]):
    """Sockets, what they are watched for, and on whose behalf."""

    def register(self, sock: "HasFileno", events: int, target: T) -> None:
        """Watch a socket."""

    def modify(self, sock: "HasFileno", events: int, target: T) -> None:
        """Watch it for something else."""

    def unregister(self, sock: "HasFileno") -> None:
        """Watch it no longer. It is to be called before the socket is closed."""

    def poll(self, timeout: float) -> list[tuple[T, int]]:
        """Those for whom there is something to do, and what, which may be more than they asked for.

        Args:
            timeout: Seconds to wait when there is nothing.
        """

    def targets(self) -> Iterable[T]:
        """On whose behalf anything is watched."""

    def fileno(self) -> int | None:
        """What is readable when `poll` has something to give; None when no descriptor says so."""

    def close(self) -> None:
        """Watch nothing any more."""


class EpollPoller(Generic[T]):
    """Sockets in Linux's epoll.

    The standard library's `selectors` does the same and a little more, at 0.3 µs for each socket
    that is ready, and asks for news of all sockets at once, which takes room for all of them.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._targets: dict[int, T] = {}

    def register(self, sock: "HasFileno", events: int, target: T) -> None:
        """See `Poller`."""
        fd = sock.fileno()
        self._epoll.register(fd, _EPOLL[events])
        self._targets[fd] = target

    def modify(self, sock: "HasFileno", events: int, target: T) -> None:
        """See `Poller`."""
        fd = sock.fileno()
        self._epoll.modify(fd, _EPOLL[events])
        self._targets[fd] = target

    def unregister(self, sock: "HasFileno") -> None:
        """See `Poller`."""
        fd = sock.fileno()
        del self._targets[fd]
        self._epoll.unregister(fd)

    def poll(self, timeout: float) -> list[tuple[T, int]]:
        """See `Poller`."""
        targets = self._targets
        return [
            (targets[fd], READ if events == _IN else _news(events))
            for fd, events in self._epoll.poll(timeout, MOST)
        ]

    def targets(self) -> Iterable[T]:
        """See `Poller`."""
        return list(self._targets.values())

    def fileno(self) -> int:
        """See `Poller`."""
        return self._epoll.fileno()

    def close(self) -> None:
        """See `Poller`."""
        self._epoll.close()


_IN: Final = 1
_OUT: Final = 4
_EPOLL: Final = {READ: _IN, WRITE: _OUT, READ | WRITE: _IN | _OUT}
"""What epoll calls them: `EPOLLIN` and `EPOLLOUT`, which not every platform's `select` has."""


def _news(events: int) -> int:
    """What epoll's news are about. A connection that has failed is ready for anything."""
    return (READ if events & ~_OUT else 0) | (WRITE if events & ~_IN else 0)


class SelectorPoller(Generic[T]):
    """Sockets in one of the standard library's selectors, for other platforms.

    Args:
        selector: Which.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector

    def register(self, sock: "HasFileno", events: int, target: T) -> None:
        """See `Poller`."""
        self._selector.register(sock, events, target)

    def modify(self, sock: "HasFileno", events: int, target: T) -> None:
        """See `Poller`."""
        self._selector.modify(sock, events, target)

    def unregister(self, sock: "HasFileno") -> None:
        """See `Poller`."""
        self._selector.unregister(sock)

    def poll(self, timeout: float) -> list[tuple[T, int]]:
        """See `Poller`."""
        return [(key.data, events) for key, events in self._selector.select(timeout)]

    def targets(self) -> Iterable[T]:
        """See `Poller`."""
        return [key.data for key in self._selector.get_map().values()]

    def fileno(self) -> int | None:
        """See `Poller`."""
        fileno: Any = getattr(self._selector, "fileno", None)
        return None if fileno is None else fileno()

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()


def new_poller() -> Poller[T]:
    """The fastest that this platform has."""
    if hasattr(select, "epoll"):
        return EpollPoller()
    return SelectorPoller(selectors.DefaultSelector())
