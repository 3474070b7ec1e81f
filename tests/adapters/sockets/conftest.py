"""Fixtures: a driver whose clock the test moves."""

from collections.abc import Iterator
from typing import Any

import pytest

from chatproto import ChatBroker
from chatproto_sync.sockets.driver import Driver
from chatproto_sync.sockets.listeners import open_listeners
from chatproto_sync.sockets.transport import Transport


class FakeClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def driver(clock: FakeClock) -> Iterator[Driver]:
    broker: ChatBroker[Transport] = ChatBroker()
    driver = Driver(broker, open_listeners("127.0.0.1", 0), clock=clock)
    driver.listen()
    yield driver
    driver.close()


@pytest.fixture
def address(driver: Driver) -> Any:
    """Where the driver listens."""
    return driver.listeners.sockets[0].getsockname()
