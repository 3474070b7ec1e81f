"""`chatproto send`: send messages from a script."""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

import anyio
import click

from chatproto import (
    Broadcast,
    ChatConnection,
    ChatProtocolError,
    LocalProtocolError,
    Login,
    Role,
    Send,
)

from ..client.client import Client
from ..client.connect import connect
from .options import ClientCommand, ServerOptions, connection_options, name_option
from .running import format_notice, logged_in, run_client
from .stdio import InputLine, StandardInput

FLUSH_EVERY: Final = 100
"""Lines between two flushes. Each line may cause a notice, and the client keeps the last 100."""

SERVER_REPORTED_ERRORS: Final = 3
"""The exit status when the server has reported errors."""


@click.command(cls=ClientCommand)
@name_option
@click.option("--group", is_flag=True, help="TO is a group.")
@connection_options
@click.argument("to")
@click.argument("text", metavar="[TEXT | -]", default="-")
def send(name: str, group: bool, server: ServerOptions, to: str, text: str) -> None:
    """Send one message, or each line of standard input.

    The command sends TEXT to the user TO. Without TEXT, or with `-`, each line of standard input is
    a message, sent as soon as it is read. The command ends when the server has handled everything.

    \b
    Exit status:
      0  the server handled everything and reported no error
      1  something could not be sent, or the connection was lost
      2  wrong usage
      3  the server reported errors: see standard error, `CODE: text`
    """  # noqa: D301
    from_input = text == "-"
    data = b"" if from_input else os.fsencode(text)
    # Find errors in the arguments before connecting.
    trial = ChatConnection(Role.CLIENT)
    try:
        trial.send(Login(name))
        trial.send(Broadcast(to, data) if group else Send(to, data))
    except LocalProtocolError as error:
        raise click.UsageError(error.text) from None
    source = StandardInput() if from_input else data
    connection = connect(**server.arguments, name=name, groups=False)
    if run_client(partial(_send_all, logged_in(connection, server), to, group, source)):
        sys.exit(SERVER_REPORTED_ERRORS)


async def _send_all(
    connection: AbstractAsyncContextManager[Client],
    to: str,
    group: bool,
    source: StandardInput | bytes,
) -> bool:
    """Connect, send one message or all lines of the input, and wait until they are handled.

    Returns:
        Whether the server reported errors.
    """
    async with connection as client:
        sender = _Sender(client, to, group=group)
        handled = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sender.discard_messages, tasks.cancel_scope)
            try:
                if isinstance(source, bytes):
                    await sender.send_lines([source])
                else:
                    while lines := await source.read_lines():
                        await sender.send_lines(lines)
            finally:
                sender.print_notices()
            handled = True
            tasks.cancel_scope.cancel()
        # Losing the connection is no failure once everything is handled.
        if sender.connection_error is not None and not handled:
            raise sender.connection_error
        return sender.server_reported_errors


class _Sender:
    """Sends lines, and prints the server's notices on standard error.

    Args:
        client: Has logged in.
        to: Name of the user or group that gets the messages.
        group: Whether it is a group.
    """

    def __init__(self, client: Client, to: str, *, group: bool) -> None:
        self._client = client
        self._send = partial(client.broadcast if group else client.send, to)
        self._count = 0
        self.server_reported_errors = False
        """Whether a notice had an error code."""
        self.connection_error: ChatProtocolError | None = None
        """Why the connection was lost; None as long as it is there."""

    async def send_lines(self, lines: Sequence[InputLine]) -> None:
        """Send each line as a message, and wait until the server has handled all of them.

        Raises:
            click.ClickException: A line can't be sent. The lines before it have been.
        """
        for line in lines:
            self._count += 1
            try:
                if isinstance(line, LocalProtocolError):
                    raise line
                await self._send(line)
            except LocalProtocolError as error:
                await self._flush()
                raise click.ClickException(f"line {self._count}: {error}") from None
            if self._count % FLUSH_EVERY == 0:
                await self._flush()
        await self._flush()

    async def discard_messages(self, scope: anyio.CancelScope) -> None:
        """Discard what other users send: in the client's queue it would block the server's answers.

        Args:
            scope: Cancelled when the connection is lost, as waiting for more input has no use then.
        """
        try:
            async for _ in self._client:
                pass
        except ChatProtocolError as error:
            # Not raised: an interrupt closes the connection too, and has to end as an interrupt.
            self.connection_error = error
            scope.cancel()

    def print_notices(self) -> None:
        """Print the notices that have arrived on standard error."""
        for notice in self._client.take_notices():
            click.echo(format_notice(notice), err=True)
            # A notice without a code is a greeting or the like.
            self.server_reported_errors |= notice.code != ""

    async def _flush(self) -> None:
        await self._client.flush()
        self.print_notices()
