"""CHAT/1.0 on blocking sockets and the standard library alone.

The client and the server are loaded when they are first asked for: a bot has no use for a server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .sockets.addresses import DEFAULT_PORT
from .state.errors import StateError

if TYPE_CHECKING:
    from .client.client import Client
    from .client.connect import connect
    from .server.server import Server, serve
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = ".server.server" if name in ("Server", "serve") else ".client.connect"
        return getattr(import_module(module, __name__), name)


__all__ = ["DEFAULT_PORT", "Client", "Server", "StateError", "connect", "serve"]
