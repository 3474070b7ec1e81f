"""What the two commands that run a server do and print when they start."""

import contextlib
import gc
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from ssl import SSLContext
from typing import Any, Protocol

from chatproto import visible

from ..sockets.driver import logger
from ..sockets.errors import reason_of
from .certificates import CertificateError, CertificateFiles
from .errors import StartError
from .logs import log_to_stderr, logs_json
from .options import LOG_FORMATS, POLICIES
from .settings import Settings, limits_of
from .systemd import Notifier, inherited_sockets


def begin_log(settings: Settings) -> None:
    """Log to standard error, the warnings of the settings first."""
    log_to_stderr(LOG_FORMATS[settings.values["log_format"]], settings.values["log_level"])
    for warning in settings.warnings:
        logger.warning("%s", warning)


def certificate_of(settings: Settings) -> CertificateFiles | None:
    """The certificate that the options name; None without `--tls-cert`."""
    values = settings.values
    if values["tls_cert"] is None:
        return None
    return CertificateFiles(
        values["tls_cert"],
        values["tls_key"],
        values["tls_key_password_file"],
        values["tls_client_ca"],
    )


def parameters_of(settings: Settings, certificate: CertificateFiles | None) -> dict[str, Any]:
    """The parameters of a `Server` that the options say.

    Raises:
        ValueError: The limits make no sense, or the files of the certificate can't be used.
    """
    values = settings.values
    try:
        context = None if certificate is None else _load(certificate)
    except CertificateError as error:
        raise ValueError(f"can't use TLS: {error}") from error
    return {
        "host": values["host"] or None,
        "port": values["port"],
        "unix": values["unix"] or None,
        "unix_mode": values["unix_mode"],
        "sockets": inherited_sockets(),
        "ssl": context,
        "proxy_protocol": values["proxy_protocol"],
        "policy": POLICIES[values["policy"]],
        "limits": limits_of(settings),
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


def announce(addresses: Sequence[str], notifier: Notifier) -> None:
    """Tell systemd, and whoever has started the server, that it listens."""
    # What exists now will always exist. If the garbage collector does not look at it, its longest
    # pause is half as long.
    gc.freeze()
    # The log has the addresses too.
    if not logs_json():
        greet(addresses)
    notifier.ready()


def greet(addresses: Sequence[str]) -> None:
    """Print the greeting. A server runs without it if standard output can't be written."""
    if sys.stdout is None:
        # It was closed when Python started.
        return
    try:
        # Characters that the encoding does not have are escaped.
        text = greeting(addresses).encode(sys.stdout.encoding, "backslashreplace")
        print(text.decode(sys.stdout.encoding), flush=True)
    except OSError as error:
        logger.warning("can't print the greeting: %s", reason_of(error))
        # Otherwise Python would try to write the text again at exit, and fail again.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def greeting(addresses: Sequence[str]) -> str:
    """What a server prints when it starts: where it listens, and how to try it.

    Args:
        addresses: As `chatproto_sync.sockets.addresses.describe` returns them.
    """
    # A path may have any characters.
    places = [visible(each) for each in addresses]
    kind, _, path = places[0].partition(":")
    if kind == "unix":
        netcat = f"nc -U {shlex.quote(path)}"
    else:
        host, _, port = places[0].rpartition(":")
        # A server can listen on "any address", but not every system lets a client connect to it.
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
        netcat = f"nc {host} {port}"
    return (
        f"Listening on {', '.join(places)}.\n"
        f"To talk to it, run   {netcat}\n"
        "and paste            CHAT/1.0 LOGIN alice"
    )


def cannot_listen(error: OSError) -> StartError:
    """The error of a server that cannot listen.

    Args:
        error: Why not. Those of `open_listeners` have the address.
    """
    if error.filename is None:
        return StartError(f"can't start: {reason_of(error)}")
    return StartError(f"can't listen on {visible(error.filename)}: {reason_of(error)}")
