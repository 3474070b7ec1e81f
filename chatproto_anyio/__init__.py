"""CHAT/1.0 on asyncio and trio, through AnyIO."""

from chatproto_sync import DEFAULT_PORT

from .client.client import Client
from .client.connect import connect
from .server.server import Server, serve

__all__ = ["DEFAULT_PORT", "Client", "Server", "connect", "serve"]
