"""A server on one thread.

May import: `sockets`, `state` and `chatproto`. Imported by: the package and its command.
"""
