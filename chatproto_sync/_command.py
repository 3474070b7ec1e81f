"""What both commands that run a server say and take."""

import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from chatproto import Policy

POLICIES: Final = {"default": Policy(), "reference": Policy.reference()}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(message)s"


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
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"can't listen on {where}: {reason}"
