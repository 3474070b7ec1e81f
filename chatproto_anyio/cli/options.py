"""Options that the client commands share: where the server is, and who logs in."""

from collections.abc import Callable
from functools import wraps
from ssl import SSLContext, create_default_context
from typing import Any, Final, TypedDict

import click

from chatproto import LocalProtocolError, Login
from chatproto_sync.sockets.addresses import DEFAULT_PORT, PORT_MAX, check_address
from chatproto_sync.sockets.errors import reason_of


class ConnectArguments(TypedDict):
    """The arguments of `connect` that the connection options set."""

    host: str
    port: int
    unix: str | None
    ssl: SSLContext | bool
    server_hostname: str | None


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the server is. The command gets them as `server`."""

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
        server = ConnectArguments(host=host, port=port, unix=unix, ssl=False, server_hostname=None)
        if tls_key is not None and tls_cert is None:
            raise click.UsageError("--tls-key has no use without --tls-cert")
        if tls or tls_ca is not None or tls_cert is not None:
            server["ssl"] = _tls_context(tls_ca, tls_cert, tls_key)
            # For a Unix socket too: its path does not tell whose certificate to expect.
            server["server_hostname"] = host
        command(server=server, **others)

    with_options: Callable[..., None] = call
    for option in reversed(_CONNECTION_OPTIONS):
        with_options = option(with_options)
    return with_options


def validate_name(_context: click.Context, _param: click.Parameter, value: str) -> str:
    """Check a name to log in as: a callback for click.

    Raises:
        click.BadParameter: No user can have this name.
    """
    try:
        return Login(value).name
    except LocalProtocolError as error:
        raise click.BadParameter(error.text) from None


name_option: Final = click.option(
    "--as",
    "name",
    required=True,
    metavar="NAME",
    callback=validate_name,
    help="The name to log in as.",
)
"""Adds the option `--as`. The command gets it as `name`."""


def _validate_path(
    _context: click.Context, _param: click.Parameter, value: str | None
) -> str | None:
    try:
        check_address(DEFAULT_PORT, value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


def _tls_context(ca: str | None, cert: str | None, key: str | None) -> SSLContext:
    """Load certificates and keys.

    Args:
        ca: Path of the CA to trust; None for those that the system trusts.
        cert: Path of the client's certificate chain; None for no certificate.
        key: Path of its private key; None if that is in the same file.

    Raises:
        click.BadParameter: A file can't be used.
    """
    options, kind = ["--tls-ca"], "no CA's certificate"
    try:
        context = create_default_context(cafile=ca)
        if cert is not None:
            options = ["--tls-cert"] if key is None else ["--tls-cert", "--tls-key"]
            kind = "no certificate with its key"
            context.load_cert_chain(cert, key)
    except OSError as error:
        message = f"{kind} in PEM: {reason_of(error)}"
        raise click.BadParameter(message, param_hint=options) from None
    return context


def _connection_option(
    name: str, help_text: str, **attributes: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        f"--{name}",
        help=help_text,
        envvar=f"CHATPROTO_{name.replace('-', '_').upper()}",
        show_envvar=True,
        **attributes,
    )


_FILE: Final[dict[str, Any]] = {
    "type": click.Path(exists=True, dir_okay=False),
    "metavar": "PATH",
}

_CONNECTION_OPTIONS: Final = (
    _connection_option("host", "The server's name or address.", default="127.0.0.1"),
    _connection_option(
        "port",
        "The server's TCP port.",
        type=click.IntRange(1, PORT_MAX),
        default=DEFAULT_PORT,
        metavar="PORT",
    ),
    _connection_option(
        "unix",
        "The server's Unix socket, instead of TCP.",
        type=click.Path(readable=False),
        metavar="PATH",
        callback=_validate_path,
    ),
    _connection_option(
        "tls",
        "Use TLS. The server's certificate must be for --host, from a CA that the system trusts.",
        is_flag=True,
    ),
    _connection_option("tls-ca", "Use TLS, and trust this CA (PEM), not the system's.", **_FILE),
    _connection_option(
        "tls-cert", "Use TLS, and send the server this certificate chain (PEM).", **_FILE
    ),
    _connection_option(
        "tls-key", "Private key of --tls-cert (PEM), if it is in another file.", **_FILE
    ),
)
