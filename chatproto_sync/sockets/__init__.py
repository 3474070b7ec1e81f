"""The engine that every server shares: plain and TLS sockets in one poller, over one broker.

An adapter for another event loop may build on it, as `chatproto_anyio` does. May import:
`chatproto`. Imported by: all of `chatproto_sync`, and `chatproto_anyio`.
"""
