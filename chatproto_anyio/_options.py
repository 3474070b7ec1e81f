"""What the commands that are clients have in common."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import anyio
import click

from chatproto import ChatProtocolError, LocalProtocolError, Login, Notice, visible
from chatproto_sync._addresses import DEFAULT_PORT, PORT_MAX, check_address

_C = TypeVar("_C", bound=Callable[..., Any])
_T = TypeVar("_T")


def connection_options(command: _C) -> _C:
    """Give a command the options that say where the server is."""
    for option in (
        click.option(
            "--unix",
            type=click.Path(readable=False),
            metavar="PATH",
            callback=_checked_path,
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


name_option: Final = click.option(
    "--as", "name", required=True, metavar="NAME", callback=checked_name, help="Who to log in as."
)
"""Gives a command the option that says who it is."""


def run_client(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a client on asyncio.

    Raises:
        click.ClickException: It has failed with that, or with an exception of `chatproto`, alone or
            in a group.
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
    # The server's own words may be in it.
    raise click.ClickException(visible(str(error)))


def in_words(notice: Notice) -> str:
    """A notice as one line for people."""
    text = visible(notice.text)
    return f"{visible(notice.code)}: {text}" if notice.code else text


def _checked_path(
    _context: click.Context, _param: click.Parameter, value: str | None
) -> str | None:
    try:
        check_address(DEFAULT_PORT, value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value
