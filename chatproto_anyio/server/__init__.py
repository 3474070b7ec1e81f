"""A server on an event loop: the engine of `chatproto_sync.sockets`, and byte streams beside it.

May import: `chatproto_sync.sockets`, `chatproto_sync.state` and `chatproto`. Imported by: the
package and `cli`.
"""
