"""CHAT/1.0 on blocking sockets and the standard library alone."""

from ._addresses import DEFAULT_PORT
from ._client import Client
from ._connect import connect
from ._server import Server, serve

__all__ = ["DEFAULT_PORT", "Client", "Server", "connect", "serve"]
