"""How the client commands run: until a signal, and with errors as messages for people."""

import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ssl import SSLCertVerificationError
from typing import Any, TypeVar

import anyio
import click
from anyio.abc import TaskGroup

from chatproto import ChatProtocolError, Notice, Reconnected, visible, visible_name

_T = TypeVar("_T")


def run_client(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a client on asyncio.

    Raises:
        click.ClickException: The client raised that, or a `ChatProtocolError`, maybe in a group.
    """
    try:
        return anyio.run(main)
    except* (ChatProtocolError, click.ClickException) as group:
        # Tasks that lose the same connection fail for the same reason.
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    if isinstance(error, click.ClickException):
        raise error
    # The message may quote the server.
    message = visible(str(error))
    if isinstance(error.__cause__, SSLCertVerificationError):
        message += "; the certificate must be for --host, from a CA that is trusted (--tls-ca)"
    raise click.ClickException(message)


@asynccontextmanager
async def cancelled_by_signal() -> AsyncIterator[TaskGroup]:
    """Open a task group. SIGINT and SIGTERM cancel it; the end of the block cancels its tasks."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_at_signal, signals, tasks.cancel_scope)
            yield tasks
            tasks.cancel_scope.cancel()


def format_notice(notice: Notice) -> str:
    """Format a notice as one line for people."""
    text = visible(notice.text)
    return f"{visible_name(notice.code)}: {text}" if notice.code else text


def format_reconnected(reconnected: Reconnected) -> str:
    """Format the end of an outage as one line for people."""
    return f"reconnected after {reconnected.downtime:.1f} s; messages may have been missed"


async def _cancel_at_signal(
    signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope
) -> None:
    await anext(signals)
    scope.cancel()
