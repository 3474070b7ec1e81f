"""`chatproto chat`: for people."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TypeAlias

import anyio
import click

from chatproto import Message, Reconnected

from ...client.client import Client
from ...client.connect import connect
from ..options import Server, checked_name, connection_options, run_client
from .conversation import Conversation, Screen
from .parsing import Recipient
from .plain import Plain

_ScreenOpener: TypeAlias = Callable[[Conversation], AbstractAsyncContextManager[Screen]]


def _checked_recipient(
    context: click.Context, param: click.Parameter, value: str | None
) -> Recipient | None:
    if value is None:
        return None
    return Recipient(checked_name(context, param, value), group=param.name == "to_group")


@click.command()
@click.argument("name", callback=checked_name)
@click.option("--to", metavar="USER", callback=_checked_recipient, help="Whom to talk to.")
@click.option(
    "--to-group", metavar="GROUP", callback=_checked_recipient, help="A group to talk to instead."
)
@connection_options
def chat(name: str, to: Recipient | None, to_group: Recipient | None, server: Server) -> None:
    """Chat as NAME.

    What is typed goes to USER or to GROUP; /help lists what else can be typed. After the time, a
    line shows whose it is: `<bob>` what bob says, `->` what you have said, `!` what did not work,
    `*` what this program has to say. A connection that is lost is made again.

    Where standard input or output is no terminal, or one with TERM=dumb, it reads lines and prints
    lines, and nothing else. It ends with its input, once the server has handled all of it.
    NO_COLOR in the environment turns colours off.

    \b
    Exit status:
      0  it was quit, a signal has ended it, or nobody reads its output any more
      1  there is no connection, and no more attempts are made
      2  wrong usage
    """  # noqa: D301
    if to is not None and to_group is not None:
        raise click.UsageError("--to and --to-group exclude each other")
    open_screen = _screen_opener()
    connection = connect(**server, name=name, reconnect=True)
    try:
        run_client(partial(_chat, connection, to or to_group, open_screen))
    except* BrokenPipeError:
        # Whoever read it has seen enough.
        pass


async def _chat(
    connection: AbstractAsyncContextManager[Client[Message | Reconnected]],
    recipient: Recipient | None,
    open_screen: _ScreenOpener,
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_on_signal, signals, tasks.cancel_scope)
            async with connection as client:
                conversation = Conversation(client, recipient)
                async with open_screen(conversation) as screen:
                    await conversation.run(screen)
            tasks.cancel_scope.cancel()


async def _end_on_signal(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()


def _screen_opener() -> _ScreenOpener:
    # One that is closed is None.
    terminal = all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if not terminal or os.environ.get("TERM") in ("dumb", "unknown"):
        plain = Plain()
        return lambda _: nullcontext(plain)
    # Only now: pipes do without prompt_toolkit.
    from .terminal import open_terminal

    return open_terminal
