"""Fixtures: each test that asks for `start` runs once for every kind of server."""

import pytest

from .servers import KINDS, Start


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest) -> Start:
    """What starts a server of one kind."""
    return KINDS[request.param]
