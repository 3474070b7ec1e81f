"""`python -m chatproto_sync.check`: check a server or a client, with the standard library alone."""

import argparse
import contextlib
import ssl
import sys
from collections.abc import Sequence
from math import inf
from typing import Any

from chatproto.conformance import FORMATS

from ..service.certificates import CertificateError, CertificateFiles, read_ca
from ..sockets.addresses import DEFAULT_HOST, DEFAULT_PORT, Endpoint, join, make_endpoint
from ..sockets.tls import words_of
from .command import CLIENT_CONNECTS, HELP, TIMEOUT, parse_target, run_check


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: The arguments after the command's name.

    Returns:
        The exit status.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return run_check(_subject(given), given.format, given.timeout)
    except ValueError as error:
        parser.error(str(error))


def _subject(given: argparse.Namespace) -> Endpoint[Any] | str:
    """What to check.

    Raises:
        ValueError: An option or a file can't be used. The error has words for people.
    """
    if given.client is not None:
        if given.target or given.host or given.tls or given.tls_ca or given.tls_cert:
            raise ValueError(CLIENT_CONNECTS)
        return str(given.client)
    host, port, unix = parse_target(given.target or join(DEFAULT_HOST, DEFAULT_PORT))
    context = _tls_context(given)
    if given.host is not None and context is None and not host.startswith("chats://"):
        raise ValueError("--host has no use without TLS")
    hostname = given.host
    if hostname is None and context is not None and "://" not in host:
        hostname = host or DEFAULT_HOST
    return make_endpoint(host, port, unix, None, context or False, hostname)


def _tls_context(given: argparse.Namespace) -> ssl.SSLContext | None:
    """The context for TLS; None without TLS.

    Raises:
        ValueError: A file can't be used.
    """
    if given.tls_key is not None and given.tls_cert is None:
        raise ValueError("--tls-key has no use without --tls-cert")
    if not (given.tls or given.tls_ca or given.tls_cert):
        return None
    try:
        cadata = None if given.tls_ca is None else read_ca(given.tls_ca)
        context = ssl.create_default_context(cadata=cadata)
    except ssl.SSLError as error:
        text = f"the CA {given.tls_ca} is damaged: {words_of(error)}"
        raise CertificateError(text) from None
    if given.tls_cert is not None:
        CertificateFiles(given.tls_cert, given.tls_key, None, None).load_pair(context)
    return context


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chatproto_sync.check",
        description="Check the conformance of a CHAT/1.0 server or of a client program.",
        epilog="Exit status: 0 no row failed, 1 some did, 2 wrong usage, 3 no server that answers.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "target",
        nargs="?",
        metavar="HOST:PORT",
        help=f"The server, unix:PATH, or a URL (default: {join(DEFAULT_HOST, DEFAULT_PORT)}).",
    )
    add("--client", metavar="COMMAND", help=HELP["client"])
    add("--format", choices=FORMATS, default="table", help=HELP["format"])
    add("--timeout", type=_seconds, default=TIMEOUT, metavar="SECONDS", help=HELP["timeout"])
    add("--tls", action="store_true", help="Use TLS, and trust the CAs that the system trusts.")
    add("--tls-ca", metavar="PATH", help="Use TLS, and trust this CA (PEM), not the system's.")
    add("--tls-cert", metavar="PATH", help="Use TLS, and send this certificate chain (PEM).")
    add("--tls-key", metavar="PATH", help="Private key of --tls-cert, if in another file.")
    add("--host", metavar="HOST", help="With TLS, the host that the certificate has to be for.")
    return parser


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text)) < inf:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
