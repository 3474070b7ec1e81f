"""What went wrong on the network, in words for people."""

import os
from typing import Any

from chatproto import ConnectionLostError

from .addresses import Endpoint


def reason_of(error: Exception) -> object:
    """The system's words for an error, without numbers and paths; or else the error."""
    if isinstance(error, ConnectionError) and error.errno:
        # Event loops put their own words into the error.
        return os.strerror(error.errno)
    return error.strerror if isinstance(error, OSError) and error.strerror else error


def no_connection(endpoint: Endpoint[Any], error: Exception) -> ConnectionLostError:
    """The exception for a connection that cannot be made."""
    return ConnectionLostError(f"can't connect to {endpoint}: {reason_of(error)}")


def no_such_host(endpoint: Endpoint[Any]) -> OSError:
    """The cause of that when no certificate can be for the expected host name."""
    return OSError(f"{endpoint.server_hostname!r} is not a host name")


def connection_lost(error: Exception) -> ConnectionLostError:
    """The exception for a connection that fails."""
    return ConnectionLostError(f"the connection is lost: {reason_of(error)}")
