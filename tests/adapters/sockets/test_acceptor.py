"""`acceptor`: accepting connections, and pausing when that fails."""

import errno
import logging
import socket

import pytest

from chatproto_sync.sockets.acceptor import ACCEPT_PAUSE, WARNING_PAUSE
from chatproto_sync.sockets.driver import Driver

from ..servers import TIMEOUT
from .conftest import FakeClock

LACKING = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]
"""What `accept` reports when the system lacks something; the connection goes on waiting."""


class FailingAccept:
    """Replaces `socket.accept`."""

    def __init__(self, error: int) -> None:
        self.error = error
        self.calls = 0

    def __call__(self) -> tuple[socket.socket, object]:
        self.calls += 1
        raise OSError(self.error, "made up")


@pytest.mark.parametrize("error", LACKING, ids=errno.errorcode.__getitem__)
def test_accept_that_fails_pauses_and_recovers(
    driver: Driver,
    clock: FakeClock,
    address: tuple[str, int],
    error: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_connection(address, TIMEOUT):
        accept = FailingAccept(error)
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", accept)
            driver.step(TIMEOUT)
            for _ in range(5):
                driver.step(0)
            assert accept.calls == 1
            clock.now += ACCEPT_PAUSE
            driver.step(0)
            assert accept.calls == 2
        # One warning, not one for each try.
        assert warnings(caplog) == [
            f"can't accept connections, trying again every second: [Errno {error}] made up"
        ]
        assert driver.broker.connections == 0
        clock.now += ACCEPT_PAUSE
        driver.step(0)
        assert driver.broker.connections == 1


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def test_accept_that_fails_again_and_again_is_told_once_in_a_while(
    driver: Driver,
    clock: FakeClock,
    address: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also if it works in between, as it does for connections that are turned away."""
    for number in range(int(3 * WARNING_PAUSE)):
        with socket.create_connection(address, TIMEOUT):
            with monkeypatch.context() as patch:
                patch.setattr(socket.socket, "accept", FailingAccept(errno.EMFILE))
                driver.step(TIMEOUT)
            clock.now += ACCEPT_PAUSE
            driver.step(0)
            assert driver.broker.snapshot().accepted == number + 1
        driver.step(TIMEOUT)
    assert len(warnings(caplog)) == 3


def test_a_connection_that_is_gone_before_it_is_accepted_is_skipped(
    driver: Driver,
    address: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Accepting goes on at once, and nothing is logged."""
    with socket.create_connection(address, TIMEOUT):
        accept = FailingAccept(errno.ECONNABORTED)
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", accept)
            driver.step(TIMEOUT)
        assert accept.calls > 1
        driver.step(TIMEOUT)
        assert driver.broker.connections == 1
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_a_drain_ends_a_pause(
    driver: Driver, clock: FakeClock, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that waits is not accepted any more."""
    with socket.create_connection(address, TIMEOUT):
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", FailingAccept(errno.ENFILE))
            driver.step(TIMEOUT)
        driver.drain()
        clock.now += ACCEPT_PAUSE
        driver.step(0)
        assert driver.broker.connections == 0
