"""A client on blocking sockets, which threads may share.

May import: `sockets` and `chatproto`. Imported by: the package.
"""
