"""`python -m chatproto_sync`: a chat server that needs only the standard library."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chatproto import __version__

from .server.server import Server, shutdown_on_signals
from .service.errors import StartError
from .service.options import OPTIONS, Option
from .service.startup import (
    announce,
    cannot_listen,
    certificate_of,
    log_to_stderr,
    parameters_of,
    reload,
)
from .sockets.descriptors import use_all_descriptors


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: The arguments after the command's name.

    Returns:
        The exit status.
    """
    parser = _parser()
    values = vars(parser.parse_args([*_from_environment(parser), *arguments]))
    log_to_stderr(values["log_level"], values["log_format"])
    use_all_descriptors()
    try:
        certificate = certificate_of(values)
        parameters = parameters_of(values, certificate)
    except ValueError as error:
        parser.error(str(error))
    with contextlib.ExitStack() as stack:
        try:
            server = Server(**parameters)
            stack.callback(server.close)
            if values["metrics_port"] is not None:
                stack.enter_context(_metrics(parser, server, values))
        except StartError as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
        except (OSError, ValueError) as error:
            words = cannot_listen(values["host"], values["port"], values["unix"], error)
            print(f"Error: {words}", file=sys.stderr)
            return 1
        stack.enter_context(shutdown_on_signals(server))
        signal.signal(signal.SIGHUP, lambda *_: reload(certificate, server))
        announce(server.addresses)
        server.run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chatproto_sync",
        description="Run a CHAT/1.0 server that needs only the standard library.",
        epilog="Each option has an environment variable too: CHATPROTO_HOST for --host and so on.",
    )
    parser.add_argument("--version", action="version", version=f"chatproto {__version__}")
    for option in OPTIONS:
        _add(parser, option)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.is_flag:
        parser.add_argument(f"--{option.name}", action="store_true", help=option.help)
        return
    shows_default = option.default is not None and "default:" not in option.help
    parser.add_argument(
        f"--{option.name}",
        type=_typed(option.parse),
        default=option.default,
        choices=option.choices or None,
        metavar=option.metavar,
        help=option.help + (" (default: %(default)s)" if shows_default else ""),
    )


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same, with an error whose words `argparse` shows."""

    def typed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


def _from_environment(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The options that the environment sets, as arguments to put before the real ones."""
    for option in OPTIONS:
        value = os.environ.get(option.variable, "")
        if not option.is_flag:
            if value:
                yield f"--{option.name}={value}"
            continue
        match value.lower():
            case "1" | "true" | "t" | "yes" | "y" | "on":
                yield f"--{option.name}"
            case "" | "0" | "false" | "f" | "no" | "n" | "off":
                pass
            case other:
                parser.error(f"{option.variable}: {other!r} is neither yes nor no")


def _metrics(
    parser: argparse.ArgumentParser, server: Server, values: dict[str, Any]
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
    return serving_metrics(server, values["metrics_host"], values["metrics_port"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
