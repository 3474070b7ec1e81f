"""What both commands that run a server say and take."""

import contextlib
import gc
import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..sockets.driver import logger
from ..sockets.errors import reason_of
from ..sockets.tls import ServerCertificate
from .options import LOG_FORMATS, POLICIES, limits_of
from .systemd import inherited_sockets, notify


def log_to_stderr(level: str, form: str) -> None:
    """Begin to log.

    Args:
        level: One of `LOG_LEVELS`.
        form: One of `LOG_FORMATS`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(LOG_FORMATS[form])
    logging.basicConfig(handlers=[handler], level=level.upper())


def certificate_of(values: Mapping[str, Any]) -> ServerCertificate | None:
    """The certificate that the values of options name, if they name one.

    Raises:
        ValueError: They make no sense together, or the files make none.
    """
    cert, key, client_ca = (values[name] for name in ("tls_cert", "tls_key", "tls_client_ca"))
    if cert is None:
        if key is not None or client_ca is not None:
            raise ValueError("--tls-key and --tls-client-ca have no use without --tls-cert")
        return None
    try:
        return ServerCertificate(cert, key, client_ca)
    except OSError as error:
        raise ValueError(f"can't use the certificate: {reason_of(error)}") from error


def parameters_of(
    values: Mapping[str, Any], certificate: ServerCertificate | None
) -> dict[str, Any]:
    """The parameters of a server that the values of options amount to."""
    return {
        "host": values["host"],
        "port": values["port"],
        "unix": values["unix"],
        "unix_mode": values["unix_mode"],
        "sockets": inherited_sockets(),
        "ssl": None if certificate is None else certificate.context,
        "policy": POLICIES[values["policy"]],
        "limits": limits_of(values),
        "notices": not values["no_notices"],
    }


def reload(certificate: ServerCertificate | None) -> None:
    """Do what SIGHUP asks for."""
    if certificate is None:
        return
    try:
        certificate.reload()
    except OSError as error:
        logger.error("the old certificate stays in use: %s", reason_of(error))
    else:
        logger.info("the certificate has been read again")


def announce(addresses: Sequence[str]) -> None:
    """Tell whoever has started a server that it listens."""
    # What is there now is there for good. To look no more at it spares the garbage collector half
    # of its longest pause.
    gc.freeze()
    greet(addresses)
    notify("READY=1")


def greet(addresses: Sequence[str]) -> None:
    """Print a greeting, if anybody is there to read it: a server runs without that too."""
    try:
        print(greeting(addresses), flush=True)
    except OSError:
        # The text would be tried again, and fail again, when the process ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def greeting(addresses: Sequence[str]) -> str:
    """What a server says to the person who started it: where it is, and how to talk to it.

    Args:
        addresses: As `_listeners.describe` gives them.
    """
    kind, _, path = addresses[0].partition(":")
    if kind == "unix":
        netcat = f"nc -U {shlex.quote(path)}"
    else:
        host, _, port = addresses[0].rpartition(":")
        # Servers listen on "any address", but clients can't connect to it everywhere.
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
        netcat = f"nc {host} {port}"
    return (
        f"Listening on {', '.join(addresses)}.\n"
        f"To talk to it, run   {netcat}\n"
        "and paste            CHAT/1.0 LOGIN alice"
    )


def cannot_listen(host: str, port: int, unix: str | None, error: Exception) -> str:
    """What to tell somebody whose server does not start.

    Args:
        host: What `_listeners.open_listeners` was given.
        port: Likewise.
        unix: Likewise.
        error: What it raised.
    """
    where = f"{host}:{port}" if unix is None else unix or "''"
    return f"can't listen on {where}: {reason_of(error)}"
