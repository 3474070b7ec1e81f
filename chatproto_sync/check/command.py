"""What both commands that check do: `chatproto check`, and `python -m chatproto_sync.check`."""

import os
import shutil
import sys
from time import monotonic
from typing import Any, Final

from chatproto.conformance import (
    Check,
    RowResult,
    Side,
    heading,
    json_report,
    junit_report,
    load,
    row_text,
    summary,
)

from ..sockets.addresses import DEFAULT_PORT, PORT_MAX, Endpoint, check_address
from .checking import check_program, check_server

TIMEOUT: Final = 2.0
"""The default of `--timeout`."""

HELP: Final = {
    "client": "Check this client program instead of a server. It is started for each transcript."
    " `{host}` and `{port}` in COMMAND, and CHATPROTO_HOST and CHATPROTO_PORT in its environment,"
    " say where to connect to.",
    "format": "The form of the report.",
    "timeout": "How long to wait for what cannot be asked for.",
}
"""The help of the options that both commands have."""

CLIENT_CONNECTS: Final = (
    "--client needs no address of a server: the program connects to this command"
)
"""An error in the use of both commands."""


def parse_target(target: str) -> tuple[str, int, str | None]:
    """Parse `HOST:PORT`, `HOST`, `unix:PATH` or a URL.

    Returns:
        The host or the URL, the port, and the path of a Unix socket or None.

    Raises:
        ValueError: There is no such address. The error has words for people.
    """
    if "://" in target:
        return target, DEFAULT_PORT, None
    kind, colon, path = target.partition(":")
    if colon and kind == "unix":
        check_address(DEFAULT_PORT, path)
        return "", DEFAULT_PORT, path
    host, colon, port = target.rpartition(":")
    if not colon or target.endswith("]"):
        host, port = target, str(DEFAULT_PORT)
    elif ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{target!r}: an IPv6 address stands in brackets, as in [::1]:3333")
    if not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
        raise ValueError(f"{target!r}: a port is 1 to {PORT_MAX}")
    if not host:
        raise ValueError(f"{target!r}: the host is missing")
    return host, int(port), None


def run_check(subject: Endpoint[Any] | str, output_format: str, timeout: float) -> int:
    """Check a server or a client program, and print the report on standard output.

    Args:
        subject: Where the server is; or the command line of the program.
        output_format: One of `FORMATS`.
        timeout: Seconds to wait for what cannot be asked for.

    Returns:
        The exit status: 0 if no row has failed, 1 if one has, 3 if nothing could be checked.

    Raises:
        ValueError: The command line of the program is wrong, or there is no such program.
    """
    try:
        return _run(subject, output_format, timeout)
    except BrokenPipeError:
        # Nobody reads the report any more. Python would complain at its end, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(subject: Endpoint[Any] | str, output_format: str, timeout: float) -> int:
    printer = _Printer(str(subject)) if output_format == "table" else None
    report = _nothing if printer is None else printer.print_rows
    begun = monotonic()
    if isinstance(subject, str):
        check = check_program(load(Side.CLIENT), subject, timeout, report)
    else:
        check = check_server(load(Side.SERVER), subject, timeout, report)
    seconds = monotonic() - begun
    if output_format == "json":
        _write(json_report(check, str(subject), seconds))
    elif output_format == "junit":
        _write(junit_report(check, str(subject), seconds))
    else:
        _write(summary(check, seconds))
    if check.passed:
        return 0
    return 3 if check.nothing_played else 1


def _nothing(_check: Check, _rows: list[RowResult]) -> None:
    """Print nothing before the end."""


class _Printer:
    """Prints the rows of a table as soon as they are complete."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._begun = False
        self._width = min(shutil.get_terminal_size((100, 24)).columns, 120)

    def print_rows(self, check: Check, rows: list[RowResult]) -> None:
        """Print the heading before the first row."""
        if not self._begun:
            self._begun = True
            _write(heading(check, self._target))
            if check.nothing_played:
                _write(f"  nothing was played: {check.gone}")
        if check.nothing_played:
            # The same words would stand below each row.
            return
        for each in rows:
            _write(row_text(each, self._width))


def _write(text: str) -> None:
    """Print text, also where the terminal has not all characters."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    sys.stdout.flush()
