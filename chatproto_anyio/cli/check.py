"""`chatproto check`: check a server or a client program against the conformance table."""

import sys
from typing import Any

import click

from chatproto.conformance import FORMATS
from chatproto_sync.check.command import (
    CLIENT_CONNECTS,
    HELP,
    TIMEOUT,
    parse_target,
    run_check,
)
from chatproto_sync.sockets.addresses import Endpoint, make_endpoint

from .options import ClientCommand, ConnectArguments, ServerOptions, connection_options


@click.command(cls=ClientCommand)
@click.option("--client", metavar="COMMAND", help=HELP["client"])
@click.option(
    "--format",
    "output_format",
    type=click.Choice(FORMATS),
    default="table",
    metavar=f"[{'|'.join(FORMATS)}]",
    help=HELP["format"],
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=TIMEOUT,
    metavar="SECONDS",
    help=HELP["timeout"],
)
@connection_options
@click.argument("target", metavar="[HOST:PORT | unix:PATH]", required=False)
def check(
    client: str | None,
    output_format: str,
    timeout: float,
    server: ServerOptions,
    target: str | None,
) -> None:
    """Check the conformance of a server or of a client program.

    The command plays each row of the conformance table in `docs/protocol.md` against the server,
    and says for each whether the server does the same. The names that it logs in under are new in
    each run. With --client it is the server, and checks what a program makes of each line.

    \b
    Exit status:
      0  no row failed
      1  a row failed
      2  wrong usage
      3  there is no server that answers
    """  # noqa: D301
    context = click.get_current_context()
    given = {
        each
        for each in ("host", "port", "unix")
        if context.get_parameter_source(each) is click.core.ParameterSource.COMMANDLINE
    }
    if client is not None:
        options = [each for each in server.tls_places if each.startswith("--")]
        if target is not None or given or options:
            raise click.UsageError(CLIENT_CONNECTS)
        sys.exit(_run(client, output_format, timeout))
    arguments = server.arguments
    if target is not None:
        unused = given - ({"host"} if server.tls_places else set())
        if unused:
            raise click.UsageError(f"--{min(unused)} has no use beside {target}")
        arguments = _with_target(arguments, target, with_hostname="host" not in given)
    sys.exit(_run(_endpoint(arguments), output_format, timeout))


def _with_target(
    arguments: ConnectArguments, target: str, *, with_hostname: bool
) -> ConnectArguments:
    """Replace the address.

    Args:
        arguments: What the options say.
        target: The address on the command line.
        with_hostname: Whether the server's certificate has to be for the host in it.
    """
    try:
        host, port, unix = parse_target(target)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    arguments = {**arguments, "host": host or arguments["host"], "port": port, "unix": unix}
    if with_hostname and host and arguments["server_hostname"] is not None:
        arguments["server_hostname"] = None if "://" in host else host
    return arguments


def _endpoint(arguments: ConnectArguments) -> Endpoint[Any]:
    host, port, unix = arguments["host"], arguments["port"], arguments["unix"]
    try:
        return make_endpoint(host, port, unix, None, arguments["ssl"], arguments["server_hostname"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _run(subject: Endpoint[Any] | str, output_format: str, timeout: float) -> int:
    try:
        return run_check(subject, output_format, timeout)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
