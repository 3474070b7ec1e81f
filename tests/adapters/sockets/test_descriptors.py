"""`descriptors`: how many connections fit into the descriptors of a process."""

import resource

import pytest

from chatproto import Limits
from chatproto_sync.sockets.descriptors import RESERVE, fitted


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(1024, 1024 - RESERVE), (100, 50), (1, 1), (resource.RLIM_INFINITY, None)],
)
def test_as_many_connections_as_there_are_descriptors_for(
    descriptors: int, connections: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert fitted(Limits()).max_connections == connections


def test_a_given_number_of_connections_stays() -> None:
    limits = Limits(max_connections=7)
    assert fitted(limits) is limits
