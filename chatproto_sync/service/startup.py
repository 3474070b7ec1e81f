"""What the two commands that run a server do and print when they start."""

import contextlib
import gc
import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ssl import SSLContext
from typing import Any, Protocol

from ..sockets.driver import logger
from ..sockets.errors import reason_of
from .certificates import CertificateError, CertificateFiles
from .options import LOG_FORMATS, POLICIES, limits_of
from .systemd import inherited_sockets, notify


def log_to_stderr(level: str, form: str) -> None:
    """Log to standard error.

    Args:
        level: One of `LOG_LEVELS`.
        form: One of `LOG_FORMATS`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(LOG_FORMATS[form])
    logging.basicConfig(handlers=[handler], level=level.upper())


def certificate_of(values: Mapping[str, Any]) -> CertificateFiles | None:
    """The certificate that the values of the options name; None without `--tls-cert`.

    Raises:
        ValueError: The options contradict each other.
    """
    cert = values["tls_cert"]
    if cert is not None:
        return CertificateFiles(
            cert, values["tls_key"], values["tls_key_password_file"], values["tls_client_ca"]
        )
    for name in ("tls_key", "tls_key_password_file", "tls_client_ca"):
        if values[name] is not None:
            raise ValueError(f"--{name.replace('_', '-')} has no use without --tls-cert")
    return None


def parameters_of(
    values: Mapping[str, Any], certificate: CertificateFiles | None
) -> dict[str, Any]:
    """The parameters of a `Server` that the values of the options say.

    Raises:
        ValueError: The limits make no sense, or the files of the certificate can't be used.
    """
    try:
        context = None if certificate is None else _load(certificate)
    except CertificateError as error:
        raise ValueError(f"can't use TLS: {error}") from error
    return {
        "host": values["host"],
        "port": values["port"],
        "unix": values["unix"],
        "unix_mode": values["unix_mode"],
        "sockets": inherited_sockets(),
        "ssl": context,
        "policy": POLICIES[values["policy"]],
        "limits": limits_of(values),
        "notices": not values["no_notices"],
    }


class TlsServer(Protocol):
    """The part of a server that gets another certificate."""

    def replace_ssl(self, context: SSLContext) -> None:
        """Use another context for the TLS of new connections."""


def reload(certificate: CertificateFiles | None, server: TlsServer) -> None:
    """Read the certificate again, if there is one, for new connections. SIGHUP asks for it."""
    if certificate is None:
        return
    try:
        server.replace_ssl(_load(certificate))
    except CertificateError as error:
        logger.error("the old certificate stays in use: %s", error)
    else:
        logger.info("the certificate was read again")


def _load(certificate: CertificateFiles) -> SSLContext:
    """Read a certificate, and warn if its dates are wrong or will soon be."""
    context = certificate.load()
    for warning in certificate.warnings(datetime.now(UTC)):
        logger.warning("%s", warning)
    return context


def announce(addresses: Sequence[str]) -> None:
    """Tell systemd, and whoever has started the server, that it listens."""
    # What exists now will always exist. If the garbage collector does not look at it, its longest
    # pause is half as long.
    gc.freeze()
    greet(addresses)
    notify("READY=1")


def greet(addresses: Sequence[str]) -> None:
    """Print the greeting. A server runs without it if standard output is closed."""
    try:
        print(greeting(addresses), flush=True)
    except OSError:
        # Otherwise Python would try to write the text again at exit, and fail again.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def greeting(addresses: Sequence[str]) -> str:
    """What a server prints when it starts: where it listens, and how to try it.

    Args:
        addresses: As `chatproto_sync.sockets.addresses.describe` returns them.
    """
    kind, _, path = addresses[0].partition(":")
    if kind == "unix":
        netcat = f"nc -U {shlex.quote(path)}"
    else:
        host, _, port = addresses[0].rpartition(":")
        # A server can listen on "any address", but not every system lets a client connect to it.
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
        netcat = f"nc {host} {port}"
    return (
        f"Listening on {', '.join(addresses)}.\n"
        f"To talk to it, run   {netcat}\n"
        "and paste            CHAT/1.0 LOGIN alice"
    )


def cannot_listen(host: str, port: int, unix: str | None, error: Exception) -> str:
    """The message for a server that cannot start.

    Args:
        host: The host that it should listen on.
        port: The port.
        unix: The path of the Unix socket; None for TCP.
        error: Why it cannot listen there.
    """
    where = f"{host}:{port}" if unix is None else unix or "''"
    return f"can't listen on {where}: {reason_of(error)}"
