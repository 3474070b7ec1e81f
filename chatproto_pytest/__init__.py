"""Fixtures of pytest for tests of bots. pytest finds them by itself.

Nothing of this project is loaded before a test uses one: pytest loads this module in each project
where the package is installed, and coverage would miss lines that ran before it has begun.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chatproto.testing import MemoryServer
    from chatproto_sync import Client


@pytest.fixture
def chat_server() -> "Iterator[MemoryServer]":
    """A `chatproto.testing.MemoryServer`.

    During the test, each `connect` of `chatproto_sync` and `chatproto_anyio` reaches this server,
    whatever address it names.
    """
    from chatproto.testing import MemoryServer

    server = MemoryServer()
    with server.installed():
        yield server


@pytest.fixture
def chat_client(chat_server: "MemoryServer") -> "Iterator[Callable[..., Client]]":
    """Returns a blocking client of `chat_server`, which is closed after the test.

    Call it with a name, and with the parameters of `chatproto_sync.connect` by keyword.
    """
    with ExitStack() as clients:

        def connect(name: str, **options: Any) -> "Client":
            return clients.enter_context(chat_server.connect(name=name, **options))

        yield connect
