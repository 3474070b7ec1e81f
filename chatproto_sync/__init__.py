"""CHAT/1.0 on blocking sockets and the standard library alone."""

from ._server import DEFAULT_PORT, Server, serve

__all__ = ["DEFAULT_PORT", "Server", "serve"]
