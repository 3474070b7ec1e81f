"""The socket on which those who run a server see and act, and the client of it.

May import: `sockets` and `chatproto`. Imported by: the servers, and `chatproto admin`.
"""
