"""CHAT/1.0 on asyncio and trio, through AnyIO.

The client and the server are loaded when they are first asked for: a bot has no use for a server.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from chatproto_sync.sockets.addresses import DEFAULT_PORT
from chatproto_sync.state.errors import StateError

# Nothing here imports AnyIO. So say now what is missing, and not when a name is first asked for.
if find_spec("anyio") is None:
    raise ModuleNotFoundError(
        "chatproto_anyio needs the package anyio: "
        "pip install 'chatproto-sansio[anyio]', or '.[anyio]' in a checkout",
        name="anyio",
    )

if TYPE_CHECKING:
    from .client.client import Client
    from .client.connect import connect
    from .server.hooks import AnyHooks, AsyncHook
    from .server.server import Server, serve
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = _MODULES.get(name, ".client.connect")
        return getattr(import_module(module, __name__), name)

    _MODULES = {
        "AnyHooks": ".server.hooks",
        "AsyncHook": ".server.hooks",
        "Server": ".server.server",
        "serve": ".server.server",
    }


__all__ = [
    "DEFAULT_PORT",
    "AnyHooks",
    "AsyncHook",
    "Client",
    "Server",
    "StateError",
    "connect",
    "serve",
]
