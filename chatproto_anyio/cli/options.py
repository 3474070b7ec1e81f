"""What the commands that are clients have in common."""

from collections.abc import Callable, Coroutine
from functools import wraps
from ssl import SSLCertVerificationError, SSLContext, create_default_context
from typing import Any, Final, TypedDict, TypeVar

import anyio
import click

from chatproto import ChatProtocolError, LocalProtocolError, Login, Notice, visible
from chatproto_sync.sockets.addresses import DEFAULT_PORT, PORT_MAX, check_address
from chatproto_sync.sockets.errors import reason_of

_T = TypeVar("_T")


class Server(TypedDict):
    """The parameters of `connect` that say where the server is, and how to know it."""

    host: str
    port: int
    unix: str | None
    ssl: SSLContext | bool
    server_hostname: str | None


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the server is. It is called with a `server`."""

    @wraps(command)
    def call(
        *,
        host: str,
        port: int,
        unix: str | None,
        tls: bool,
        tls_ca: str | None,
        tls_cert: str | None,
        tls_key: str | None,
        **others: Any,
    ) -> None:
        server = Server(host=host, port=port, unix=unix, ssl=False, server_hostname=None)
        if tls_key is not None and tls_cert is None:
            raise click.UsageError("--tls-key has no use without --tls-cert")
        if tls or tls_ca is not None or tls_cert is not None:
            server["ssl"] = _context(tls_ca, tls_cert, tls_key)
            # A Unix socket does not tell whose certificate to expect.
            server["server_hostname"] = host
        command(server=server, **others)

    with_options: Callable[..., None] = call
    for option in reversed(_CONNECTION_OPTIONS):
        with_options = option(with_options)
    return with_options


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
    words = visible(str(error))
    if isinstance(error.__cause__, SSLCertVerificationError):
        words += "; the certificate has to be for the --host, from a CA that is trusted (--tls-ca)"
    raise click.ClickException(words)


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


def _context(ca: str | None, cert: str | None, key: str | None) -> SSLContext:
    """What to do TLS with; the parameters are paths.

    Raises:
        click.BadParameter: There is nothing of use in one of them.
    """
    options, kind = ["--tls-ca"], "no CA's certificate"
    try:
        # Without a CA, those that the system trusts.
        context = create_default_context(cafile=ca)
        if cert is not None:
            options = ["--tls-cert"] if key is None else ["--tls-cert", "--tls-key"]
            kind = "no certificate with its key"
            context.load_cert_chain(cert, key)
    except OSError as error:
        words = f"{kind} in PEM: {reason_of(error)}"
        raise click.BadParameter(words, param_hint=options) from None
    return context


def _file_option(name: str, text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        f"--{name}",
        type=click.Path(exists=True, dir_okay=False),
        metavar="PATH",
        envvar=f"CHATPROTO_{name.replace('-', '_').upper()}",
        show_envvar=True,
        help=text,
    )


_CONNECTION_OPTIONS: Final = (
    click.option(
        "--host",
        default="127.0.0.1",
        envvar="CHATPROTO_HOST",
        show_envvar=True,
        help="The server's name or address.",
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
        "--unix",
        type=click.Path(readable=False),
        metavar="PATH",
        callback=_checked_path,
        envvar="CHATPROTO_UNIX",
        show_envvar=True,
        help="The server's Unix socket, instead of TCP.",
    ),
    click.option(
        "--tls",
        is_flag=True,
        envvar="CHATPROTO_TLS",
        show_envvar=True,
        help="Use TLS. The certificate has to be for the --host, and from a CA that is trusted.",
    ),
    _file_option("tls-ca", "Use TLS, and trust this CA (PEM) instead of the system's."),
    _file_option("tls-cert", "Use TLS, and show this certificate chain (PEM)."),
    _file_option("tls-key", "Its private key (PEM), if that is not in the same file."),
)
