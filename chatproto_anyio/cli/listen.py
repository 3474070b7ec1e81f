"""`chatproto listen`: print what arrives, for people or for scripts."""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeAlias

import anyio
import click

from chatproto import (
    Added,
    ChatProtocolError,
    Disconnected,
    Item,
    Message,
    Notice,
    Reconnected,
)

from ..client.client import Client
from ..client.connect import connect
from .chat.lines import OutputLine
from .options import ClientCommand, ServerOptions, connection_options, name_option
from .running import (
    NO_LABELS,
    cancelled_by_signal,
    format_disconnected,
    format_reconnected,
    logged_in,
    run_client,
)
from .stdio import StandardOutput

HEARTBEAT: Final = 30.0
"""Seconds of silence before the client sends a heartbeat, and seconds to wait for the answer."""

Printable: TypeAlias = Item | Notice
"""What a client receives and this command prints."""


@click.command(cls=ClientCommand)
@name_option
@click.option("--json", "as_json", is_flag=True, help="Print each item as a line of JSON.")
@connection_options
def listen(name: str, as_json: bool, server: ServerOptions) -> None:
    """Print what others send, until Ctrl-C or SIGTERM.

    The command logs in as NAME and prints each message to this user or to a group with this user in
    it, as `<SENDER> text`, or as `#GROUP <SENDER> text` if it was sent to a group. Invisible
    characters are escaped. Standard error has notices from the server, as `! CODE: text`. When the
    connection is lost, the command connects again. It says so on standard error, in a line that
    starts with `*`.

    With --json, everything goes to standard output and data is exact. Each line is an object with
    a `type`, the `time` in UTC, and:

    \b
      listening     name; the first line, printed once the login has succeeded;
                    labels: whether the server says which group a message was sent to
      message       sender, and text; base64 instead of text if it is not UTF-8;
                    group, if the server says that it was sent to one
      added         group, member and by: somebody has added this user to a group
      notice        code, command and text, as the server sent them
      disconnected  text: why the connection is lost; the command connects again
      reconnected   downtime in seconds; messages may have been missed

    \b
    Exit status:
      0  a signal ended it, or nobody reads its output any more
      1  it can't connect or log in, or it gave up connecting again
      2  wrong usage
    """  # noqa: D301
    output = StandardOutput()
    connection = connect(**server.arguments, name=name, reconnect=True, heartbeat=HEARTBEAT)
    try:
        run_client(partial(_listen, logged_in(connection, server), output, as_json))
    except* BrokenPipeError:
        # The reader of the output has ended first, as `head` does.
        pass


async def _listen(
    connection: AbstractAsyncContextManager[Client],
    output: StandardOutput,
    as_json: bool,
) -> None:
    show = partial(_print_json if as_json else _print_text, output)
    async with cancelled_by_signal() as tasks:
        tasks.start_soon(_cancel_when_unread, output, tasks.cancel_scope)
        async with connection as client:
            try:
                if as_json:
                    await output.write_line(
                        _json("listening", name=client.name, labels=client.labels)
                    )
                elif not client.labels:
                    click.echo(OutputLine.info(NO_LABELS), err=True)
                async with anyio.create_task_group() as receivers:
                    receivers.start_soon(_receive_all, client.receive_item, show)
                    receivers.start_soon(_receive_all, client.receive_notice, show)
                # Everything is printed, and the connection is over: this raises why.
                await client.receive()
            finally:
                with anyio.CancelScope(shield=True):
                    await client.logout()


async def _cancel_when_unread(output: StandardOutput, scope: anyio.CancelScope) -> None:
    await output.wait_until_unread()
    scope.cancel()


async def _receive_all(
    receive: Callable[[], Awaitable[Printable]], show: Callable[[Printable], Awaitable[None]]
) -> None:
    """Print items, up to the last one that arrived before the connection was lost for good."""
    with suppress(ChatProtocolError):
        while True:
            await show(await receive())


async def _print_text(output: StandardOutput, item: Printable) -> None:
    """Print an item for people."""
    match item:
        case Message():
            await output.write_line(str(OutputLine.received(item)))
        case Notice():
            click.echo(OutputLine.notice(item), err=True)
        case Added():
            click.echo(OutputLine.added(item), err=True)
        case Disconnected():
            click.echo(OutputLine.info(format_disconnected(item)), err=True)
        case Reconnected():
            click.echo(OutputLine.info(format_reconnected(item)), err=True)


async def _print_json(output: StandardOutput, item: Printable) -> None:
    """Print an item for scripts."""
    match item:
        case Message(sender, data, group):
            fields = {"sender": sender} if group is None else {"sender": sender, "group": group}
            try:
                line = _json("message", **fields, text=data.decode())
            except UnicodeDecodeError:
                line = _json("message", **fields, base64=b64encode(data).decode())
        case Added(group, member, by):
            line = _json("added", group=group, member=member, by=by)
        case Notice(code, command, text):
            line = _json("notice", code=code, command=command, text=text)
        case Disconnected(error):
            line = _json("disconnected", text=str(error))
        case Reconnected(downtime):
            line = _json("reconnected", downtime=round(downtime, 3))
    await output.write_line(line)


def _json(item_type: str, **fields: str | float) -> str:
    """One JSON object on one line. It is ASCII, so no terminal and no encoding can change it."""
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"type": item_type, "time": time, **fields})
