"""CHAT/1.0 on asyncio and trio, through AnyIO."""

from chatproto_sync import DEFAULT_PORT

from ._client import Client
from ._connect import connect
from ._server import Server, serve

__all__ = ["DEFAULT_PORT", "Client", "Server", "connect", "serve"]
