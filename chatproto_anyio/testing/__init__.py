"""The client for event loops on a server in memory. Users take `chatproto.testing.MemoryServer`.

May import: `client`, `chatproto_sync.sockets` and `chatproto`. Imported by:
`chatproto.testing.memory`, when a test asks for a client.
"""
