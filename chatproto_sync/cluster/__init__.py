"""Many servers as one chat: the connections to Redis that carry the ledger and the mail.

"Redis" is Redis or Valkey, here and in all that this package says. What decides is in
`chatproto.cluster`. May import: `sockets` and `chatproto`. Imported by: the servers, and the
commands that run them.
"""
