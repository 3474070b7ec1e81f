"""What the two commands that run a server do and print when they start."""

import contextlib
import gc
import os
import shlex
import socket
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from ssl import CERT_NONE, SSLContext
from typing import Any

from chatproto import ClusterError, visible

from ..cluster.url import parse_redis_url
from ..sockets.addresses import join
from ..sockets.driver import logger
from ..sockets.errors import reason_of
from ..state.errors import StateError
from .certificates import Certificate, CertificateError, CertificateFiles
from .errors import StartError
from .hooks import load_hooks
from .logs import log_to_stderr, logs_json
from .options import LOG_FORMATS, Option
from .settings import Settings, in_use, limits_of, policy_of
from .systemd import Notifier, inherited_sockets


def begin_log(settings: Settings) -> None:
    """Log to standard error, the warnings of the settings first."""
    log_to_stderr(LOG_FORMATS[settings.values["log_format"]], settings.values["log_level"])
    for warning in settings.warnings:
        logger.warning("%s", warning)


def load_certificate(settings: Settings) -> Certificate | None:
    """Read the certificate that the options name, and warn if its dates are wrong or will soon be.

    Returns:
        The certificate; None without `--tls-cert`.

    Raises:
        CertificateError: The files can't be used.
    """
    values = settings.values
    if values["tls_cert"] is None:
        return None
    files = CertificateFiles(
        values["tls_cert"],
        values["tls_key"],
        values["tls_key_password_file"],
        values["tls_client_ca"],
    )
    context = files.load()
    for warning in files.warnings(datetime.now(UTC)):
        logger.warning("%s", warning)
    return Certificate(context, files.expiry())


def first_certificate(settings: Settings) -> Certificate | None:
    """The same as `load_certificate`, for a server that starts.

    Raises:
        ValueError: The files can't be used.
    """
    try:
        return load_certificate(settings)
    except CertificateError as error:
        raise ValueError(f"can't use TLS: {error}") from error


def parameters_of(
    settings: Settings, certificate: Certificate | None, *, takes_async: bool
) -> dict[str, Any]:
    """The parameters of a `Server` that the options say.

    Args:
        settings: The options.
        certificate: The server's certificate; None for no TLS.
        takes_async: Whether the server takes hooks that are coroutine functions.

    Raises:
        ValueError: The limits make no sense, or the hooks can't be used.
    """
    values = settings.values
    return {
        "host": values["host"] or None,
        "port": values["port"],
        "reuse_port": values["reuse_port"],
        "unix": values["unix"] or None,
        "unix_mode": values["unix_mode"],
        "ssl": None if certificate is None else certificate.context,
        "proxy_protocol": values["proxy_protocol"],
        "policy": policy_of(settings),
        "limits": limits_of(settings),
        "notices": not values["no_notices"],
        "state": values["state"],
        "hooks": _hooks_of(settings, takes_async=takes_async),
        "admin_socket": values["admin_socket"],
        **_cluster_parameters(settings),
    }


def _hooks_of(settings: Settings, *, takes_async: bool) -> Any:
    """The hooks that the options say; None for none.

    Raises:
        ValueError: They can't be used.
    """
    text = settings.values["hooks"]
    try:
        return None if text is None else load_hooks(text, takes_async=takes_async)
    except ValueError as error:
        raise ValueError(f"{settings.name_of('hooks')}: {error}") from error


def _cluster_parameters(settings: Settings) -> dict[str, Any]:
    """The parameters of a `Server` that concern the cluster; none without one.

    Raises:
        ValueError: The URL is wrong, or the file with the password can't be used.
    """
    values = settings.values
    if values["cluster"] is None:
        return {}
    password = _password_in(settings, "cluster_password_file")
    sentinel_password = _password_in(settings, "sentinel_password_file")
    place = settings.name_of("cluster")
    try:
        url = parse_redis_url(values["cluster"], password, sentinel_password)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    for option, separate, used in (
        ("--cluster-password-file", password, url.password),
        ("--sentinel-password-file", sentinel_password, url.sentinel_password),
    ):
        if place == "--cluster" and used and separate is None:
            raise ValueError(
                "--cluster: everybody on this machine can see a password in a command line; use"
                f" {option}, or the variable CHATPROTO_CLUSTER"
            )
    return {
        "cluster": values["cluster"],
        "cluster_password": password,
        "sentinel_password": sentinel_password,
        "node": values["node"],
        "node_timeout": values["node_timeout"],
        "patience": values["patience"],
    }


