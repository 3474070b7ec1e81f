"""chatproto_anyio.cli.running: what the event loop of a client command says on standard error."""

import asyncio
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from chatproto_anyio.cli.running import run_client


def run_with_callback(make: Callable[[], Callable[[], object]]) -> None:
    """Run a client during which the event loop calls a function."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(make())
        await anyio.lowlevel.checkpoint()

    run_client(main)


def test_readiness_of_what_is_cancelled_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def make() -> Callable[[], object]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        return lambda: future.set_result(None)

    run_with_callback(make)
    assert caplog.messages == []


def test_other_errors_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake")

    run_with_callback(lambda: fail)
    [message] = caplog.messages
    assert "a mistake" in caplog.text
    assert message.startswith("Exception in callback ")
