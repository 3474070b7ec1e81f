"""Fixtures: a test that takes `start` runs once for each kind of server."""

from collections.abc import Iterator

import pytest

import chatproto_sync

from .servers import KINDS, SocketClient, Start, run_sync


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest) -> Start:
    """Starts a server of one kind."""
    return KINDS[request.param]


@pytest.fixture
def server() -> Iterator[chatproto_sync.Server]:
    """A server, for tests in which its kind makes no difference."""
    with run_sync(port=0) as server:
        yield server


@pytest.fixture
def bob(server: chatproto_sync.Server) -> Iterator[SocketClient]:
    """A client of that server, logged in."""
    with SocketClient(server.addresses[0]) as bob:
        bob.login("bob")
        yield bob
