"""Fixtures: a server on a Unix socket, and somebody to chat with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...servers import SocketClient, run_sync


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a server's Unix socket; the server itself comes with `bob`."""
    return str(tmp_path / "chat")


@pytest.fixture
def bob(path: str) -> Iterator[SocketClient]:
    """A server, and somebody who has logged in there."""
    with run_sync(unix=path), SocketClient(f"unix:{path}") as bob:
        bob.login("bob")
        yield bob
