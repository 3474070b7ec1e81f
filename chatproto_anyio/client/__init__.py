"""A client on an event loop, which tasks may share.

May import: `chatproto_sync.sockets` and `chatproto`. Imported by: the package and `cli`.
"""
