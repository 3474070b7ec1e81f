"""`chatproto listen`: print what is said, for people or for scripts."""

import json
import signal
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

import anyio
import click

from chatproto import ChatProtocolError, Message, Notice, Reconnected, visible

from ..client.client import Client
from ..client.connect import connect
from .options import Server, connection_options, in_words, name_option, run_client
from .stdio import Output

Item: TypeAlias = Message | Notice | Reconnected
"""What is printed."""


@click.command()
@name_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on each line.")
@connection_options
def listen(name: str, as_json: bool, server: Server) -> None:
    """Print what others send, until SIGINT or SIGTERM.

    That is every message to the user NAME or to a group with NAME in it. A connection that is lost
    is made again. Messages are printed as `SENDER: text`, with what does not print escaped;
    anything else that there is to tell goes to standard error.

    With --json, all of that goes to standard output, and data is exact. Each object has a `type`,
    the `time` in UTC, and:

    \b
      listening    name; comes first, once the server has taken the name
      message      sender, and either text or, if it is not UTF-8, base64
      notice       code, command and text: what the server itself says
      reconnected  downtime in seconds; messages may have been missed

    \b
    Exit status:
      0  a signal has ended it, or nobody reads its output any more
      1  there is no connection, and no more attempts are made
      2  wrong usage
    """  # noqa: D301
    output = Output()
    connection = connect(**server, name=name, reconnect=True)
    try:
        run_client(partial(_listen, connection, output, as_json))
    except* BrokenPipeError:
        # Whoever read it has heard enough.
        pass


async def _listen(
    connection: AbstractAsyncContextManager[Client[Message | Reconnected]],
    output: Output,
    as_json: bool,
) -> None:
    show = partial(_show_json if as_json else _show, output)
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_after, partial(anext, signals), tasks.cancel_scope)
            tasks.start_soon(_end_after, output.wait_until_unread, tasks.cancel_scope)
            async with connection as chat:
                try:
                    if as_json:
                        await output.write_line(_json("listening", name=chat.name))
                    async with anyio.create_task_group() as hearing:
                        hearing.start_soon(_show_all, chat.receive, show)
                        hearing.start_soon(_show_all, chat.receive_notice, show)
                    # There is nothing more to hear. This says why.
                    await chat.receive()
                finally:
                    with anyio.CancelScope(shield=True):
                        await chat.logout()


async def _end_after(wait: Callable[[], Awaitable[object]], scope: anyio.CancelScope) -> None:
    await wait()
    scope.cancel()


async def _show_all(
    receive: Callable[[], Awaitable[Item]], show: Callable[[Item], Awaitable[None]]
) -> None:
    """Show what there is, to the last, even if the connection is lost before."""
    with suppress(ChatProtocolError):
        while True:
            await show(await receive())


async def _show(output: Output, item: Item) -> None:
    """Print for people."""
    match item:
        case Message(sender):
            await output.write_line(f"{visible(sender)}: {visible(item.text)}")
        case Notice():
            click.echo(in_words(item), err=True)
        case Reconnected(downtime):
            text = f"reconnected after {downtime:.1f} s; messages may have been missed"
            click.echo(text, err=True)


async def _show_json(output: Output, item: Item) -> None:
    """Print for scripts."""
    match item:
        case Message(sender, data):
            try:
                line = _json("message", sender=sender, text=data.decode())
            except UnicodeDecodeError:
                line = _json("message", sender=sender, base64=b64encode(data).decode())
        case Notice(code, command, text):
            line = _json("notice", code=code, command=command, text=text)
        case Reconnected(downtime):
            line = _json("reconnected", downtime=round(downtime, 3))
    await output.write_line(line)


def _json(kind: str, **fields: str | float) -> str:
    """An object on one line, in ASCII that prints: no terminal or locale can spoil it."""
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"type": kind, "time": time, **fields})
