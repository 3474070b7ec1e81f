"""What went wrong on the network, in words for people."""

import os
from typing import Any

from chatproto import ConnectionLostError

from .addresses import Endpoint


def reason_of(error: Exception) -> object:
    """What an error has to say, for people: the system's words, without numbers and paths."""
    if isinstance(error, ConnectionError) and error.errno:
        # Event loops put their own words there.
        return os.strerror(error.errno)
    return error.strerror if isinstance(error, OSError) and error.strerror else error


def no_connection(endpoint: Endpoint[Any], error: Exception) -> ConnectionLostError:
    """What to raise when a connection can't be made."""
    return ConnectionLostError(f"can't connect to {endpoint}: {reason_of(error)}")


def no_such_host(endpoint: Endpoint[Any]) -> OSError:
    """The cause when no certificate can be for the host that is expected."""
    return OSError(f"{endpoint.server_hostname!r} is not a host name")


def connection_lost(error: Exception) -> ConnectionLostError:
    """What to raise when a connection fails."""
    return ConnectionLostError(f"the connection is lost: {reason_of(error)}")
