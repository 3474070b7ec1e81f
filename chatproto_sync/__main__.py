"""`python -m chatproto_sync`: a chat server with nothing installed but Python."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence

from chatproto import __version__

from ._addresses import DEFAULT_PORT, PORT_MAX
from ._command import LOG_FORMAT, LOG_LEVELS, POLICIES, cannot_listen, greet
from ._server import Server, shutdown_on_signals


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: Those after the command's name.

    Returns:
        The exit status.
    """
    parser = _parser()
    options = parser.parse_args([*_from_environment(parser), *arguments])
    logging.basicConfig(format=LOG_FORMAT, level=options.log_level.upper())
    try:
        server = Server(
            options.host,
            options.port,
            unix=options.unix,
            policy=POLICIES[options.policy],
            notices=not options.no_notices,
        )
    except (OSError, ValueError) as error:
        words = cannot_listen(options.host, options.port, options.unix, error)
        print(f"Error: {words}", file=sys.stderr)
        return 1
    with shutdown_on_signals(server):
        greet(server.addresses)
        server.run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chatproto_sync",
        description="A CHAT/1.0 server on the standard library alone.",
        epilog="Options can come from the environment too: CHATPROTO_HOST for --host and so on.",
    )
    parser.add_argument("--version", action="version", version=f"chatproto {__version__}")
    parser.add_argument(
        "--host", default="127.0.0.1", help="name or address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        help="TCP port to listen on, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument("--unix", metavar="PATH", help="Unix socket to listen on instead of TCP")
    parser.add_argument(
        "--policy", choices=POLICIES, default="default", help="rule set (default: %(default)s)"
    )
    parser.add_argument(
        "--no-notices", action="store_true", help="never tell clients why something was refused"
    )
    parser.add_argument(
        "--log-level",
        type=str.lower,
        choices=LOG_LEVELS,
        default="info",
        help="the least serious thing to log (default: %(default)s)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not in the range 0 to {PORT_MAX}")
    return int(text)


def _from_environment(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The options that are set in the environment, as if they had been typed first."""
    for name in ("host", "port", "unix", "policy", "log-level"):
        value = os.environ.get("CHATPROTO_" + name.replace("-", "_").upper())
        if value:
            yield f"--{name}={value}"
    match os.environ.get("CHATPROTO_NO_NOTICES", "").lower():
        case "1" | "true" | "t" | "yes" | "y" | "on":
            yield "--no-notices"
        case "" | "0" | "false" | "f" | "no" | "n" | "off":
            pass
        case other:
            parser.error(f"CHATPROTO_NO_NOTICES: {other!r} is neither yes nor no")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
