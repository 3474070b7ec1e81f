"""Options that the client commands share: where the server is, and who logs in."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from ssl import SSLContext, create_default_context
from typing import Any, Final, TypedDict

import click

from chatproto import ChatURL, LocalProtocolError, Login
from chatproto_sync.service.certificates import CertificateError, CertificateFiles, read_ca
from chatproto_sync.service.environment import (
    CLIENT_VARIABLES,
    ELSEWHERE,
    unknown_variables,
    why_ignored,
)
from chatproto_sync.sockets.addresses import (
    DEFAULT_PORT,
    PORT_MAX,
    check_address,
    check_host,
    without_brackets,
)
from chatproto_sync.sockets.tls import words_of


class ConnectArguments(TypedDict):
    """The arguments of `connect` that the connection options set."""

    host: str
    port: int
    unix: str | None
    ssl: SSLContext | bool
    server_hostname: str | None


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where the server is, as the connection options say."""

    arguments: ConnectArguments
    """What `connect` gets."""

    tls_places: Sequence[str]
    """What has turned TLS on, for messages: `--tls`, `CHATPROTO_TLS_CA`. Empty without TLS."""

    has_certificate: bool
    """Whether the client sends a certificate."""

    try_tls: str
    """What to write to turn TLS on."""


class ClientCommand(click.Command):
    """A command whose options take one value each. To repeat an option is an error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        if not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            for param, count in Counter(given).items():
                if isinstance(param, click.Option) and count > 1 and not param.is_flag:
                    text = f"takes one value, and has {count}"
                    raise click.BadParameter(text, ctx, param)
        return super().parse_args(ctx, args)


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
        tls_key_password_file: str | None,
        **others: Any,
    ) -> None:
        warn_of_variables()
        places = _places(click.get_current_context())
        url = _read_url(host, places, tls=tls or tls_ca is not None or tls_cert is not None)
        if url is None:
            try:
                check_host(host)
            except ValueError as error:
                raise click.UsageError(f"{places['host']}: {error}") from None
            host = without_brackets(host)
        else:
            host, port = url.host, url.port or port
        server = ConnectArguments(host=host, port=port, unix=unix, ssl=False, server_hostname=None)
        for key, value in (("tls_key", tls_key), ("tls_key_password_file", tls_key_password_file)):
            if value is not None and tls_cert is None:
                raise click.UsageError(f"{places[key]} has no use without --tls-cert")
        given = {"tls": tls, "tls_ca": tls_ca is not None, "tls_cert": tls_cert is not None}
        tls_places = [places[key] for key, is_given in given.items() if is_given]
        if url is not None and url.tls:
            tls_places.insert(0, "chats://")
        if tls_places:
            pair = None
            if tls_cert is not None:
                pair = CertificateFiles(tls_cert, tls_key, tls_key_password_file, None)
            server["ssl"] = _tls_context(tls_ca, pair, places)
            # For a Unix socket too: its path does not tell whose certificate to expect.
            server["server_hostname"] = host
        if unix is not None:
            _check_unix(places, with_tls=bool(tls_places))
        try_tls = "--tls" if url is None else "chats://"
        options = ServerOptions(server, tls_places, tls_cert is not None, try_tls)
        command(server=options, **others)

    with_options: Callable[..., None] = call
    for option in reversed(_CONNECTION_OPTIONS):
        with_options = option(with_options)
    return with_options


def warn_of_variables() -> None:
    """Warn of variables that no command knows."""
    if any(unknown_variables(os.environ, CLIENT_VARIABLES)):
        # Imported here, because it takes time, and is rarely needed.
        from chatproto_sync.service.options import OPTIONS

        known = {ELSEWHERE, *CLIENT_VARIABLES, *(option.variable for option in OPTIONS)}
        for warning in unknown_variables(os.environ, known):
            click.echo(f"Warning: {warning}", err=True)


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


class _ConnectionOption(click.Option):
    """An option that an environment variable may set. Errors name the one that has set it."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """What errors call the option."""
        return f"'{self.opts[0] if ctx is None else self.place(ctx)}'"

    def place(self, context: click.Context) -> str:
        """What has set the option: its variable, or else the option itself."""
        source = context.get_parameter_source(self.name or "")
        from_environment = source is click.core.ParameterSource.ENVIRONMENT
        return str(self.envvar) if from_environment else self.opts[0]

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of the variable; None if it has none, or one that is not for this program."""
        value = super().resolve_envvar_value(ctx)
        if value is None:
            return None
        if (warning := why_ignored(str(self.envvar), value)) is None:
            return value
        if not ctx.resilient_parsing:
            click.echo(f"Warning: {warning}", err=True)
        return None


def _places(context: click.Context) -> dict[str, str]:
    """What has set each connection option, by its name in Python."""
    return {
        each.name: each.place(context)
        for each in context.command.params
        if isinstance(each, _ConnectionOption) and each.name is not None
    }


def _read_url(host: str, places: Mapping[str, str], *, tls: bool) -> ChatURL | None:
    """The URL that is given in place of a host; None if it is none.

    Args:
        host: What is given.
        places: What has set each option.
        tls: Whether another option turns TLS on.

    Raises:
        click.UsageError: It is no URL of a chat server, or another option contradicts it.
    """
    if "://" not in host:
        return None
    try:
        url = ChatURL.parse(host)
    except ValueError as error:
        raise click.UsageError(f"{places['host']}: {error}") from None
    source = click.get_current_context().get_parameter_source("port")
    # A variable may be set for all commands, so a URL overrides it.
    if url.port is not None and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(f"{places['host']} has a port already, so --port has no use")
    if tls and not url.tls:
        raise click.UsageError(f"{places['host']}: chat:// is without TLS, so write chats://")
    return url


def _check_unix(places: Mapping[str, str], *, with_tls: bool) -> None:
    """Refuse options on the command line that would be ignored because of a Unix socket.

    Variables may be set for all commands, so an option on the command line overrides them.

    Raises:
        click.UsageError: There is such an option.
    """
    context = click.get_current_context()
    for key in ("port",) if with_tls else ("port", "host"):
        if context.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{places[key]} has no use with {places['unix']}")


def _tls_context(
    ca: str | None, pair: CertificateFiles | None, places: Mapping[str, str]
) -> SSLContext:
    """Load certificates and keys.

    Args:
        ca: Path of the CA to trust; None for those that the system trusts.
        pair: The client's certificate and key; None for no certificate.
        places: What has set each option.

    Raises:
        click.UsageError: A file can't be used.
    """
    key = "tls_ca"
    try:
        cadata = None if ca is None else read_ca(ca)
        try:
            context = create_default_context(cadata=cadata)
        except OSError as error:
            raise CertificateError(f"the CA {ca} is damaged: {words_of(error)}") from None
        if pair is not None:
            key = "tls_cert"
            pair.load_pair(context)
    except CertificateError as error:
        raise click.UsageError(f"{places[key]}: {error}") from None
    return context


def _connection_option(
    name: str, help_text: str, **attributes: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        f"--{name}",
        cls=_ConnectionOption,
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
    _connection_option(
        "host",
        "The server's name or address, or a URL: chat://HOST:PORT, or chats://HOST:PORT for TLS.",
        default="127.0.0.1",
    ),
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
    _connection_option(
        "tls-key-password-file", "File whose first line is the pass phrase of that key.", **_FILE
    ),
)
