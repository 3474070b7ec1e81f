"""CHAT/1.0 on blocking sockets and the standard library alone."""

from .client.client import Client
from .client.connect import connect
from .server.server import Server, serve
from .sockets.addresses import DEFAULT_PORT

__all__ = ["DEFAULT_PORT", "Client", "Server", "connect", "serve"]
