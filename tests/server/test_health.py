"""chatproto.server.health: how a server is, in a word."""

import pytest

from chatproto import Health, HealthStatus
from chatproto.server.health import HANG


@pytest.mark.parametrize(
    ("listening", "draining", "late", "status"),
    [
        (True, False, 0.0, HealthStatus.OK),
        (True, False, HANG, HealthStatus.OK),
        (True, False, HANG + 0.001, HealthStatus.HANGING),
        (False, True, HANG + 0.001, HealthStatus.HANGING),
        (False, True, 0.0, HealthStatus.DRAINING),
        (True, True, 0.0, HealthStatus.DRAINING),
        (False, False, 0.0, HealthStatus.STARTING),
    ],
)
def test_status(listening: bool, draining: bool, late: float, status: HealthStatus) -> None:
    assert Health(listening, draining, late).status is status
