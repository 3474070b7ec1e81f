"""A server on an event loop: the engine of `chatproto_sync.sockets`, and byte streams beside it.

May import: `cluster`, `sockets` and `state` of `chatproto_sync`, and `chatproto`. Imported by: the
package and `cli`.
"""
