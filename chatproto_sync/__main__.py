"""`python -m chatproto_sync`: a chat server with nothing installed but Python."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from chatproto import Policy, __version__

from ._listeners import PORT_MAX, cannot_listen, greeting
from ._server import DEFAULT_PORT, Server, shutdown_on_signals

POLICIES: Final = {"default": Policy(), "reference": Policy.reference()}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(message)s"


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: Those after the command's name.

    Returns:
        The exit status.
    """
    options = _parser().parse_args([*_from_environment(), *arguments])
    logging.basicConfig(format=LOG_FORMAT, level=options.log_level.upper())
    try:
        server = Server(
            options.host,
            options.port,
            unix=options.unix,
            policy=POLICIES[options.policy],
            notices=not options.no_notices,
        )
    except OSError as error:
        words = cannot_listen(options.host, options.port, options.unix, error)
        print(f"Error: {words}", file=sys.stderr)
        return 1
    with shutdown_on_signals(server):
        print(greeting(server.addresses), flush=True)
        server.run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chatproto_sync",
        description="A CHAT/1.0 server on the standard library alone.",
        epilog="Options can come from the environment too: CHATPROTO_HOST for --host and so on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"chatproto {__version__}")
    parser.add_argument("--host", default="127.0.0.1", help="name or address to listen on")
    parser.add_argument(
        "--port",
        type=_port,
        metavar="PORT",
        default=DEFAULT_PORT,
        help="TCP port, 0 for a free one",
    )
    parser.add_argument("--unix", metavar="PATH", help="Unix socket to listen on instead of TCP")
    parser.add_argument("--policy", choices=POLICIES, default="default", help="rule set")
    parser.add_argument("--no-notices", action="store_true", help="never say why not")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="info", help="least to log")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"a port is 0 to {PORT_MAX}")
    return port


def _from_environment() -> Iterator[str]:
    """The options that are set in the environment, as if they had been typed first."""
    for name in ("host", "port", "unix", "policy", "log-level"):
        value = os.environ.get("CHATPROTO_" + name.replace("-", "_").upper())
        if value:
            yield f"--{name}={value}"
    if os.environ.get("CHATPROTO_NO_NOTICES", "").lower() in ("1", "true", "yes", "on"):
        yield "--no-notices"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
