"""A server on one thread.

May import: `sockets` and `chatproto`. Imported by: the package and its command.
"""
