"""`chatproto serve`: run a server."""

import contextlib
import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import anyio
import click

from chatproto import ClusterError
from chatproto_sync.service.certificates import Certificate
from chatproto_sync.service.errors import StartError
from chatproto_sync.service.logs import JsonFormatter, log_to_stderr, logs_json, wants_json
from chatproto_sync.service.options import OPTIONS, Option
from chatproto_sync.service.reload import Reloader
from chatproto_sync.service.settings import Settings, read_settings
from chatproto_sync.service.signals import Signals, attend, noting_signals, reload_once
from chatproto_sync.service.startup import (
    announce,
    begin_log,
    cannot_start,
    confirm,
    first_certificate,
    parameters_of,
    sockets_of,
)
from chatproto_sync.service.systemd import Notifier
from chatproto_sync.sockets.descriptors import use_all_descriptors
from chatproto_sync.sockets.driver import logger
from chatproto_sync.state.errors import StateError

from ..server.server import Server

BACKENDS: Final = ("asyncio", "trio")

SERVE_OPTIONS: Final = (
    *OPTIONS,
    Option("backend", "event loop to run on", default="asyncio", choices=BACKENDS),
)
"""All options of the command."""


def _server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add all options. Their texts are collected, and `read_settings` makes values of them."""
    for option in reversed(SERVE_OPTIONS):
        command = _click_option(option)(command)
    return command


def _click_option(option: Option) -> Callable[[Callable[..., None]], Callable[..., None]]:
    notes = [f"env var: {option.variable}"]
    if option.default_words and "default:" not in option.help:
        notes.append(f"default: {option.default_words}")
    text = f"{option.help[0].upper()}{option.help[1:]}.  [{'; '.join(notes)}]"
    if option.is_flag:
        return click.option(f"--{option.name}", is_flag=True, show_default=False, help=text)

    def complete(_context: click.Context, _param: click.Parameter, begin: str) -> list[str]:
        return [each for each in option.choices if each.startswith(begin.lower())]

    return click.option(
        f"--{option.name}",
        type=click.Path(readable=False) if option.metavar == "PATH" else str,
        multiple=True,
        metavar=option.metavar or f"[{'|'.join(option.choices)}]",
        help=text,
        shell_complete=complete if option.choices else None,
    )


class _Serve(click.Command):
    """A command that logs its errors, if it may write only JSON."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        if wants_json(args, os.environ):
            log_to_stderr(JsonFormatter(), "info")
        with _logging_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """See `click.Command`."""
        with _logging_errors():
            super().invoke(ctx)


@contextlib.contextmanager
def _logging_errors() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        if not logs_json():
            raise
        logger.error("%s", error.format_message())
        raise click.exceptions.Exit(error.exit_code) from None


@click.command(cls=_Serve)
@_server_options
def serve(**given: Any) -> None:
    """Run a chat server until Ctrl-C or SIGTERM.

    BYTES may end with k, M or G, as in 64k: 1k is 1024 bytes, 1M is 1024k, 1G is 1024M. SECONDS may
    end with ms, s, m or h, as in 10s or 5m.
    """
    arguments = {key: ["yes"] if texts is True else texts for key, texts in given.items() if texts}
    with noting_signals() as signals:
        try:
            _start(arguments, signals)
        except StartError as error:
            raise click.ClickException(str(error)) from None


def _start(arguments: dict[str, Any], signals: Signals) -> None:
    read = partial(read_settings, SERVE_OPTIONS, arguments, os.environ)
    try:
        settings = read()
        backend = settings.values["backend"]
        _require(backend, f"{settings.name_of('backend')} {backend}")
        if settings.values["metrics_port"] is not None:
            _require("prometheus_client", settings.name_of("metrics_port"))
        begin_log(settings)
        certificate = first_certificate(settings)
        parameters = parameters_of(settings, certificate, takes_async=True)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if settings.values["check"]:
        confirm(SERVE_OPTIONS, settings)
        return
    use_all_descriptors()
    with contextlib.closing(Notifier()) as notifier:
        anyio.run(_run, parameters, settings, certificate, read, signals, notifier, backend=backend)


def _require(package: str, option: str) -> None:
    """Refuse an option whose package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise click.ClickException(
            f"{option} needs the package {package}: "
            "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
        )


async def _run(
    parameters: dict[str, Any],
    settings: Settings,
    certificate: Certificate | None,
    read: Callable[[], Settings],
    signals: Signals,
    notifier: Notifier,
) -> None:
    # The server looks for signals itself, several times a second, so they need not wake the event
    # loop. Trio closes the descriptor for that before it takes it from the signals: Python would
    # print an error for each signal in between.
    signal.set_wakeup_fd(-1)
    with contextlib.ExitStack() as stack:
        # Not in a task group, which would wrap the exceptions. This may block, because nothing
        # else runs here yet.
        try:
            server = Server(**parameters, sockets=sockets_of(settings))
        except (OSError, StateError, ClusterError) as error:
            raise cannot_start(error) from None
        stack.callback(server.close)
        reloader = Reloader(SERVE_OPTIONS, read, settings, server, certificate)
        if settings.values["metrics_port"] is not None:
            # Imported here, because a server without metrics does not need prometheus_client.
            from chatproto_sync.service.metrics import serving_metrics

            host, port = settings.values["metrics_host"], settings.values["metrics_port"]
            stack.enter_context(serving_metrics(server, host, port, reloader.expiry))
        with anyio.CancelScope() as scope:

            def stop() -> None:
                """Shut the server down. The second call closes all connections at once."""
                if scope.cancel_called:
                    server.abort()
                scope.cancel()

            server.on_tick(
                lambda: attend(
                    signals,
                    notifier,
                    stop,
                    reloader.reload,
                    draining=server.health().draining,
                )
            )
            server.on_reload(partial(reload_once, notifier, reloader.reload))
            announce(server.addresses, notifier, parameters["ssl"])
            try:
                await server.run()
            except ClusterError as error:
                raise cannot_start(error) from None
