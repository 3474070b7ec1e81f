"""What both servers do for those who run them is the same, word for word."""

import inspect

import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import Desk

# They stand in both classes, so that each can be read, and asked for help, by itself.
SAME = [
    *(each for each in vars(Desk) if hasattr(chatproto_sync.Server, each) and each[0] != "_"),
    "snapshot",
    "cluster_snapshot",
    "health",
    "on_reload",
    "replace_ssl",
]


@pytest.mark.parametrize("method", SAME)
def test_a_method_of_both_servers(method: str) -> None:
    one, other = (getattr(each.Server, method) for each in (chatproto_sync, chatproto_anyio))
    assert inspect.getsource(one) == inspect.getsource(other)


def test_what_the_desk_does_the_servers_do() -> None:
    assert len(SAME) == 15
