"""Asking a running server, on its admin socket."""

import contextlib
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from ..sockets.errors import reason_of

TIMEOUT: Final = 10.0
"""Seconds that the server has for the next part of its answer."""


class AdminError(Exception):
    """The server has not done what it was asked for. The message says why, in words."""


class NoServerError(AdminError):
    """There is no server that answers, or it takes no requests from this user."""


def ask(path: str, request: Mapping[str, str], timeout: float = TIMEOUT) -> Any:
    """Ask a server to do something, and wait for the answer.

    Args:
        path: The path of its admin socket.
        request: What to do, as `requests` describes it.
        timeout: Seconds that the server has for the next part of its answer.

    Returns:
        The result.

    Raises:
        AdminError: It was not done.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(path)
            with contextlib.suppress(BrokenPipeError):
                # A server that refuses the connection says why.
                sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as reader:
                line = reader.readline()
        except TimeoutError:
            raise NoServerError(f"the server at {path} does not answer") from None
        except FileNotFoundError:
            raise NoServerError(
                f"there is no socket {path}: start the server with --admin-socket {path}, or name"
                " its socket with --admin-socket"
            ) from None
        except ConnectionRefusedError:
            raise NoServerError(f"no server runs at {path}") from None
        except PermissionError:
            raise NoServerError(
                f"you may not use {path}: only root and the user of the server may, so try sudo"
            ) from None
        except OSError as error:
            raise NoServerError(f"can't use {path}: {reason_of(error)}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    match answer:
        case {"result": result}:
            return result
        case {"error": str(text)}:
            raise AdminError(text)
    raise NoServerError(f"what answers at {path} is no admin socket, or has ended")
