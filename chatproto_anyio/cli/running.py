"""How the client commands run: until a signal, and with errors as messages for people."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from ssl import SSLCertVerificationError, SSLError
from typing import Any, Final, TypeVar

import anyio
import click
from anyio.abc import TaskGroup

from chatproto import (
    ChatProtocolError,
    ConnectionLostError,
    Disconnected,
    Notice,
    Reconnected,
    visible,
    visible_name,
)

from .options import ServerOptions

NO_LABELS: Final = "this server does not say which group a message was sent to"
"""Information for people: messages to groups will look like those to one user."""

_T = TypeVar("_T")


def run_client(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a client on asyncio.

    Raises:
        click.ClickException: The client raised that, or a `ChatProtocolError`, maybe in a group.
    """

    async def run() -> _T:
        asyncio.get_running_loop().set_exception_handler(_ignore_readiness_without_use)
        return await main()

    try:
        return anyio.run(run)
    except* (ChatProtocolError, click.ClickException) as group:
        # Tasks that lose the same connection fail for the same reason.
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    if isinstance(error, click.ClickException):
        raise error
    # The message may quote the server.
    raise click.ClickException(visible(str(error)))


def _ignore_readiness_without_use(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ignore an error of AnyIO's Unix sockets, and report others as the event loop does.

    The error comes when a socket becomes ready at the moment when the task that waits for it is
    cancelled.
    """
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


@asynccontextmanager
async def logged_in(
    connection: AbstractAsyncContextManager[_T], server: ServerOptions
) -> AsyncIterator[_T]:
    """Enter the context of a client, which logs in.

    Raises:
        click.ClickException: The login failed. The message says which option to try.
    """
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(connection)
        except ChatProtocolError as error:
            message = "; ".join(filter(None, (visible(str(error)), advice(error, server))))
            raise click.ClickException(message) from None
        yield client


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


def format_disconnected(disconnected: Disconnected) -> str:
    """Format the start of an outage as one line for people."""
    # The message may quote the server.
    return f"{visible(str(disconnected.error))}; connecting again"


def format_reconnected(reconnected: Reconnected) -> str:
    """Format the end of an outage as one line for people."""
    return f"reconnected after {reconnected.downtime:.1f} s; messages may have been missed"


def advice(error: ChatProtocolError, server: ServerOptions) -> str:
    """Which option to try after a login that failed; empty if none would help.

    Args:
        error: Why it failed.
        server: The options that it failed with.
    """
    cause = error.__cause__
    match cause:
        case SSLCertVerificationError(verify_code=code) if code in _WRONG_HOST:
            return "try the name or address that it is for, with --host"
        case SSLCertVerificationError(verify_code=code) if code in _UNKNOWN_CA:
            return "if you trust the CA that it is from, name that with --tls-ca"
        case SSLError(reason=str(reason)) if reason.endswith(_MISSING_CERTIFICATE):
            return "try --tls-cert"
        case SSLError(reason=str(reason)) if reason.endswith(_REFUSED_CERTIFICATE):
            return "try another one with --tls-cert"
        case SSLError(reason=str(reason)) if "ALERT" in reason or "VERIFY" in reason:
            return ""
    if not isinstance(error, ConnectionLostError):
        return ""
    # With a code, the server has said why.
    was_ended = cause is None or isinstance(cause, EOFError | ConnectionResetError | SSLError)
    if not was_ended or (error.code and "TLS" not in error.text):
        return ""
    if not server.tls_places:
        return f"try {server.try_tls}"
    words = f"try without {' and '.join(server.tls_places)}"
    if not isinstance(cause, SSLError) and not server.has_certificate:
        # The server may have ended the connection before its reason has arrived.
        words += ", or with --tls-cert"
    return words


# The codes of X509_verify_cert in OpenSSL's x509_vfy.h: for a host name and for an IP address.
_WRONG_HOST: Final = (62, 64)
# In this order: no issuer; a self-signed certificate, alone or at the end of a chain; no issuer of
# the last certificate in a chain; and no issuer of a certificate that comes alone.
_UNKNOWN_CA: Final = (2, 18, 19, 20, 21)
# The ends of OpenSSL's names of alerts (RFC 8446, section 6.2). The second is that of TLS 1.2.
_MISSING_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE")
_REFUSED_CERTIFICATE: Final = (
    "UNKNOWN_CA",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "ACCESS_DENIED",
)


async def _cancel_at_signal(
    signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope
) -> None:
    await anext(signals)
    # The command ends now. Block a second signal: once the event loop has put Python's handlers
    # back, it would turn that into a failure.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    scope.cancel()