def _password_in(settings: Settings, option: str) -> str | None:
    """The password in the file that an option names; None without one.

    Raises:
        ValueError: The file can't be used.
    """
    path = settings.values[option]
    if path is None:
        return None
    try:
        return _first_line(path)
    except ValueError as error:
        raise ValueError(f"{settings.name_of(option)}: {error}") from None


def _first_line(path: str) -> str:
    """The first line of a file.

    Raises:
        ValueError: The file can't be read, or the line is empty.
    """
    try:
        line = Path(path).read_text(encoding="utf-8").partition("\n")[0]
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"can't read {path}: it is not UTF-8") from None
    if not line:
        raise ValueError(f"the first line of {path} is empty")
    return line


def sockets_of(settings: Settings) -> list[socket.socket]:
    """The sockets that systemd listens on for this server, in place of those of the options.

    Raises:
        StartError: systemd has passed something else.
    """
    sockets = inherited_sockets()
    for key in ("host", "port", "reuse_port", "unix"):
        if sockets and key in settings.places:
            logger.warning(
                "%s has no use: systemd has passed the sockets to listen on", settings.places[key]
            )
    return sockets


def confirm(options: Iterable[Option], settings: Settings) -> None:
    """Say that the configuration is good, and show it. A server may run with it meanwhile.

    Args:
        options: The options.
        settings: Their values.

    Raises:
        StartError: The state file can't be used.
    """
    if settings.values["state"] is not None:
        # Imported here, because a server without such a file does not need sqlite3.
        from ..state.file import check_state_file

        try:
            check_state_file(settings.values["state"])
        except StateError as error:
            raise cannot_start(error) from None
    uses = in_use(options, settings)
    if logs_json():
        shown = {each.name: {"value": each.text, "from": each.place} for each in uses}
        logger.info("the configuration is good", extra={"options": shown})
        return
    rows = [(each.name, visible(each.text), visible(each.place)) for each in uses]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    _print("The configuration is good. It uses:\n")
    for name, text, place in rows:
        _print(f"{name:{widths[0]}}  {text:{widths[1]}}  {place}")


def announce(addresses: Sequence[str], notifier: Notifier, tls: SSLContext | None) -> None:
    """Tell systemd, and whoever has started the server, that it listens."""
    # The objects that exist now stay until the process ends. The garbage collector skips them from
    # now on, which halves its longest pause.
    gc.freeze()
    # The log has the addresses too.
    if not logs_json():
        greet(addresses, tls)
    notifier.ready()


def greet(addresses: Sequence[str], tls: SSLContext | None) -> None:
    """Print the greeting. A server runs without it if standard output can't be written."""
    if sys.stdout is None:
        # It was closed when Python started.
        return
    try:
        _print(greeting(addresses, tls))
    except OSError as error:
        logger.warning("can't print the greeting: %s", reason_of(error))
        # Otherwise Python would try to write the text again at exit, and fail again.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(text: str) -> None:
    """Print a text. Characters that the encoding does not have are escaped."""
    encoding = sys.stdout.encoding
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def greeting(addresses: Sequence[str], tls: SSLContext | None) -> str:
    """What a server prints when it starts: where it listens, and how to try it.

    Args:
        addresses: As `chatproto_sync.sockets.addresses.describe` returns them.
        tls: What the server uses TLS with; None for no TLS.
    """
    # A path may have any characters.
    places = [visible(each) for each in addresses]
    kind, _, path = places[0].partition(":")
    if kind == "unix":
        options = f"-unix {shlex.quote(path)}" if tls else f"-U {shlex.quote(path)}"
    else:
        host, _, port = places[0].rpartition(":")
        # A server can listen on "any address", but not every system lets a client connect to it.
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
        options = f"-connect {join(host, int(port))}" if tls else f"{host} {port}"
    program = "openssl s_client -quiet" if tls else "nc"
    if tls and tls.verify_mode is not CERT_NONE:
        options += " -cert alice.pem -key alice.key"
    return (
        f"Listening on {', '.join(places)}.\n"
        f"To talk to it, run   {program} {options}\n"
        "and paste            CHAT/1.0 LOGIN alice"
    )


def cannot_start(error: OSError | StateError | ClusterError) -> StartError:
    """The error of a server that cannot listen, use its state file, or be a node of its cluster.

    Args:
        error: The cause. Errors of `open_listeners` have the address.
    """
    if isinstance(error, StateError | ClusterError):
        return StartError(str(error))
    if error.filename is None:
        return StartError(f"can't start: {reason_of(error)}")
    return StartError(f"can't listen on {visible(error.filename)}: {reason_of(error)}")
