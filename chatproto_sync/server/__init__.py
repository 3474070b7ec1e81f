"""A server on one thread.

May import: `cluster`, `sockets`, `state` and `chatproto`. Imported by: the package and its command.
"""
