"""`chatproto send`: say something, from a script."""

import os
import sys
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

import anyio
import click

from chatproto import (
    Broadcast,
    ChatConnection,
    ChatProtocolError,
    ErrorCode,
    Limits,
    LocalProtocolError,
    Login,
    Message,
    Role,
    Send,
)
from chatproto.client.session import NOTICES_KEPT
from chatproto.wire.line_buffer import LineBuffer

from ..client.client import Client
from ..client.connect import connect
from .options import Server, connection_options, in_words, name_option, run_client
from .stdio import Input

COMPLAINED: Final = 3
"""The exit status that tells of notices."""


@click.command()
@name_option
@click.option("--group", is_flag=True, help="TO is a group.")
@connection_options
@click.argument("to")
@click.argument("text", metavar="[TEXT | -]", default="-")
def send(name: str, group: bool, server: Server, to: str, text: str) -> None:
    """Send one message, or each line of standard input.

    The message goes to the user TO. Without TEXT, or with `-`, each line of standard input is a
    message, sent as it comes. The command ends once the server has handled all of it.

    \b
    Exit status:
      0  the server took everything and did not complain
      1  something could not be delivered to the server
      2  wrong usage
      3  the server complained; standard error has it as CODE: words
    """  # noqa: D301
    from_input = text == "-"
    data = b"" if from_input else os.fsencode(text)
    rehearsal = ChatConnection(Role.CLIENT)
    try:
        rehearsal.send(Login(name))
        rehearsal.send(Broadcast(to, data) if group else Send(to, data))
    except LocalProtocolError as error:
        raise click.UsageError(error.text) from None
    source = Input() if from_input else data
    sender = _Sender(connect(**server, name=name), to, group=group)
    run_client(partial(sender.send_all, source))
    if sender.complained_to:
        sys.exit(COMPLAINED)


class _Sender:
    """Sends things, and tells on standard error what the server has to say to that."""

    def __init__(
        self, connection: AbstractAsyncContextManager[Client[Message]], to: str, *, group: bool
    ) -> None:
        self._connection = connection
        self._to = to
        self._group = group
        self.complained_to = False
        """Whether the server has had errors to tell of."""
        self._lost: ChatProtocolError | None = None

    async def send_all(self, source: Input | bytes) -> None:
        """Connect, and send one message or as many as there are lines."""
        async with self._connection as chat:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._hear_nobody, chat, tasks.cancel_scope)
                try:
                    if isinstance(source, bytes):
                        await self._send(chat, source)
                        await self._flush(chat)
                    else:
                        await self._send_lines(chat, source)
                finally:
                    self._report(chat)
                tasks.cancel_scope.cancel()
                # Whatever becomes of the connection now is no failure.
                return
            if self._lost is not None:
                raise self._lost

    async def _hear_nobody(self, chat: Client[Message], scope: anyio.CancelScope) -> None:
        """Throw away what others say: it must not keep the server's answers from coming."""
        try:
            async for _ in chat:
                pass
        except ChatProtocolError as error:
            # Not raised: when an interrupt has cost the connection, the interrupt counts.
            self._lost = error
            # There is no use in waiting for more input.
            scope.cancel()

    async def _send_lines(self, chat: Client[Message], source: Input) -> None:
        lines = LineBuffer(Limits().max_line)
        number = 0
        while data := await source.read():
            for line in lines.feed(data):
                number += 1
                await self._send_line(chat, number, line)
            # More may be long in coming.
            await self._flush(chat)
        if lines.partial:
            await self._send_line(chat, number + 1, lines.partial)
            await self._flush(chat)

    async def _send_line(self, chat: Client[Message], number: int, line: bytes) -> None:
        try:
            if len(line) == Limits().max_line:
                raise LocalProtocolError(ErrorCode.LINE_TOO_LONG, "the line is too long")
            await self._send(chat, line)
        except LocalProtocolError as error:
            await self._flush(chat)
            raise click.ClickException(f"line {number}: {error}") from None
        # Each may bring a notice, and no more of them are kept.
        if number % NOTICES_KEPT == 0:
            await self._flush(chat)

    async def _send(self, chat: Client[Message], data: bytes) -> None:
        if self._group:
            await chat.broadcast(self._to, data)
        else:
            await chat.send(self._to, data)

    async def _flush(self, chat: Client[Message]) -> None:
        await chat.flush()
        self._report(chat)

    def _report(self, chat: Client[Message]) -> None:
        for notice in chat.take_notices():
            click.echo(in_words(notice), err=True)
            # What has no code is a greeting or the like.
            self.complained_to |= notice.code != ""
