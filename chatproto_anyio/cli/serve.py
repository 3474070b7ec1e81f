"""`chatproto serve`: run a server."""

import contextlib
import importlib.util
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import click

from chatproto_sync.service.certificates import CertificateFiles
from chatproto_sync.service.errors import StartError
from chatproto_sync.service.options import OPTIONS, Option
from chatproto_sync.service.startup import (
    announce,
    cannot_listen,
    certificate_of,
    log_to_stderr,
    parameters_of,
    reload,
)
from chatproto_sync.sockets.descriptors import use_all_descriptors

from ..server.server import Server


def _parsed(option: Option) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that turns the text of an option into its value."""

    def parse(_context: click.Context, _param: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else option.parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return parse


def _server_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        kind: Any = click.Path(readable=False) if option.metavar == "PATH" else str
        if option.choices:
            kind = click.Choice(option.choices, case_sensitive=False)
        command = click.option(
            f"--{option.name}",
            type=bool if option.is_flag else kind,
            callback=None if option.is_flag else _parsed(option),
            is_flag=option.is_flag,
            default=option.default,
            metavar=option.metavar,
            envvar=option.variable,
            show_envvar=True,
            show_default=option.default is not None and not option.is_flag,
            help=f"{option.help[0].upper()}{option.help[1:]}.",
        )(command)
    return command


@click.command()
@_server_options
@click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    envvar="CHATPROTO_BACKEND",
    show_envvar=True,
    help="Event loop to run on.",
)
def serve(backend: str, **values: Any) -> None:
    """Run a chat server until SIGINT or SIGTERM."""
    _require(backend, f"--backend {backend}")
    if values["metrics_port"] is not None:
        _require("prometheus_client", "--metrics-port")
    log_to_stderr(values["log_level"], values["log_format"])
    use_all_descriptors()
    try:
        certificate = certificate_of(values)
        parameters = parameters_of(values, certificate)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        anyio.run(_run, parameters, certificate, values, backend=backend)
    except StartError as error:
        raise click.ClickException(str(error)) from None
    except (OSError, ValueError) as error:
        words = cannot_listen(values["host"], values["port"], values["unix"], error)
        raise click.ClickException(words) from None


def _require(package: str, option: str) -> None:
    """Refuse an option whose package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise click.ClickException(
            f"{option} needs the package {package}: "
            "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
        )


async def _run(
    parameters: dict[str, Any], certificate: CertificateFiles | None, values: dict[str, Any]
) -> None:
    with (
        anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals,
        contextlib.ExitStack() as stack,
    ):
        # Not earlier: whoever sees it listen may send a signal at once. Not in a task group: its
        # exceptions must not be wrapped. It may block, because nothing else runs here yet.
        server = Server(**parameters)
        stack.callback(server.close)
        if values["metrics_port"] is not None:
            # Imported here, because a server without metrics does not need prometheus_client.
            from chatproto_sync.service.metrics import serving_metrics

            host, port = values["metrics_host"], values["metrics_port"]
            stack.enter_context(serving_metrics(server, host, port))
        announce(server.addresses)
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                tasks.start_soon(_handle_signals, signals, server, scope, certificate)
                await server.run()
            tasks.cancel_scope.cancel()


async def _handle_signals(
    signals: AsyncIterator[signal.Signals],
    server: Server,
    scope: anyio.CancelScope,
    certificate: CertificateFiles | None,
) -> None:
    """Shut the server down at SIGINT or SIGTERM, and at once at the second one."""
    async for number in signals:
        if number not in (signal.SIGINT, signal.SIGTERM):
            reload(certificate, server)
        elif scope.cancel_called:
            server.abort()
        else:
            scope.cancel()
