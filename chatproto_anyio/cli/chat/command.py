"""`chatproto chat`: the command itself, its options and how it ends."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack, closing, nullcontext
from functools import partial
from typing import Final, TypeAlias

import click

from ...client.client import Client
from ...client.connect import connect
from ..options import ClientCommand, ServerOptions, connection_options, validate_name
from ..running import cancelled_by_signal, logged_in, run_client
from .conversation import Conversation, UserInterface
from .log import LogFile, LoggedInterface
from .parsing import Recipient
from .plain import PlainInterface

HEARTBEAT: Final = 4.0
"""Seconds of silence before the client sends a heartbeat, and seconds to wait for the answer."""

_OpenInterface: TypeAlias = Callable[[Conversation], AbstractAsyncContextManager[UserInterface]]


def _make_recipient(
    context: click.Context, param: click.Parameter, value: str | None
) -> Recipient | None:
    if value is None:
        return None
    return Recipient(validate_name(context, param, value), group=param.name == "to_group")


@click.command(cls=ClientCommand)
@click.argument("name", callback=validate_name)
@click.option(
    "--to", metavar="USER", callback=_make_recipient, help="The user to send messages to."
)
@click.option(
    "--to-group",
    metavar="GROUP",
    callback=_make_recipient,
    help="The group to send messages to instead.",
)
@click.option(
    "--log",
    "log_path",
    metavar="FILE",
    help="Add all lines that are shown to this file, with the date.",
)
@connection_options
def chat(
    name: str,
    to: Recipient | None,
    to_group: Recipient | None,
    log_path: str | None,
    server: ServerOptions,
) -> None:
    """Chat in the terminal as NAME.

    Each line that you type is a message to USER or to GROUP, or a command: /help lists the
    commands. Each line that you see has the time, and then `<bob>` for a message from bob, `#tea
    <bob>` for one that bob has sent to the group tea, `->` for a message from you, `!` for an
    error, or `*` for information. A `!` in front of `->` marks a message that the server has
    refused. Messages to you alone are underlined, those to a group that have your name in them are
    reversed. When the connection is lost, the program connects again.

    If standard input or output is no terminal, or TERM is `dumb`, the program reads and prints
    plain lines. It then ends at the end of its input, when the server has handled everything. If
    NO_COLOR is set, there are no colours.

    \b
    Exit status:
      0  the user quit, a signal ended it, or nobody reads its output any more
      1  it can't connect or log in, or it gave up connecting again
      2  wrong usage
    """  # noqa: D301
    if to is not None and to_group is not None:
        raise click.UsageError("--to and --to-group exclude each other")
    with ExitStack() as stack:
        log = None if log_path is None else stack.enter_context(closing(LogFile(log_path)))
        open_interface = _choose_interface()
        connection = connect(**server.arguments, name=name, reconnect=True, heartbeat=HEARTBEAT)
        try:
            run_client(
                partial(_chat, logged_in(connection, server), to or to_group, open_interface, log)
            )
        except* BrokenPipeError:
            # The reader of the output has ended first, as `head` does.
            pass


async def _chat(
    connection: AbstractAsyncContextManager[Client],
    recipient: Recipient | None,
    open_interface: _OpenInterface,
    log: LogFile | None,
) -> None:
    async with cancelled_by_signal(), connection as client:
        conversation = Conversation(client, recipient)
        async with open_interface(conversation) as interface:
            await conversation.run(interface if log is None else LoggedInterface(interface, log))


def _choose_interface() -> _OpenInterface:
    # A stream that is closed is None.
    terminal = all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if not terminal or os.environ.get("TERM") in ("dumb", "unknown"):
        plain = PlainInterface()
        return lambda _: nullcontext(plain)
    # Imported here, because pipes do not need prompt_toolkit.
    from .terminal import open_terminal

    return open_terminal
