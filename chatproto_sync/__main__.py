"""`python -m chatproto_sync`: a chat server that needs only the standard library."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from chatproto import ClusterError, __version__

from .server.server import Server
from .service.errors import StartError
from .service.logs import JsonFormatter, log_to_stderr, logs_json, wants_json
from .service.options import OPTIONS, Option
from .service.reload import Reloader
from .service.settings import Settings, read_settings
from .service.signals import Signals, attend, noting_signals, reload_once
from .service.startup import (
    announce,
    begin_log,
    cannot_start,
    confirm,
    first_certificate,
    parameters_of,
    sockets_of,
)
from .service.systemd import Notifier
from .service.units import HELP
from .sockets.descriptors import use_all_descriptors
from .sockets.driver import logger
from .state.errors import StateError


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: The arguments after the command's name.

    Returns:
        The exit status.
    """
    if wants_json(arguments, os.environ):
        log_to_stderr(JsonFormatter(), "info")
    with noting_signals() as signals:
        try:
            return _run(arguments, signals)
        except StartError as error:
            if logs_json():
                logger.error("%s", error)
            else:
                print(f"Error: {error}", file=sys.stderr)
            return 1


def _run(arguments: Sequence[str], signals: Signals) -> int:
    parser = _parser()
    read = partial(read_settings, OPTIONS, vars(parser.parse_args(arguments)), os.environ)
    try:
        settings = read()
        begin_log(settings)
        certificate = first_certificate(settings)
        parameters = parameters_of(settings, certificate, takes_async=False)
    except ValueError as error:
        parser.error(str(error))
    if settings.values["check"]:
        confirm(OPTIONS, settings)
        return 0
    use_all_descriptors()
    with contextlib.ExitStack() as stack:
        notifier = stack.enter_context(contextlib.closing(Notifier()))
        try:
            server = Server(**parameters, sockets=sockets_of(settings))
        except (OSError, StateError, ClusterError) as error:
            raise cannot_start(error) from None
        stack.callback(server.close)
        reloader = Reloader(OPTIONS, read, settings, server, certificate)
        if settings.values["metrics_port"] is not None:
            stack.enter_context(_metrics(parser, server, settings, reloader))
        server.on_tick(
            lambda: attend(
                signals,
                notifier,
                server.shutdown,
                reloader.reload,
                draining=server.health().draining,
            )
        )
        server.on_reload(partial(reload_once, notifier, reloader.reload))
        announce(server.addresses, notifier, parameters["ssl"])
        try:
            server.run()
        except ClusterError as error:
            raise cannot_start(error) from None
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser that logs its errors if only JSON may be written."""

    def error(self, message: str) -> NoReturn:
        if logs_json():
            logger.error("%s", message)
            sys.exit(2)
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m chatproto_sync",
        usage="%(prog)s [OPTIONS]",
        description="Run a CHAT/1.0 server that needs only the standard library.",
        epilog=f"{HELP} Each option has an environment variable too: CHATPROTO_HOST for --host and"
        " so on.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=f"chatproto {__version__}")
    for option in OPTIONS:
        _add(parser, option)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    """Add an option. The parser collects its texts; `read_settings` turns them into values."""
    if option.is_flag:
        parser.add_argument(
            f"--{option.name}", action="append_const", const="yes", help=option.help
        )
        return
    shows_default = option.default_words and "default:" not in option.help
    parser.add_argument(
        f"--{option.name}",
        action="append",
        metavar=option.metavar or f"{{{','.join(option.choices)}}}",
        help=option.help + (f" (default: {option.default_words})" if shows_default else ""),
    )


def _metrics(
    parser: argparse.ArgumentParser, server: Server, settings: Settings, reloader: Reloader
) -> contextlib.AbstractContextManager[int]:
    try:
        from .service.metrics import serving_metrics
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        parser.error(
            "--metrics-port needs the package prometheus_client: "
            "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
        )
    host, port = settings.values["metrics_host"], settings.values["metrics_port"]
    return serving_metrics(server, host, port, reloader.expiry)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
