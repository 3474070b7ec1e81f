"""What the commands that are clients have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from chatproto import LocalProtocolError, Login
from chatproto_sync._addresses import DEFAULT_PORT, PORT_MAX

_C = TypeVar("_C", bound=Callable[..., Any])


def connection_options(command: _C) -> _C:
    """Give a command the options that say where the server is."""
    for option in (
        click.option(
            "--unix",
            metavar="PATH",
            envvar="CHATPROTO_UNIX",
            show_envvar=True,
            help="The server's Unix socket, instead of TCP.",
        ),
        click.option(
            "--port",
            type=click.IntRange(1, PORT_MAX),
            default=DEFAULT_PORT,
            envvar="CHATPROTO_PORT",
            show_envvar=True,
            help="The server's TCP port.",
        ),
        click.option(
            "--host",
            default="127.0.0.1",
            envvar="CHATPROTO_HOST",
            show_envvar=True,
            help="The server's name or address.",
        ),
    ):
        command = option(command)
    return command


def checked_name(_context: click.Context, _param: click.Parameter, value: str) -> str:
    """A callback for names that somebody is to log in as.

    Raises:
        click.BadParameter: Nobody can.
    """
    try:
        return Login(value).name
    except LocalProtocolError as error:
        raise click.BadParameter(error.text) from None
