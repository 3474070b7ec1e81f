"""`poller`: finding the sockets that are ready."""

import select
import selectors
import socket
from collections.abc import Callable, Iterator

import pytest

from chatproto_sync.sockets.poller import (
    BOTH,
    GONE,
    MAX_READY,
    READ,
    WRITE,
    EpollPoller,
    Poller,
    SelectorPoller,
    new_poller,
)

from ..servers import TIMEOUT

KINDS: dict[str, Callable[[], Poller[str]]] = {"epoll": EpollPoller, "selector": SelectorPoller}


@pytest.fixture(params=KINDS)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller[str]]:
    poller = KINDS[request.param]()
    yield poller
    poller.close()


def poll(poller: Poller[str]) -> list[tuple[str, int]]:
    """The handlers of the sockets that are ready, with the events."""
    return [(poller.handlers[fd], events) for fd, events in poller.poll(TIMEOUT)]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_it_reports_the_events_that_were_asked_for(
    poller: Poller[str], pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    poller.register(here, READ, "alice")
    assert poller.poll(0) == []
    there.send(b"x")
    # As long as there is something to read.
    for _ in range(2):
        assert poll(poller) == [("alice", READ)]
    poller.modify(here, READ | WRITE, "bob")
    assert poll(poller) == [("bob", READ | WRITE)]
    poller.modify(here, WRITE, "bob")
    assert poll(poller) == [("bob", WRITE)]
    assert list(poller.handlers.values()) == ["bob"]
    poller.unregister(here)
    assert poller.poll(0) == []
    assert poller.handlers == {}
    poller.register(here, WRITE, "carol")
    assert poll(poller) == [("carol", WRITE)]


class SplittingSelector(selectors.DefaultSelector):
    """Reports each event by itself, as kqueue does."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return [
            (key, each)
            for key, events in super().select(timeout)
            for each in (selectors.EVENT_READ, selectors.EVENT_WRITE)
            if events & each
        ]


def test_a_poll_returns_each_socket_once(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a handler could close the socket between two reports."""
    here, there = pair
    monkeypatch.setattr(selectors, "DefaultSelector", SplittingSelector)
    poller: SelectorPoller[str] = SelectorPoller()
    poller.register(here, READ | WRITE, "alice")
    there.send(b"x")
    assert poll(poller) == [("alice", READ | WRITE)]
    poller.close()


@pytest.mark.parametrize("watched", [READ, WRITE, READ | WRITE])
def test_a_failed_socket_is_ready_for_what_was_asked_for(
    poller: Poller[str], pair: tuple[socket.socket, socket.socket], watched: int
) -> None:
    """So its handler meets the error."""
    here, there = pair
    poller.register(here, watched, "alice")
    there.close()
    [(handler, events)] = poll(poller)
    assert handler == "alice"
    # Further bits may mean both.
    assert events & ~(READ | WRITE) or events & watched == watched


def test_the_end_of_a_socket_may_be_all_that_is_watched(
    poller: Poller[str], pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    poller.register(here, GONE, "alice")
    there.send(b"x")
    assert poller.poll(0) == []
    there.close()
    # Only epoll can tell.
    [events] = [events for _, events in poller.poll(0)] or [WRITE << 1]
    assert events > BOTH
    assert list(poller.handlers.values()) == ["alice"]
    poller.modify(here, READ, "bob")
    assert poll(poller)[0][0] == "bob"
    poller.modify(here, GONE, "carol")
    poller.unregister(here)
    assert poller.handlers == {}


def test_polls_return_a_bounded_number_of_sockets_in_turn() -> None:
    poller: EpollPoller[int] = EpollPoller()
    pairs = [socket.socketpair() for _ in range(MAX_READY + MAX_READY // 2)]
    for number, (here, there) in enumerate(pairs):
        poller.register(here, READ, number)
        there.send(b"x")
    first, second = poller.poll(TIMEOUT), poller.poll(TIMEOUT)
    assert len(first) == len(second) == MAX_READY
    # All are still ready, because nobody reads. No socket comes twice before each has come once.
    assert {poller.handlers[fd] for fd, _ in first + second} == set(range(len(pairs)))
    for pair in pairs:
        for each in pair:
            each.close()
    poller.close()


def test_its_descriptor_is_readable_while_a_socket_is_ready(
    poller: Poller[str], pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    poller.register(here, READ, "alice")
    assert select.select([poller], [], [], 0)[0] == []
    there.send(b"x")
    assert select.select([poller], [], [], TIMEOUT)[0] == [poller]


def test_platforms_without_epoll_have_a_poller_too(monkeypatch: pytest.MonkeyPatch) -> None:
    poller: Poller[str] = new_poller()
    assert isinstance(poller, EpollPoller)
    poller.close()
    monkeypatch.delattr(select, "epoll")
    poller = new_poller()
    assert isinstance(poller, SelectorPoller)
    poller.close()
